import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { plainGit } from '../code-server.ts';
import { paymentKey } from '../interface-server.ts';
import type { World } from '../world.ts';
import { cli, type Done, expect, lines, requestIn, run, type Step } from './stage.ts';

/** The same agent at the shop's code, with git as it is. */
export async function tellOfCode(world: World, scratch: string, step: Step): Promise<void> {
  const work = join(scratch, 'backend');
  const { host, port } = world.gateway.addresses.http!;
  const url = `https://${host}:${port}/git/code/shop/backend.git`;
  const token = readFileSync(world.agentToken, 'utf8');
  const options = [
    ...['-c', `http.sslCAInfo=${world.gateway.caFile}`],
    ...['-c', `http.extraHeader=Authorization: Bearer ${token}`],
    ...['-c', 'user.name=coding agent in CI', '-c', 'user.email=ci-agent@shop.example'],
  ];
  const git = (...args: string[]): Promise<Done> => run('git', [...options, ...args], plainGit(scratch), scratch);
  const commit = async (file: string, text: string, message: string) => {
    writeFileSync(join(work, file), text);
    await git('-C', work, 'add', file);
    await git('-C', work, 'commit', '--quiet', '-m', message);
  };
  await step('It clones the shop’s backend with git as it is', async () => {
    const cloned = await git('clone', '--quiet', url, work);
    expect(cloned.status === 0, `cloning failed: ${cloned.err}`);
    return (await git('-C', work, 'log', '--oneline')).out.trim();
  });
  await step('A commit with a key in it is refused, wherever it is pushed to', async () => {
    await commit('payments.js', `export const key = '${paymentKey}';\n`, 'Pay');
    const pushed = await git('-C', work, 'push', 'origin', 'HEAD:refs/heads/pay');
    expect(pushed.status !== 0 && pushed.err.includes('no-secrets-in-code'), `not refused: ${pushed.err}`);
    expect(!pushed.err.includes(paymentKey), 'the refusal says the key');
    await git('-C', work, 'reset', '--quiet', '--hard', 'HEAD^');
    return lines(pushed.err, 8);
  });
  await step(
    'A commit for main is held; an engineer sees the diff and approves; the same push goes through',
    async () => {
      await commit('refund.js', 'export const refund = (order) => ({ ...order, refunded: true });\n', 'Refund orders');
      const held = await git('-C', work, 'push', 'origin', 'HEAD:main');
      expect(held.status !== 0 && held.err.includes('SP3001'), `not held: ${held.err}`);
      const request = requestIn(held.err);
      const shown = await cli(world, 'dana', 'approvals', 'show', request);
      expect(shown.out.includes('+export const refund'), `the approver does not see the diff: ${shown.out}`);
      const yes = await cli(world, 'dana', 'approvals', 'approve', request, '--reason', 'reviewed');
      expect(yes.status === 0, `approving failed: ${yes.out}${yes.err}`);
      const done = await git('-C', work, 'push', 'origin', 'HEAD:main');
      expect(done.status === 0, `not pushed: ${done.err}`);
      return lines(`${held.err}\n${done.err}`, 14);
    },
  );
}
