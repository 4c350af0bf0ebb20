import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** What pgbench wrote with --log: a line for each transaction (PostgreSQL manual, “pgbench”, “Per-Transaction Logging”). */
export interface TransactionLog {
  /** µs of each transaction, sorted upwards. */
  readonly latencies: Float64Array;
  /** When each ended, ms since the epoch, sorted upwards. */
  readonly ends: Float64Array;
}

/** Reads the files that begin with `prefix` (one for each thread) and removes them. */
export function readTransactionLog(prefix: string): TransactionLog {
  const latencies: number[] = [];
  const ends: number[] = [];
  const folder = dirname(prefix);
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(`${basename(prefix)}.`)) continue;
    const file = join(folder, name);
    parse(readFileSync(file), latencies, ends);
    rmSync(file);
  }
  return { latencies: Float64Array.from(latencies).sort(), ends: Float64Array.from(ends).sort() };
}

/** `client transaction latency script seconds microseconds`; hundreds of thousands of lines, hence byte by byte. */
function parse(bytes: Buffer, latencies: number[], ends: number[]): void {
  const fields = [0, 0, 0, 0, 0, 0];
  let field = 0;
  let failed = false;
  for (const byte of bytes) {
    if (byte === 0x20) {
      field += 1;
    } else if (byte === 0x0a) {
      if (field >= 5 && !failed) {
        latencies.push(fields[2]!);
        ends.push(fields[4]! * 1000 + fields[5]! / 1000);
      }
      fields.fill(0);
      field = 0;
      failed = false;
    } else if (byte < 0x30 || byte > 0x39) {
      failed = true; // In place of its latency a transaction that failed has the word `failed`.
    } else if (field < 6) {
      fields[field] = fields[field]! * 10 + byte - 0x30;
    }
  }
}

/** How many transactions ended between two moments, ms since the epoch. */
export function endedBetween({ ends }: TransactionLog, from: number, to: number): number {
  return position(ends, to) - position(ends, from);
}

function position(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
