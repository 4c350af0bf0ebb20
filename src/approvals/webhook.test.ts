import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../model/errors.ts';
import { sampleRequest } from '../storage/store.samples.ts';
import { signature, webhookNotifier } from './webhook.ts';

const key = Buffer.alloc(32, 7);
const secret = `whsec_${key.toString('base64')}`;
const second = Buffer.alloc(32, 8);

describe('the webhook notifier', () => {
  let server: Server;
  let url: string;
  let got: { path: string | undefined; headers: IncomingHttpHeaders; body: string }[];
  /** What the server answers, in turn; the last one for good. */
  let statuses: number[];

  beforeEach(async () => {
    got = [];
    statuses = [204];
    server = createServer(async (request, response) => {
      got.push({ path: request.url, headers: request.headers, body: await text(request) });
      const status = (statuses.length > 1 ? statuses.shift() : statuses[0]) as number;
      if (status === 0) request.socket.destroy();
      else response.writeHead(status, { location: '/elsewhere' }).end('x');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?token=t0psecret`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  const notifier = (changes = {}) =>
    webhookNotifier({
      name: 'chat',
      url,
      secrets: [secret],
      now: () => 1_700_000_000_999,
      delaysMs: [1, 1],
      ...changes,
    });
  const link = 'https://gw.example/approvals/1';
  const signal = new AbortController().signal;

  it('signs what it sends so that the receiver can check it', async () => {
    const request = sampleRequest();
    await notifier({ secrets: [secret, `whsec_${second.toString('base64')}`] }).notify(request, link, signal);
    const { headers, body } = got[0] as (typeof got)[0];
    expect(headers['webhook-id']).toBe(`msg_${request.id}`);
    expect(headers['webhook-timestamp']).toBe('1700000000');
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
    const expected = [key, second].map((each) => `v1,${createHmac('sha256', each).update(signed).digest('base64')}`);
    expect(headers['webhook-signature']).toBe(expected.join(' '));
    expect(JSON.parse(body)).toMatchObject({
      type: 'approval.requested',
      data: { id: request.id, digest: request.digest, link },
    });
  });

  it('signs another body, time or id differently', () => {
    const signatures = [
      signature(key, 'a', 1, 'b'),
      signature(key, 'a', 1, 'c'),
      signature(key, 'a', 2, 'b'),
      signature(key, 'b', 1, 'b'),
      signature(second, 'a', 1, 'b'),
    ];
    expect(new Set(signatures).size).toBe(5);
  });

  it('sends neither the command nor its values', async () => {
    await notifier().notify(
      sampleRequest({ text: 'select canary', parameters: ['canary'], resources: ['canary'] }),
      link,
      signal,
    );
    expect(got[0]?.body).not.toContain('canary');
  });

  it('tries again with the same id after an error and after a lost connection', async () => {
    statuses = [500, 0, 200];
    await notifier().notify(sampleRequest(), link, signal);
    expect(got).toHaveLength(3);
    expect(new Set(got.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  });

  it('gives up in the end, without the address in its error', async () => {
    statuses = [503];
    const error = await notifier()
      .notify(sampleRequest(), link, signal)
      .catch((caught: unknown) => String(caught));
    expect(error).toMatch(/answered 503 after 3 tries/);
    expect(error).not.toContain('t0psecret');
    expect(got).toHaveLength(3);
  });

  it('does not follow a redirect', async () => {
    statuses = [307];
    await expect(notifier({ delaysMs: [] }).notify(sampleRequest(), link, signal)).rejects.toThrow(/answered 307/);
    expect(got.map(({ path }) => path)).toEqual(['/hook?token=t0psecret']);
  });

  it('stops for good at 410', async () => {
    statuses = [410];
    await expect(notifier().notify(sampleRequest(), link, signal)).rejects.toThrow(/answered 410 after 1 tries/);
  });

  it('stops when the gateway does', async () => {
    statuses = [503];
    const stop = new AbortController();
    const sent = notifier({ delaysMs: [3_600_000] }).notify(sampleRequest(), link, stop.signal);
    while (got.length === 0) await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    await expect(sent).rejects.toThrow();
    expect(got).toHaveLength(1);
  });

  it.each([
    ['plain http to another machine', { url: 'http://chat.example/hook' }],
    ['no address', { url: 'chat' }],
    ['another scheme', { url: 'file:///etc/passwd' }],
    ['no secret', { secrets: [] }],
    ['a secret that is too short', { secrets: ['whsec_c2hvcnQ='] }],
    ['a secret without its prefix', { secrets: [key.toString('base64')] }],
  ])('refuses %s', (_, changes) => {
    expect(() => notifier(changes)).toThrow(ConfigError);
  });
});
