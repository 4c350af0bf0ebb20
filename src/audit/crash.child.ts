import { writeSync } from 'node:fs';
import { intentFields, origin, outcomeFields, startSession } from './log.fixture.ts';
import { openAuditLog } from './log.ts';

/**
 * Appends as fast as it can until it is killed, and prints the number of every event that was granted. Run with a directory and a
 * mode of writing.
 */
const [dir, writes] = process.argv.slice(2) as [string, 'sync' | 'async'];
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
        // The whole line or nothing: a pipe takes this much at once.
        writeSync(1, `${permit.seq} ${session} ${exchange}\n`);
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
