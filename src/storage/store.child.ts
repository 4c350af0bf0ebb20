import { sampleTicket } from './store.samples.ts';
import type { Store } from './store.ts';

/**
 * A process of the contract suite that writes until it is killed: opens the store as told (`module export argument`) and prints the id of
 * each ticket once the store has acknowledged it.
 */
const [module, exported, argument] = process.argv.slice(2) as [string, string, string];
const open = (await import(module))[exported] as (argument: unknown) => Promise<Store>;
const store = await open(JSON.parse(argument));
for (;;) {
  const ticket = sampleTicket();
  await store.tickets.insert(ticket);
  process.stdout.write(`${ticket.id}\n`);
}
