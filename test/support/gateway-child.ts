// A gateway as a process of its own, for tests that kill it: forked by gateway-process.ts.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { start } from '../../src/main.ts';

/** What the child tells its parent. */
export type ChildNews =
  | { readonly kind: 'ready'; readonly port: number; readonly apiPort: number; readonly caFile: string }
  | { readonly kind: 'failed'; readonly message: string };

const tell = (news: ChildNews) => process.send!(news);
const running = await start(process.argv[2]!, (level, message, fields) => {
  process.stderr.write(`${level}: ${message} ${JSON.stringify(fields ?? {})}\n`);
});
process.once('disconnect', () => process.exit(1)); // The parent is gone.
process.on('message', (order) => {
  if (order === 'fill the disk') fillTheDisk();
  else if (order === 'stop') void running.stop().then(() => process.disconnect());
});
void running.failed.then(async (error) => {
  tell({ kind: 'failed', message: error.message });
  await running.stop();
  process.exit(3);
});
tell({
  kind: 'ready',
  port: running.addresses.postgres!.port,
  apiPort: running.addresses.api!.port,
  caFile: running.caFile!,
});

/** From here on no file takes another byte from this thread. */
function fillTheDisk(): void {
  const full = () => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  const writeSync = () => {
    throw full();
  };
  const write = (...args: readonly unknown[]) => {
    (args.at(-1) as (error: Error) => void)(full());
  };
  Object.assign(fs, { writeSync, write });
  syncBuiltinESMExports();
}
