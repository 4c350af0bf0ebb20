import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { openAuditLog } from '../audit/log.ts';
import { openAuditReader } from '../audit/reader.ts';
import { sinkSchema } from './config.ts';
import { openShipping } from './shipping.ts';
import { log, Scratch, until } from './testing.fixture.ts';

const scratch = new Scratch();
afterEach(() => scratch.clean());

/** Runs until so many events were acknowledged, then dies. Returns what it last said of that. */
async function runAndKill(dir: string, after: number): Promise<number> {
  const child = fork(fileURLToPath(new URL('./crash.child.ts', import.meta.url)), [dir], { execArgv: [] });
  let acknowledged = 0;
  const ended = once(child, 'exit');
  child.on('message', (seq: number) => {
    acknowledged = Math.max(acknowledged, seq);
    if (acknowledged >= after) child.kill('SIGKILL');
  });
  const [, signal] = await ended;
  expect(signal).toBe('SIGKILL');
  return acknowledged;
}

describe('a process that is killed while it ships', () => {
  it('has lost nothing afterwards, in order, and repeated less than a batch a time', async () => {
    const dir = scratch.dir();
    const path = join(dir, 'audit.jsonl');
    let acknowledged = 0;
    const deaths = 2;
    for (let death = 1; death <= deaths; death++) {
      acknowledged = await runAndKill(dir, acknowledged + 100 * death);
      const { seq } = JSON.parse(readFileSync(join(dir, 'shipping', 'lines', 'cursor.json'), 'utf8')) as {
        seq: number;
      };
      expect(seq).toBeGreaterThanOrEqual(acknowledged);
      // What the cursor says was acknowledged is in the file, in whole lines.
      const whole = readFileSync(path, 'utf8').split('\n').slice(0, -1);
      expect(whole.some((line) => (JSON.parse(line) as { seq: number }).seq === seq)).toBe(true);
    }
    const audit = await openAuditLog({ dir: join(dir, 'log'), origin: log, publishMs: 20 });
    const head = await audit.record({ type: 'audit.heartbeat' });
    const shipping = await openShipping({
      sinks: [sinkSchema.parse({ name: 'lines', kind: 'file', path, rotate: '1GiB' })],
      dir: join(dir, 'shipping'),
      log,
      reader: openAuditReader(audit),
      record: (event) => audit.record(event),
      secretOf: async () => undefined,
      warn: () => undefined,
      pollMs: 5,
    });
    await until(() => shipping.metrics()[0]!.seq > head);
    await shipping.close();
    await audit.close();
    const seqs = readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { seq: number }).seq);
    const first = [...new Set(seqs)];
    expect(first).toEqual(Array.from({ length: head + 1 }, (_, i) => i + 1));
    expect(seqs.length - first.length).toBeLessThanOrEqual(deaths * 500);
    // Repeats begin again at one place and go on from there.
    const steps = seqs.slice(1).filter((seq, i) => seq !== seqs[i]! + 1);
    expect(steps.length).toBeLessThanOrEqual(deaths);
  });
});
