import { hostname as machine } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import type { AuditEvent } from '../model/event.ts';
import type { Backoff } from './backoff.ts';
import type { SinkConfig } from './config.ts';
import { CursorFile } from './cursor.ts';
import { DeadLetters } from './dead-letters.ts';
import { Feed, type LogReader } from './feed.ts';
import { openSink } from './open-sink.ts';
import type { SecretOf } from './secret.ts';
import { Shipper, type SinkMetrics } from './shipper.ts';

export interface ShippingOptions {
  readonly sinks: readonly SinkConfig[];
  /** One folder a sink is made in it. */
  readonly dir: string;
  /** The audit log's origin. */
  readonly log: string;
  /** A reader of shipping's own: `close` closes it. */
  readonly reader: LogReader;
  /** Into the audit log. */
  readonly record: (event: AuditEvent) => Promise<unknown>;
  readonly secretOf: SecretOf;
  /** For the operator. */
  readonly warn: (message: string, fields: Readonly<Record<string, string | number>>) => void;
  readonly now?: () => number;
  readonly random?: () => number;
  readonly stdout?: Writable;
  readonly hostname?: string;
  /** How often the end of the log is looked for, ms. */
  readonly pollMs?: number;
  readonly backoff?: Backoff;
  readonly announceMs?: number;
}

/** Sends the audit log to its receivers. Nothing that passes the gateway waits for it. */
export interface Shipping {
  /** One for each sink, in the configuration's order. */
  metrics(): readonly SinkMetrics[];
  /** Resolves when nothing of it runs any more; what was not acknowledged is sent at the next start. */
  close(): Promise<void>;
}

/** Starts all sinks; none is waited for. Throws ConfigError where a sink's files cannot be read. */
export async function openShipping(options: ShippingOptions): Promise<Shipping> {
  const { sinks, dir, log, reader, record, secretOf, warn, pollMs = 1000 } = options;
  const { now = Date.now, random = Math.random, stdout = process.stdout, hostname = machine() } = options;
  const feed = new Feed(reader);
  const shippers: Shipper[] = [];
  for (const config of sinks) {
    const { name, kind, format, from, timeout: timeoutMs } = config;
    const sink = openSink(config, { hostname, stdout, secretOf, now });
    const folder = join(dir, name);
    const cursor = await CursorFile.open(folder, log);
    const deadLetters = new DeadLetters(folder);
    const { backoff, announceMs } = options;
    const times = {
      ...(backoff === undefined ? {} : { backoff }),
      ...(announceMs === undefined ? {} : { announceMs }),
    };
    const own = { name, kind, format, from, timeoutMs, sink, feed, cursor, deadLetters };
    shippers.push(new Shipper({ ...own, log, record, warn, now, random, ...times }));
  }
  for (const { name, kind, format, from, ...rest } of sinks) {
    const receiver = receiverOf(rest);
    await record({
      type: 'shipping.started',
      sink: name,
      kind,
      format,
      from,
      ...(receiver === undefined ? {} : { receiver }),
    });
  }
  for (const shipper of shippers) shipper.start();
  const poll = shippers.length === 0 ? undefined : poller(feed, shippers, pollMs);
  return {
    metrics: () => shippers.map((shipper) => shipper.metrics()),
    async close() {
      poll?.();
      await Promise.all(shippers.map((shipper) => shipper.close()));
      await reader.close();
    },
  };
}

/** Host and port, or the file: where the log goes is itself worth an event. Never the whole URL, which may hold a token. */
function receiverOf(config: Readonly<Record<string, unknown>>): string | undefined {
  const { url, address, path } = config as { url?: string; address?: { host: string; port: number }; path?: string };
  if (url !== undefined) return new URL(url).host;
  return address === undefined ? path : `${address.host}:${address.port}`;
}

/** Wakes the sinks when there is something new. One question at a time; one that fails is the next one's to repeat. */
function poller(feed: Feed, shippers: readonly Shipper[], pollMs: number): () => void {
  let asking = false;
  const timer = setInterval(() => {
    if (asking) return;
    asking = true;
    feed
      .look()
      .then(() => {
        // Not only when there is something newer than this look has seen: another sink may have seen it before.
        for (const shipper of shippers) if (shipper.metrics().lagEvents > 0) shipper.wake();
      })
      // The log's own failure ends the gateway, and each sink notices by its own reads.
      .catch(() => undefined)
      .finally(() => {
        asking = false;
      });
  }, pollMs);
  timer.unref();
  return () => clearInterval(timer);
}
