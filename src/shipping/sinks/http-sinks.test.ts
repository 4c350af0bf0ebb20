import { createHash, createHmac } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { testAuthority } from '../../../test/support/certificates.ts';
import { callerKeyId, callerSecret, verifyV4 } from '../../protocols/http/credentials/sigv4/verify.ts';
import { sinkSchema } from '../config.ts';
import { openSink } from '../open-sink.ts';
import { BatchRefused, type Sink, Undelivered } from '../sink.ts';
import { FakeReceiver, type Got, log, recordsOf, Scratch, secretOf } from '../testing.fixture.ts';
import type { ClientTls } from '../tls.ts';
import { OtlpSink } from './otlp.ts';
import { objectName } from './s3.ts';

// The receivers here are fakes that speak the products' protocols over real HTTP; the products themselves are not in it.

const scratch = new Scratch();
let fake: FakeReceiver;
let secret = 'token-1';
beforeEach(async () => {
  fake = scratch.keep(await FakeReceiver.start());
  secret = 'token-1';
});
afterEach(() => scratch.clean());

const now = Date.UTC(2026, 10, 20, 12, 30, 5);
const signal = (): AbortSignal => AbortSignal.timeout(5000);

function open(config: Record<string, unknown>): Sink {
  const parsed = sinkSchema.parse({ name: 'siem', url: fake.url.href, ...config });
  const deps = { hostname: 'gw', stdout: process.stdout, secretOf: async () => secret, now: () => now };
  return scratch.keep(openSink(parsed, deps));
}
const credential = { env: 'TOKEN' };
const kinds = {
  otlp: { kind: 'otlp', credential },
  splunk: { kind: 'splunk', credential },
  elastic: { kind: 'elastic', credential, index: 'audit' },
  webhook: { kind: 'webhook', credential },
  s3: { kind: 's3', credential: { ...credential, user: 'AKIA' }, prefix: 'sallyport/' },
} as const;
const names = Object.keys(kinds) as (keyof typeof kinds)[];

/** What a receiver of each kind says when it has taken everything. */
function taken({ body }: Got): { status: number; body?: unknown } {
  const created = { create: { status: 201 } };
  return {
    status: 200,
    body: { items: Array.from({ length: body.split('\n').length >> 1 }, () => created), text: 'Success', code: 0 },
  };
}

describe.each(names)('%s', (kind) => {
  beforeEach(() => {
    secret = kind === 'webhook' ? `whsec_${Buffer.alloc(32, 7).toString('base64')}` : 'token-1';
    fake.reply = taken;
  });

  it('delivers a batch in one request', async () => {
    expect(await open(kinds[kind]).send(recordsOf(3), signal())).toEqual([]);
    expect(fake.got).toHaveLength(1);
    expect(fake.got[0]!.body).toContain('"s3"');
  });

  it('tries again what fails for a reason that can pass, as long as the receiver wishes', async () => {
    const sink = open(kinds[kind]);
    for (const status of [301, 401, 403, 404, 408, 409, 410, 429, 500, 502, 503, 504]) {
      fake.reply = () => ({
        status,
        body: 'not now\u001b[31m\nplease',
        headers: { 'retry-after': '7', location: '/x' },
      });
      const error = await sink.send(recordsOf(2), signal()).catch((caught: unknown) => caught);
      expect(error, String(status)).toBeInstanceOf(Undelivered);
      expect((error as Undelivered).retryAfterMs).toBe(7000);
      expect((error as Undelivered).message).toBe(`answered ${status}: not now [31m please`);
    }
    expect(fake.got.every(({ path }) => path !== '/x')).toBe(true);
  });

  it('does not take for delivered what was reset or cut off', async () => {
    const sink = open(kinds[kind]);
    fake.reply = () => 'reset';
    await expect(sink.send(recordsOf(2), signal())).rejects.toThrow('ECONNRESET');
    fake.reply = () => 'hang';
    await expect(sink.send(recordsOf(2), AbortSignal.timeout(50))).rejects.toMatchObject({ name: 'TimeoutError' });
    fake.reply = (got) => ({ ...taken(got), headers: { 'content-length': '100000' } });
    await expect(sink.send(recordsOf(2), AbortSignal.timeout(100))).rejects.toThrow();
    fake.reply = taken;
    await expect(sink.send(recordsOf(2), signal())).resolves.toEqual([]);
  });

  it('fetches its secret anew after a failure, and never shows it', async () => {
    const sink = open(kinds[kind]);
    const before = secret;
    fake.reply = () => ({ status: 403, body: 'no' });
    const error = (await sink.send(recordsOf(1), signal()).catch((caught: unknown) => caught)) as Error;
    expect(JSON.stringify([error.message, error.stack])).not.toContain(before);
    secret = kind === 'webhook' ? `whsec_${Buffer.alloc(32, 9).toString('base64')}` : 'token-2';
    fake.reply = taken;
    await sink.send(recordsOf(1), signal());
    const [first, second] = fake.got.map(({ headers }) => headers.authorization ?? headers['webhook-signature']);
    expect(first).not.toBe(second);
  });

  it('does not repeat a secret that the receiver repeats', async () => {
    fake.reply = ({ headers }) => ({ status: 401, body: `bad ${headers.authorization} ${secret}` });
    const error = (await open(kinds[kind])
      .send(recordsOf(1), signal())
      .catch((caught: unknown) => caught)) as Error;
    expect(error.message).toMatch(/^answered 401: bad/);
    expect(error.message).not.toContain(secret);
  });

  it('tells whether the records are to blame', async () => {
    fake.reply = () => ({ status: 400, body: 'bad' });
    const sent = open(kinds[kind]).send(recordsOf(2), signal());
    await expect(sent).rejects.toBeInstanceOf(kind === 's3' ? Undelivered : BatchRefused);
  });
});

