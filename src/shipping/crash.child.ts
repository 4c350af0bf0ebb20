// Writes a log and ships it until it is killed: started by crash.test.ts. Arguments: a folder.
import { join } from 'node:path';
import { openAuditLog } from '../audit/log.ts';
import { openAuditReader } from '../audit/reader.ts';
import { sinkSchema } from './config.ts';
import { openShipping } from './shipping.ts';

const dir = process.argv[2] as string;
const origin = 'gw.example/audit';
const audit = await openAuditLog({ dir: join(dir, 'log'), origin, publishMs: 20 });
const shipping = await openShipping({
  sinks: [sinkSchema.parse({ name: 'lines', kind: 'file', path: join(dir, 'audit.jsonl'), rotate: '1GiB' })],
  dir: join(dir, 'shipping'),
  log: origin,
  reader: openAuditReader(audit),
  record: (event) => audit.record(event),
  secretOf: async () => undefined,
  warn: () => undefined,
  pollMs: 5,
});
process.on('disconnect', () => process.exit(1));
for (let i = 0; ; i++) {
  await audit.record({ type: 'command.denied', session: 's', exchange: i, text: 'x'.repeat(500) });
  if (i % 50 === 0) process.send?.(shipping.metrics()[0]?.seq);
}
