import { openSync, writeSync } from 'node:fs';
import { intentFields, origin, outcomeFields, startSession } from './log.fixture.ts';
import { openAuditLog } from './log.ts';

/**
 * Appends as fast as it can until it is killed, and writes the number of every event that was granted to a file. Run with a directory,
 * a mode of writing, and that file.
 */
const [dir, writes, file] = process.argv.slice(2) as [string, 'sync' | 'async', string];
const granted = openSync(file, 'a');
const log = await openAuditLog({ dir, origin, writes, segmentBytes: 512 * 1024, publishMs: 20 });

for (let writer = 0; writer < 16; writer++) {
  const session = `w${writer}-${process.pid}`;
  await startSession(log, session);
  let exchange = 0;
  const next = (): void => {
    exchange++;
    const text = exchange % 50 === 0 ? 'x'.repeat(90_000) : `select ${exchange}`;
    log.intend(
      intentFields(session, exchange, text),
      (permit) => {
        // What is written to a file outlives the process that wrote it.
        writeSync(granted, `${permit.seq} ${session} ${exchange}\n`);
        log.note(outcomeFields(session, exchange));
        next();
      },
      (error) => {
        throw error;
      },
    );
  };
  next();
}
