import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, METHODS } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ServerCall } from '../message.ts';
import { bytesOf, Collected, type Loopback, listen, RawPeer, reply, until } from './harness.fixture.ts';

/** What somebody may send, and what must come of it. `{x*3}` in `send` stands for `xxx`. */
type Case = { readonly name: string; readonly send: string } & (
  | { readonly status: number }
  | { readonly body: 'fails' }
  | { readonly calls: readonly string[]; readonly fields?: readonly string[]; readonly upgrade?: string }
);

const corpus: readonly Case[] = JSON.parse(readFileSync(new URL('testdata/requests.json', import.meta.url), 'utf8'));

interface Seen {
  readonly call: ServerCall;
  readonly body: Collected;
}

let seen: Seen[] = [];
let server: Loopback & { readonly bugs: unknown[] };
let judge: { readonly port: number; readonly requests: string[]; close(): void };

beforeAll(async () => {
  server = await listen((call) => {
    const body = new Collected();
    seen.push({ call, body });
    call.body.pipe(body);
    void body.done.then(() => reply(call, '', [], body.error === undefined ? 200 : 400));
  });
  judge = await startJudge();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  judge.close();
});

/** Another reader of the same bytes: the parser of Node itself, which is strict. */
async function startJudge(): Promise<typeof judge> {
  const requests: string[] = [];
  const http = createServer({ insecureHTTPParser: false, requireHostHeader: true, maxHeaderSize: 128 * 1024 });
  const take: Parameters<typeof http.on>[1] = (request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      requests.push(`${request.method} ${request.url} ${Buffer.concat(pieces).toString('latin1')}`);
      response.end();
    });
  };
  http.on('request', take);
  http.on('checkContinue', take);
  http.maxHeadersCount = 0;
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return { port: (http.address() as AddressInfo).port, requests, close: () => void http.close().closeAllConnections() };
}

function statusesOf(heard: string): number[] {
  return [...heard.matchAll(/HTTP\/1\.1 ([0-9]{3}) /g)].map(([, status]) => Number(status));
}

