import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint } from './endpoint.ts';
import { memoryOf } from './proc.ts';
import { connect } from './wire-client.ts';
import type { World } from './world.ts';

export interface IdlePath {
  /** Bytes resident before the first connection and with all of them open. */
  readonly before: number;
  readonly after: number;
}

export interface IdleResult {
  readonly kind: 'idle';
  readonly name: 'idle';
  readonly connections: number;
  readonly paths: { readonly pgbouncer: IdlePath; readonly sallyport: IdlePath };
}

/** Connections made at the same time; more would measure a burst of logins. */
const batch = 20;
/** For garbage of the logins to be collected, as it is in a gateway that has been up for a while. */
const settleMs = 3000;

/** What a proxy holds for clients that have logged in and say nothing. A fresh gateway, so that no earlier load is counted. */
export async function measureIdle(world: World, connections: number): Promise<IdleResult> {
  const gateway = await world.startGateway();
  try {
    const pgbouncer = await hold(world, world.throughPgBouncer, world.pgbouncer.process.pid!, connections);
    const sallyport = await hold(world, world.through(gateway, 'full'), gateway.process.pid!, connections);
    return { kind: 'idle', name: 'idle', connections, paths: { pgbouncer, sallyport } };
  } finally {
    await gateway.stop();
  }
}

async function hold(world: World, endpoint: Endpoint, proxy: number, connections: number): Promise<IdlePath> {
  const before = memoryOf(proxy).rss;
  const open: Socket[] = [];
  try {
    while (open.length < connections) {
      world.signal.throwIfAborted();
      const wanted = Math.min(batch, connections - open.length);
      const results = await Promise.allSettled(Array.from({ length: wanted }, () => connect(endpoint)));
      for (const result of results) {
        if (result.status === 'rejected') continue;
        // Reading on is how a connection that the proxy closes is noticed.
        open.push(result.value.on('error', () => undefined).resume());
      }
      const failed = results.find((result) => result.status === 'rejected');
      if (failed !== undefined) throw new Error(`connection ${open.length + 1} failed: ${String(failed.reason)}`);
    }
    await sleep(settleMs, undefined, { signal: world.signal });
    const lost = open.filter((socket) => socket.destroyed).length;
    if (lost > 0) throw new Error(`${lost} of ${connections} idle connections were lost`);
    return { before, after: memoryOf(proxy).rss };
  } finally {
    for (const socket of open) socket.destroy();
  }
}
