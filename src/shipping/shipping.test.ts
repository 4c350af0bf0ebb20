import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { openAuditLog } from '../audit/log.ts';
import { openAuditReader } from '../audit/reader.ts';
import { ConfigError } from '../model/errors.ts';
import { sinkSchema } from './config.ts';
import { openShipping, type Shipping, type ShippingOptions } from './shipping.ts';
import { log, MemoryLog, Scratch, until } from './testing.fixture.ts';

const scratch = new Scratch();
afterEach(() => scratch.clean());

async function open(
  source: MemoryLog,
  sinks: readonly Record<string, unknown>[],
  over: Partial<ShippingOptions> = {},
): Promise<Shipping> {
  const shipping = await openShipping({
    sinks: sinks.map((sink) => sinkSchema.parse(sink)),
    dir: scratch.dir(),
    log,
    reader: source,
    record: source.record,
    secretOf: async () => undefined,
    warn: () => undefined,
    pollMs: 2,
    ...over,
  });
  return scratch.keep(shipping);
}

describe('shipping', () => {
  it('says in the log where it is sent, without the secrets that an address may hold', async () => {
    const source = new MemoryLog();
    const credential = { env: 'X' };
    await open(source, [
      { name: 'hook', kind: 'webhook', url: 'https://127.0.0.1:9/in?token=t0psecret', credential },
      { name: 'tls', kind: 'syslog', address: 'localhost:9', format: 'ocsf' },
    ]);
    const started = source.events_.filter(({ type }) => type === 'shipping.started');
    expect(started).toMatchObject([
      { sink: 'hook', kind: 'webhook', format: 'native', from: 'beginning', receiver: '127.0.0.1:9' },
      { sink: 'tls', kind: 'syslog', format: 'ocsf', receiver: 'localhost:9' },
    ]);
    expect(JSON.stringify(source.events_)).not.toContain('t0psecret');
  });

  it('asks nothing of the log where there are no sinks', async () => {
    const source = new MemoryLog();
    const shipping = await open(source, []);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(source.asked).toBe(0);
    expect(shipping.metrics()).toEqual([]);
  });

  it('brings every sink to the end of the log, whichever of them sees an event first', async () => {
    const source = new MemoryLog();
    const dir = scratch.dir();
    const names = ['one', 'two', 'three'];
    const sinks = names.map((name) => ({ name, kind: 'file', path: join(dir, name) }));
    const shipping = await open(source, sinks);
    const atEnd = (): boolean => shipping.metrics().every(({ seq }) => seq === source.events_.length);
    for (let round = 0; round < 30; round++) {
      source.add(1 + (round % 3));
      // Some idle when the next event comes, and some are still busy with the last.
      if (round % 2 === 0) await until(atEnd);
      else await new Promise((resolve) => setTimeout(resolve, round % 5));
    }
    await until(atEnd);
    const [first, ...others] = names.map((name) => readFileSync(join(dir, name), 'utf8'));
    for (const other of others) expect(other).toBe(first);
    expect(first!.trimEnd().split('\n')).toHaveLength(source.events_.length);
  });

  it('writes to a stream no faster than it is read, and everything once', async () => {
    const source = new MemoryLog();
    source.add(1200);
    const stdout = new PassThrough({ highWaterMark: 1024 });
    const shipping = await open(source, [{ name: 'out', kind: 'stdout', timeout: '100ms' }], {
      stdout,
      backoff: { firstMs: 1, mostMs: 5 },
    });
    await until(() => shipping.metrics()[0]!.failures > 1);
    expect(shipping.metrics()[0]).toMatchObject({ state: 'failing', seq: 0 });
    const held = stdout.readableLength + stdout.writableLength;
    await until(() => shipping.metrics()[0]!.failures > 3);
    expect(stdout.readableLength + stdout.writableLength).toBe(held);
    const seen: number[] = [];
    let rest = '';
    stdout.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop()!;
      seen.push(...lines.map((line) => (JSON.parse(line) as { seq: number }).seq));
    });
    await until(() => shipping.metrics()[0]!.seq === source.events_.length);
    expect(seen).toEqual(source.events_.map(({ seq }) => seq));
  });

  it('outlives a stream that breaks', async () => {
    const source = new MemoryLog();
    const stdout = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
    const shipping = await open(source, [{ name: 'out', kind: 'stdout' }], { stdout });
    await until(() => shipping.metrics()[0]!.failures > 1);
    expect(shipping.metrics()[0]).toMatchObject({ state: 'failing', reason: 'the stream is closed' });
  });

  it('does not start with a certificate that cannot be read', async () => {
    const sink = { name: 'tls', kind: 'syslog', address: 'localhost:9', tls: { ca: '/nonexistent/ca.pem' } };
    await expect(open(new MemoryLog(), [sink])).rejects.toBeInstanceOf(ConfigError);
  });

  it('puts the fields of a large event back, and leaves its parts out', async () => {
    const dir = scratch.dir();
    const audit = await openAuditLog({ dir: join(dir, 'log'), origin: log, publishMs: 20 });
    const text = 'é"x'.repeat(40_000);
    const huge = 'y'.repeat(1_000_000);
    await audit.record({ type: 'command.denied', session: 's', text });
    const last = await audit.record({ type: 'command.denied', session: 's', text: huge });
    const path = join(dir, 'audit.jsonl');
    const shipping = await open(new MemoryLog(), [{ name: 'lines', kind: 'file', path }], {
      reader: openAuditReader(audit),
      record: (event) => audit.record(event),
    });
    await until(() => shipping.metrics()[0]!.seq > last);
    await shipping.close();
    await audit.close();
    const records = readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(records.map(({ type }) => type)).toEqual(['command.denied', 'command.denied', 'shipping.started']);
    expect(records[0]!.text).toBe(text);
    expect(records[1]!.text).toMatchObject({ parts: expect.any(Number), bytes: huge.length + 2 });
    const [one, two] = records as { seq: number; sallyport: { after: number } }[];
    expect(two!.sallyport.after).toBe(one!.seq);
  });
});