/** Sends a case to our server. `cut` are positions at which the bytes are cut into pieces. */
async function send(bytes: Buffer, enough: (peer: RawPeer) => boolean, cut: readonly number[] = []): Promise<RawPeer> {
  seen = [];
  const peer = await RawPeer.to(server.port);
  let from = 0;
  for (const to of [...cut, bytes.length]) {
    peer.say(bytes.subarray(from, to));
    from = to;
    if (cut.length > 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => enough(peer), `an answer to ${JSON.stringify(bytes.toString('latin1').slice(0, 300))}`);
  return peer;
}

async function check(one: Case, cut: readonly number[] = []): Promise<void> {
  const bytes = bytesOf(one.send);
  if ('calls' in one) {
    using peer = await send(bytes, ({ heard }) => statusesOf(heard).length === one.calls.length, cut);
    const calls = seen.map(
      ({ call, body }) => `${call.request.method} ${call.request.target} ${call.request.authority} ${body.text}`,
    );
    expect(calls).toEqual(one.calls);
    expect(statusesOf(peer.heard)).toEqual(one.calls.map(() => 200));
    expect(seen[0]?.call.request.upgrade).toBe(one.upgrade);
    if (one.fields !== undefined) expect(seen[0]?.call.request.fields).toEqual(one.fields);
    return;
  }
  using peer = await send(bytes, ({ ended, closed }) => ended || closed, cut);
  if ('status' in one) {
    expect(seen).toEqual([]);
    expect(statusesOf(peer.heard)).toEqual([one.status]);
  } else {
    expect(seen.map(({ body }) => body.error?.kind)).toEqual(['CLIENT_PROTOCOL']);
    expect(statusesOf(peer.heard)).toEqual([400]);
  }
  expect(peer.heard).toContain('\r\nconnection: close\r\n');
}

describe('what callers send', () => {
  it('is a corpus of at least 80 cases, each in one kind', () => {
    expect(corpus.length).toBeGreaterThan(80);
    expect(new Set(corpus.map(({ name }) => name)).size).toBe(corpus.length);
  });

  for (const one of corpus) {
    const what =
      'status' in one ? `is refused with ${one.status}` : 'body' in one ? 'has its body refused' : 'is taken';
    it(`${what}: ${one.name}`, () => check(one));
  }

  it('comes to the same however it is cut', async () => {
    for (const one of corpus) {
      const { length } = bytesOf(one.send);
      if (length > 400) continue;
      await check(one, [1 + Math.floor(length / 3), Math.ceil((2 * length) / 3)]);
    }
  });

  it('comes to the same byte by byte', async () => {
    for (const one of corpus.filter((_, index) => index % 8 === 0)) {
      const { length } = bytesOf(one.send);
      if (length < 400)
        await check(
          one,
          Array.from({ length: length - 1 }, (_, index) => index + 1),
        );
    }
  });

  it('never ended our side by a bug of ours', () => {
    expect(server.bugs).toEqual([]);
  });
});

/** What the judge makes of bytes, as far as it gets. */
async function judged(bytes: Buffer, count: number): Promise<string[]> {
  judge.requests.length = 0;
  using peer = await RawPeer.to(judge.port);
  peer.say(bytes);
  await until(
    () => judge.requests.length >= count || peer.ended || peer.closed,
    `the judge on ${JSON.stringify(bytes.toString('latin1').slice(0, 300))}`,
  );
  return [...judge.requests];
}

function requestsSeen(): string[] {
  return seen.map(({ call, body }) => `${call.request.method} ${call.request.target} ${body.text}`);
}

describe('what we take as requests', () => {
  it('is taken by Node as the same requests with the same bodies', async () => {
    const taken = corpus.filter((one) => 'calls' in one);
    expect(taken.length).toBeGreaterThan(20);
    for (const one of taken) {
      const bytes = bytesOf(one.send);
      (await send(bytes, ({ heard }) => statusesOf(heard).length === one.calls.length))[Symbol.dispose]();
      // In absolute-form the path is ours, the whole is Node's.
      const theirs = (await judged(bytes, one.calls.length)).map((text) =>
        text.replace(/ http:\/\/a\.test(\/?)/i, (_, slash: string) => ` ${slash === '' ? '/' : '/'}`),
      );
      expect(theirs.slice(0, one.calls.length), one.name).toEqual(requestsSeen());
    }
  });

  it('is taken by Node as the same, whatever is made of pieces of requests', async () => {
    const line = fc.constantFrom(
      'GET / HTTP/1.1',
      'POST /a?b HTTP/1.1',
      'PUT /\\ HTTP/1.1',
      'HEAD // HTTP/1.1',
      'GET /a b HTTP/1.1',
      'DELETE /%00 HTTP/1.0',
      'post / HTTP/1.1',
    );
    const name = fc.constantFrom(
      'Content-Length',
      'Transfer-Encoding',
      'content-length ',
      'X',
      'Connection',
      'Expect',
      'Host',
      'Trailer',
      ' X',
      'Content_Length',
    );
    const value = fc.constantFrom(
      '0',
      '3',
      '5',
      'chunked',
      ' chunked',
      'close',
      'keep-alive',
      '3 ',
      '\t3',
      '+3',
      '3,3',
      'x',
      'b.test',
      '100-continue',
      'a\nContent-Length: 5',
      'a\r\n b',
      '',
    );
    const colon = fc.constantFrom(': ', ':', ' :', ':\t');
    const end = fc.constantFrom('\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r');
    const field = fc.tuple(name, colon, value, end).map((parts) => parts.join(''));
    const body = fc.constantFrom(
      '',
      'abc',
      'abcde',
      '3\r\nabc\r\n0\r\n\r\n',
      '3;x\r\nabc\r\n0\r\n\r\n',
      '0\r\n\r\n',
      '5\r\nabcde\r\n0\r\nX: y\r\n\r\n',
      '03\r\nabc\r\n00\r\n\r\n',
      '3\nabc\n0\n\n',
    );
    const request = fc
      .tuple(line, fc.array(field, { maxLength: 3 }), body)
      .map(([first, fields, rest]) => `${first}\r\nHost: a.test\r\n${fields.join('')}\r\n${rest}`);
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 2 }), async (requests) => {
        const bytes = Buffer.from(
          `${requests.join('')}GET /last HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`,
          'latin1',
        );
        // Every stream is either cut off or comes to its last request, unless a body is still waited for.
        const peer = await send(bytes, (one) => one.ended || one.closed || waits());
        peer[Symbol.dispose]();
        const whole = seen.filter(({ body: { trailers } }) => trailers !== undefined);
        const unknown = whole.findIndex(({ call }) => !METHODS.includes(call.request.method));
        const complete = whole
          .slice(0, unknown === -1 ? undefined : unknown)
          .map(({ call, body: { text } }) => `${call.request.method} ${call.request.target} ${text}`);
        taken += complete.length;
        if (complete.length > 0)
          expect((await judged(bytes, complete.length)).slice(0, complete.length)).toEqual(complete);
      }),
      { numRuns: 400 },
    );
    expect(taken).toBeGreaterThan(50);
    expect(server.bugs).toEqual([]);

    function waits(): boolean {
      const last = seen.at(-1);
      return last !== undefined && last.body.error === undefined && last.body.trailers === undefined;
    }
  });

  it('is nothing, whatever bytes come', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 64 }), async (noise) => {
        const bytes = Buffer.concat([Buffer.from(noise), Buffer.from('\r\n\r\n')]);
        const peer = await send(bytes, ({ ended, closed }) => ended || closed);
        peer[Symbol.dispose]();
        expect(seen).toEqual([]);
      }),
      { numRuns: 200 },
    );
    expect(server.bugs).toEqual([]);
  });

  it('may have any method that Node knows, but CONNECT', async () => {
    const methods = METHODS.filter((method) => method !== 'CONNECT');
    const bytes = Buffer.from(methods.map((method) => `${method} / HTTP/1.1\r\nHost: a.test\r\n\r\n`).join(''));
    using peer = await send(bytes, ({ heard }) => statusesOf(heard).length === methods.length);
    expect(seen.map(({ call }) => call.request.method)).toEqual(methods);
    expect(peer.closed).toBe(false);
  });
});
