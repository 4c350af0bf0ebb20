import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { Scratch } from './log.fixture.ts';
import { openAuditReader } from './reader.ts';
import { verifyLog } from './verify.ts';

const scratch = new Scratch();
afterEach(() => scratch.clean());

const program = fileURLToPath(new URL('./crash.child.ts', import.meta.url));

/** Lets the program run until it has been granted so many events more, and kills it. Returns all that it was ever granted. */
async function killUnderLoad(dir: string, writes: string, file: string, lines: number): Promise<readonly string[]> {
  const before = lineCount(file);
  const child = spawn(process.execPath, [program, dir, writes, file], { stdio: 'inherit' });
  const closed = once(child, 'close');
  while (lineCount(file) < before + lines && child.exitCode === null)
    await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill('SIGKILL');
  await closed;
  expect(child.signalCode).toBe('SIGKILL');
  return readFileSync(file, 'utf8').trimEnd().split('\n');
}

function lineCount(file: string): number {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0;
}

describe('a gateway killed under load', () => {
  for (const writes of ['sync', 'async']) {
    it(`has every event in the log that it was granted, again and again, with ${writes} writes`, {
      timeout: 60_000,
    }, async () => {
      const dir = scratch.dir();
      const file = join(scratch.dir(), 'granted');
      let granted: readonly string[] = [];
      for (const lines of [200, 1500, 700]) granted = await killUnderLoad(dir, writes, file, lines);
      const log = await scratch.open(dir, { segmentBytes: 512 * 1024 });
      const reader = scratch.keep(openAuditReader(log));
      const there = new Set<string>();
      const types = new Map<string, number>();
      for (let after: string | undefined = '0'; after !== undefined; ) {
        const page: Awaited<ReturnType<typeof reader.events>> = await reader.events({ limit: 500, after });
        for (const event of page.items) {
          types.set(event.type, (types.get(event.type) ?? 0) + 1);
          if (event.type === 'command.intent') there.add(`${event.seq} ${event.session} ${event.exchange}`);
        }
        after = page.next;
      }
      expect(granted.filter((line) => !there.has(line))).toEqual([]);
      expect(granted.length).toBeGreaterThanOrEqual(2400);
      expect(types.get('gateway.recovered')).toBe(3);
      expect(types.get('command.outcome')).toBe(types.get('command.intent'));
      expect(types.get('session.ended')).toBe(types.get('session.started'));
      const { vkey } = await log.checkpoint();
      expect(await verifyLog(dir, { vkey })).toMatchObject({ ok: true, unsigned: 0, openIntentCount: 0, problems: [] });
    });
  }
});
