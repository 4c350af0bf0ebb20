import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { World } from '../world.ts';
import { cli, expect, lines, type Step, verify } from './stage.ts';

/** What is left of it all: a replay, and a log that shows when it was touched. `session` is that of the database. */
export async function tellOfAudit(world: World, session: string, scratch: string, step: Step): Promise<void> {
  const vkey = readFileSync(join(world.folder, 'gateway', 'audit', 'log.vkey'), 'utf8').trim();
  await step('The session is replayed as the agent saw it', async () => {
    const replay = await cli(world, 'dana', 'sessions', 'replay', session, '--no-pager');
    expect(replay.status === 0, `replay failed: ${replay.err}`);
    for (const part of ['select id, name, email', 'Bela Almeida', 'drop table payments', 'delete from orders']) {
      expect(replay.out.includes(part), `the replay lacks ${JSON.stringify(part)}:\n${replay.out}`);
    }
    expect(!replay.out.includes('@example.'), 'the replay shows what was masked');
    return lines(replay.out, 14);
  });
  const exported = join(scratch, 'audit.tar');
  await step('The audit log is exported and verified offline, with the public key alone', async () => {
    const out = await cli(world, 'dana', 'audit', 'export', '--output', exported);
    expect(out.status === 0, `export failed: ${out.err}`);
    const verified = await verify(world, exported, vkey);
    expect(verified.status === 0, `verification failed: ${verified.out}${verified.err}`);
    return lines(verified.out, 100);
  });
  await step('One byte changed in a copy, and the verification fails', async () => {
    const copy = join(scratch, 'changed.tar');
    copyFileSync(exported, copy);
    const bytes = readFileSync(copy);
    const at = bytes.indexOf('agents-no-schema-change');
    expect(at > 0, 'the refusal is not in the log');
    bytes[at]! ^= 1;
    writeFileSync(copy, bytes);
    const verified = await verify(world, copy, vkey);
    expect(verified.status === 1, 'the change was not noticed');
    return lines(verified.out + verified.err, 4);
  });
}
