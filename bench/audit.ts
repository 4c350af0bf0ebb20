import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AuditLog, openAuditLog } from '../src/audit/log.ts';

/** What `writers` callers in a closed loop get from the log: each appends its next intent when the one before is durable. */
export interface AuditBench {
  readonly writers: number;
  readonly writes: 'sync' | 'async';
  /** Median of one durable write of this disk, µs. */
  readonly diskUs: number;
  /** Append to granted, µs. */
  readonly p50: number;
  readonly p99: number;
  readonly eventsPerSecond: number;
  /** CPU of the whole process, with the thread that hashes, signs and indexes. */
  readonly cpuUsPerEvent: number;
}

export interface AuditBenchOptions {
  readonly dir: string;
  readonly writers: readonly number[];
  readonly seconds: number;
}

/** Intents of a usual size (about 450 bytes), each with its outcome as a note, so two events a round. */
export async function benchAudit({ dir, writers, seconds }: AuditBenchOptions): Promise<readonly AuditBench[]> {
  const results: AuditBench[] = [];
  for (const count of writers) {
    const log = await openAuditLog({ dir: join(dir, String(count)), origin: 'bench.example/audit' });
    // The spare segments are made first: their preallocation is not what is measured.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    results.push(await measure(log, count, seconds));
    await log.close();
  }
  return results;
}

async function measure(log: AuditLog, writers: number, seconds: number): Promise<AuditBench> {
  const latencies: number[] = [];
  const cpu = process.cpuUsage();
  const begin = performance.now();
  const end = begin + seconds * 1000;
  let events = 0;
  const loop = (writer: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const session = `0197f3c2-0000-7000-8000-${String(writer).padStart(12, '0')}`;
      const prefix = `"session":"${session}","principal":"github:repo:shop/orders","target":"orders"`;
      const decision = '"decision":"allow","rules":["agents-read"],"policy":"0123456789abcdef"';
      const asked = '"verb":"SELECT","actions":["read"],"resources":["read Table public.orders"]';
      let exchange = 0;
      const next = (): void => {
        const started = performance.now();
        if (started >= end) {
          resolve();
          return;
        }
        exchange++;
        const text = `"text":"select id, total, state from public.orders where id = ${exchange}"`;
        log.intend(
          `"type":"command.intent",${prefix},"exchange":${exchange},${decision},${asked},${text}`,
          () => {
            latencies.push((performance.now() - started) * 1000);
            log.note(`"type":"command.outcome",${prefix},"exchange":${exchange},"status":"ok","rows":1,"bytes":64`);
            events += 2;
            next();
          },
          reject,
        );
      };
      next();
    });
  await Promise.all(Array.from({ length: writers }, (_, i) => loop(i)));
  const took = (performance.now() - begin) / 1000;
  // With the hashing and indexing that these events still owe.
  await log.checkpoint();
  const { user, system } = process.cpuUsage(cpu);
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => Math.round(latencies[Math.floor(latencies.length * share)] ?? 0);
  return {
    writers,
    writes: log.writes,
    diskUs: Math.round(log.writeUs),
    p50: at(0.5),
    p99: at(0.99),
    eventsPerSecond: Math.round(events / took),
    cpuUsPerEvent: Number(((user + system) / events).toFixed(2)),
  };
}

if (import.meta.main) {
  const dir = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'sallyport-bench-audit-'));
  try {
    console.table(await benchAudit({ dir, writers: [1, 8, 32, 256], seconds: 3 }));
  } finally {
    rmSync(dir, { recursive: true });
  }
}