describe('TLS', () => {
  it('is spoken only to a receiver whose certificate is right', async () => {
    const authority = await testAuthority();
    const { certificate: cert, key } = await authority.server('127.0.0.1', 'siem.example');
    const secure = scratch.keep(await FakeReceiver.start({ cert, key }));
    const receiver = (tls: ClientTls) =>
      scratch.keep(new OtlpSink({ url: secure.url, tls, secret: secretOf('t'), header: undefined, now: () => now }));
    const ca = authority.certificate;
    await receiver({ ca }).send(recordsOf(1), signal());
    await receiver({ ca, servername: 'siem.example' }).send(recordsOf(1), signal());
    const other = (await testAuthority()).certificate;
    for (const tls of [{}, { ca: other }, { ca, servername: 'other.example' }])
      await expect(receiver(tls).send(recordsOf(1), signal())).rejects.toThrow(/CERT|VERIFY|ALTNAME/);
    expect(secure.got).toHaveLength(2);
  });
});

describe('OTLP', () => {
  it('has log records as OTLP/HTTP writes them in JSON', async () => {
    await open(kinds.otlp).send(
      recordsOf(2, () => ({ type: 'auth.failed' })),
      signal(),
    );
    const [got] = fake.got;
    expect(got).toMatchObject({ method: 'POST', path: '/v1/logs', headers: { authorization: 'Bearer token-1' } });
    const { resourceLogs } = JSON.parse(got!.body);
    expect(resourceLogs[0].scopeLogs[0].logRecords[1]).toMatchObject({
      timeUnixNano: '1795176002000000000',
      severityNumber: 10,
      eventName: 'auth.failed',
      body: { stringValue: expect.stringContaining('"seq":2') },
      attributes: expect.arrayContaining([{ key: 'sallyport.seq', value: { intValue: '2' } }]),
    });
  });

  it('puts the secret into the field that it is told to', async () => {
    await open({ ...kinds.otlp, header: 'x-api-key', url: `${fake.url.href}ingest?team=1` }).send(
      recordsOf(1),
      signal(),
    );
    expect(fake.got[0]).toMatchObject({ path: '/ingest?team=1', headers: { 'x-api-key': 'token-1' } });
    expect(fake.got[0]!.headers.authorization).toBeUndefined();
  });

  it('reports a batch of which some were rejected, since nobody says which; it is not sent again', async () => {
    fake.reply = () => ({
      status: 200,
      body: { partialSuccess: { rejectedLogRecords: '1', errorMessage: 'too old' } },
    });
    const refused = await open(kinds.otlp).send(recordsOf(3), signal());
    expect(refused).toHaveLength(3);
    expect(refused[0]).toMatchObject({ reason: '1 of 3 rejected: too old', unsure: true });
    fake.reply = () => ({ status: 200, body: { partialSuccess: { rejectedLogRecords: 3 } } });
    const all = await open(kinds.otlp).send(recordsOf(3), signal());
    expect(all.map(({ unsure }) => unsure)).toEqual([undefined, undefined, undefined]);
    fake.reply = () => ({ status: 200, body: { partialSuccess: { errorMessage: 'a warning' } } });
    expect(await open(kinds.otlp).send(recordsOf(3), signal())).toEqual([]);
  });
});

