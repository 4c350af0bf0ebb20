import { once } from 'node:events';
import { sampleTicket } from './store.samples.ts';
import type { Store } from './store.ts';

/**
 * A process of the contract suite, with the store opened as told: `module export argument task`. Task `write` inserts tickets until it is killed and
 * prints the id of each once the store has acknowledged it. Task `consume` says `ready`, waits for a line with `[id, digest, now][]`, tries to use each of
 * these requests, and prints the ids that it got.
 */
const [module, exported, argument, task] = process.argv.slice(2) as [string, string, string, string];
const open = (await import(module))[exported] as (argument: unknown) => Promise<Store>;
const store = await open(JSON.parse(argument));
if (task === 'write') {
  for (;;) {
    const ticket = sampleTicket();
    await store.tickets.insert(ticket);
    process.stdout.write(`${ticket.id}\n`);
  }
} else {
  process.stdout.write('ready\n');
  const [line] = await once(process.stdin, 'data');
  for (const [id, digest, now] of JSON.parse(String(line)) as [string, string, number][]) {
    if (await store.approvals.consume(id, digest, now)) process.stdout.write(`${id}\n`);
  }
  await store.close();
  process.exit(0);
}
