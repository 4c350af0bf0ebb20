import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { endedBetween, readTransactionLog } from './transaction-log.ts';

it('reads the files of all threads, leaves failed transactions out and removes the files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-log-'));
  writeFileSync(
    join(folder, 'run.77'),
    '0 0 120 0 1700000000 500000\n1 0 failed 0 1700000000 600000\n0 1 80 0 1700000001 7\n',
  );
  writeFileSync(join(folder, 'run.77.1'), '2 0 100 0 1700000000 900000\n');
  writeFileSync(join(folder, 'runner.77'), '0 0 999 0 1700000000 1\n');
  const log = readTransactionLog(join(folder, 'run'));
  expect([...log.latencies]).toEqual([80, 100, 120]);
  expect(endedBetween(log, 1_700_000_000_400, 1_700_000_000_900)).toBe(1);
  expect(endedBetween(log, 1_700_000_000_400, 1_700_000_002_000)).toBe(3);
  expect(readdirSync(folder)).toEqual(['runner.77']);
  rmSync(folder, { recursive: true });
});