describe('Splunk', () => {
  it('has events as the collector reads them', async () => {
    await open({ ...kinds.splunk, index: 'security' }).send(recordsOf(2), signal());
    const [got] = fake.got;
    expect(got).toMatchObject({ path: '/services/collector/event', headers: { authorization: 'Splunk token-1' } });
    const events = got!.body.split('\n').map((line) => JSON.parse(line));
    expect(events[1]).toMatchObject({
      time: 1795176002,
      host: log,
      index: 'security',
      sourcetype: 'sallyport:audit',
      event: { seq: 2 },
      fields: { id: `${log}#2`, seq: 2 },
    });
  });

  it('waits until a batch is indexed where the token acknowledges', async () => {
    let asked = 0;
    fake.reply = ({ path, body }) => {
      if (!path.startsWith('/services/collector/ack?channel='))
        return { status: 200, body: { text: 'Success', code: 0, ackId: 3 } };
      expect(JSON.parse(body)).toEqual({ acks: [3] });
      asked += 1;
      return { status: 200, body: { acks: { 3: asked > 1 } } };
    };
    await open({ ...kinds.splunk, acknowledgement: true }).send(recordsOf(1), signal());
    expect(asked).toBe(2);
    const channels = fake.got.map(({ headers }) => headers['x-splunk-request-channel']);
    expect(new Set(channels).size).toBe(1);
  });

  it('does not take a batch for indexed that never is, or that has no number', async () => {
    fake.reply = () => ({ status: 200, body: { ackId: 3, acks: { 3: false } } });
    const sink = open({ ...kinds.splunk, acknowledgement: true });
    await expect(sink.send(recordsOf(1), AbortSignal.timeout(100))).rejects.toThrow();
    fake.reply = () => ({ status: 200, body: { text: 'Success' } });
    await expect(sink.send(recordsOf(1), signal())).rejects.toThrow('no ackId');
  });
});

describe('Elastic', () => {
  const items = (...statuses: number[]) => ({
    status: 200,
    body: {
      errors: true,
      items: statuses.map((status) => ({
        create: {
          status,
          ...(status < 300 ? {} : { error: { type: 'document_parsing_exception', reason: 'bad field' } }),
        },
      })),
    },
  });

  it('creates each record under its id', async () => {
    fake.reply = taken;
    await open({ ...kinds.elastic, format: 'ecs' }).send(recordsOf(2), signal());
    const [got] = fake.got;
    expect(got).toMatchObject({ path: '/_bulk', headers: { authorization: 'ApiKey token-1' } });
    const lines = got!.body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines[0]).toEqual({ create: { _index: 'audit', _id: `${log}#1` } });
    expect(lines).toHaveLength(4);
  });

  it('logs in with a password where there is a user', async () => {
    fake.reply = taken;
    await open({ ...kinds.elastic, credential: { ...credential, user: 'shipper' } }).send(recordsOf(1), signal());
    expect(fake.got[0]!.headers.authorization).toBe(`Basic ${Buffer.from('shipper:token-1').toString('base64')}`);
  });

  it('returns the items that are refused, and those alone; one that is there already is no failure', async () => {
    fake.reply = () => items(201, 400, 409, 201);
    const refused = await open(kinds.elastic).send(recordsOf(4), signal());
    expect(refused.map(({ record, reason }) => [record.event.seq, reason])).toEqual([
      [2, '400 document_parsing_exception: bad field'],
    ]);
  });

  it('tries the batch again when an item may yet be taken, or the answer does not speak of all', async () => {
    fake.reply = () => items(201, 400, 429, 503);
    await expect(open(kinds.elastic).send(recordsOf(4), signal())).rejects.toThrow('2 of 4 records were not taken yet');
    for (const body of ['not json', { items: [] }, { items: 'x' }, [], { errors: false }]) {
      fake.reply = () => ({ status: 200, body });
      await expect(open(kinds.elastic).send(recordsOf(1), signal())).rejects.toBeInstanceOf(Undelivered);
    }
    fake.reply = () => ({ status: 200, body: { items: [null, { index: {} }, { create: { status: '201' } }] } });
    await expect(open(kinds.elastic).send(recordsOf(3), signal())).rejects.toThrow('3 of 3');
  });
});

