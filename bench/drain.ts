import type { Endpoint } from './endpoint.ts';
import { connect, message, readyAndIdle } from './wire-client.ts';

/**
 * Runs one query and counts the bytes of its result, as a process of its own: `drain.ts '{"endpoint":…,"sql":…,"rows":…}'`.
 * Prints `{"bytes":…,"seconds":…}`. Fails unless exactly `rows` rows came.
 */
export interface DrainRequest {
  readonly endpoint: Endpoint;
  readonly sql: string;
  readonly rows: number;
}

export interface Drained {
  readonly bytes: number;
  /** From sending the query to the last byte. */
  readonly seconds: number;
}

const { endpoint, sql, rows } = JSON.parse(process.argv[2]!) as DrainRequest;
const end = Buffer.concat([message('C', `SELECT ${rows}\0`), readyAndIdle]);
const socket = await connect(endpoint);
const query = message('Q', `${sql}\0`);
let bytes = 0;
let tail: Buffer = Buffer.alloc(0);
const start = performance.now();
socket.on('data', (chunk: Buffer) => {
  bytes += chunk.length;
  tail = chunk.length >= end.length ? chunk.subarray(-end.length) : Buffer.concat([tail, chunk]).subarray(-end.length);
  if (!tail.equals(end)) {
    if (tail.subarray(-readyAndIdle.length).equals(readyAndIdle)) fail('the result is not the one that was asked for');
    return;
  }
  const drained: Drained = { bytes, seconds: (performance.now() - start) / 1000 };
  process.stdout.write(`${JSON.stringify(drained)}\n`);
  socket.removeAllListeners('close').end(message('X', ''));
});
socket.on('close', () => fail('the connection ended early'));
socket.write(query);
socket.resume();

function fail(why: string): never {
  process.stderr.write(`${why}; it ends with ${JSON.stringify(tail.toString('latin1'))}\n`);
  process.exit(1);
}