describe('the webhook', () => {
  const key = Buffer.alloc(32, 7);
  const previous = Buffer.alloc(40, 8);

  it('is signed so that the receiver can check it, with both secrets while they are replaced', async () => {
    const secrets = [key, previous].map((one) => `whsec_${one.toString('base64')}`);
    const parsed = sinkSchema.parse({
      name: 'hook',
      url: `${fake.url.href}in?x=1`,
      kind: 'webhook',
      credential: { env: 'A' },
      previous: { env: 'B' },
    });
    const secretOf = async ({ env }: { env?: string | undefined }) => secrets[env === 'A' ? 0 : 1];
    const sink = scratch.keep(openSink(parsed, { hostname: 'gw', stdout: process.stdout, secretOf, now: () => now }));
    await sink.send(recordsOf(2), signal());
    await sink.send(recordsOf(2), signal());
    const { path, headers, body } = fake.got[0]!;
    expect(path).toBe('/in?x=1');
    expect(headers['webhook-timestamp']).toBe(String(now / 1000));
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
    const expected = [key, previous].map((one) => `v1,${createHmac('sha256', one).update(signed).digest('base64')}`);
    expect(headers['webhook-signature']).toBe(expected.join(' '));
    expect(JSON.parse(body)).toMatchObject({
      type: 'audit.records',
      log,
      first: 1,
      last: 2,
      records: [{ seq: 1 }, { seq: 2 }],
    });
    expect(fake.got[1]!.headers['webhook-id']).toBe(headers['webhook-id']);
  });

  it('waits for a secret that is one', async () => {
    secret = 'hunter2';
    const error = (await open(kinds.webhook)
      .send(recordsOf(1), signal())
      .catch((caught: unknown) => caught)) as Error;
    expect(error).toBeInstanceOf(Undelivered);
    expect(error.message).not.toContain('hunter2');
    expect(fake.got).toEqual([]);
  });
});

describe('S3', () => {
  it('puts an object named by its range, only where there is none, with its checksum', async () => {
    await open({ ...kinds.s3, url: `${fake.url.href}bucket/` }).send(recordsOf(3), signal());
    const { method, path, headers, body } = fake.got[0]!;
    const digest = createHash('sha256').update(body).digest('hex');
    const name = `00000000000001-00000000000003-${digest.slice(0, 16)}.jsonl`;
    expect([method, path]).toEqual(['PUT', `/bucket/sallyport/gw.example/audit/2026/11/20/${name}`]);
    expect(headers['if-none-match']).toBe('*');
    expect(headers['x-amz-checksum-sha256']).toBe(createHash('sha256').update(body).digest('base64'));
    expect(headers['x-amz-content-sha256']).toBe(digest);
    expect(body.trimEnd().split('\n')).toHaveLength(3);
  });

  it('takes an object that is there already for its own, and a bucket that is not for a failure', async () => {
    fake.reply = () => ({ status: 412, body: '<Code>PreconditionFailed</Code>' });
    expect(await open(kinds.s3).send(recordsOf(1), signal())).toEqual([]);
    fake.reply = () => ({ status: 409, body: '<Code>ConditionalRequestConflict</Code>' });
    await expect(open(kinds.s3).send(recordsOf(1), signal())).rejects.toBeInstanceOf(Undelivered);
  });

  it('gives what is not the same another name, be it of another log or another content', () => {
    const batch = recordsOf(2);
    const other = batch.map((record) => ({ ...record, log: 'other.example/audit' }));
    const named = [objectName(batch, '', 'aa'), objectName(batch, '', 'bb'), objectName(other, '', 'aa')];
    expect(new Set(named).size).toBe(3);
  });

  it('is signed as the gateway’s own verifier of signatures wants it', async () => {
    const user = callerKeyId;
    secret = callerSecret('token-1');
    await open({ kind: 's3', credential: { ...credential, user }, url: `${fake.url.href}bucket`, prefix: 'a b/' }).send(
      recordsOf(2),
      signal(),
    );
    const { method, path, headers, body } = fake.got[0]!;
    const fields = Object.entries(headers)
      .filter(([name]) => name !== 'host' && name !== 'content-length')
      .flatMap(([name, value]) => [name, String(value)]);
    const request = { version: '1.1', method, target: path, authority: headers.host!, fields } as const;
    const signed = { token: 'token-1', region: 'us-east-1', service: 's3', now, length: body.length };
    expect(verifyV4(request, { ...signed, body: Buffer.from(body) }).payload).toMatchObject({ kind: 'hash' });
    const forged = { ...request, target: path.replace('a%20b', 'b') };
    expect(() => verifyV4(forged, { ...signed, body: Buffer.from(body) })).toThrow();
  });
});
