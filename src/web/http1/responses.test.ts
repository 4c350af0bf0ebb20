import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OutgoingRequest } from '../connection.ts';
import type { Fields } from '../message.ts';
import { Answered, bytesOf, client, Loopback, outgoing, permit, until } from './harness.fixture.ts';

/** What a target may send, and what must come of it. `{x*3}` in `send` stands for `xxx`. */
type Case = {
  readonly name: string;
  readonly send: string;
  /** Of the request. */
  readonly method?: string;
  readonly upgrade?: string;
  /** The target ends its half behind that. */
  readonly ends?: boolean;
} & (
  | { readonly fails: 'UPSTREAM_PROTOCOL' | 'UPSTREAM_UNAVAILABLE' }
  | {
      readonly answer: string;
      /** Whether the connection takes another request. */
      readonly reused: boolean;
      readonly fields?: Fields;
      readonly trailers?: Fields;
      readonly interim?: readonly [number, Fields][];
      readonly length?: number;
    }
);

const corpus: readonly Case[] = JSON.parse(readFileSync(new URL('testdata/responses.json', import.meta.url), 'utf8'));

/** The pieces in which the target sends its answer to the next request; whether it ends then. */
let pieces: readonly Buffer[] = [];
let ends = false;
let target: Loopback;

beforeAll(async () => {
  target = await new Loopback((socket) => {
    socket.setNoDelay();
    socket.once('data', async () => {
      for (const piece of pieces) {
        socket.write(piece);
        if (pieces.length > 1) await new Promise((resolve) => setImmediate(resolve));
      }
      if (ends) socket.end();
    });
  }).listen();
});

afterAll(() => target[Symbol.asyncDispose]());

async function exchange(request: OutgoingRequest): Promise<{ answer: Answered; free: number; closed: boolean }> {
  using connection = await client(target.port);
  let closed = false;
  connection.onClosed(() => {
    closed = true;
  });
  const answer = new Answered();
  connection.send(permit(), request, answer);
  await answer.done;
  // What follows an answer may come a moment later.
  if (answer.error !== undefined) await until(() => closed);
  return { answer, free: connection.free, closed };
}

async function check(one: Case, cut: readonly number[] = []): Promise<void> {
  const bytes = bytesOf(one.send);
  pieces = [...cut, bytes.length].map((to, index) => bytes.subarray(cut[index - 1] ?? 0, to));
  ends = one.ends === true;
  const { method = 'GET', upgrade } = one;
  const { answer, free, closed } = await exchange(outgoing(upgrade === undefined ? { method } : { method, upgrade }));
  if ('fails' in one) {
    expect(answer.error?.kind).toBe(one.fails);
    expect([free, closed]).toEqual([0, true]);
    return;
  }
  expect(answer.error).toBeUndefined();
  expect(`${answer.response?.status} ${answer.text}`).toBe(one.answer);
  // Where the bytes come in pieces, those behind the answer can come after it was taken for good.
  if (cut.length === 0 || one.reused) expect([free, closed]).toEqual(one.reused ? [1, false] : [0, true]);
  if (one.fields !== undefined) expect(answer.response?.fields).toEqual(one.fields);
  if (one.length !== undefined) expect(answer.response?.length).toBe(one.length);
  expect(answer.trailers).toEqual(one.trailers ?? []);
  expect(answer.interim).toEqual(one.interim ?? []);
}

describe('what targets send', () => {
  it('is a corpus of cases with a name each', () => {
    expect(corpus.length).toBeGreaterThan(80);
    expect(new Set(corpus.map(({ name }) => name)).size).toBe(corpus.length);
  });

  for (const one of corpus) it(`${'fails' in one ? 'is refused' : 'is taken'}: ${one.name}`, () => check(one));

  it('comes to the same however it is cut', async () => {
    for (const one of corpus) {
      const { length } = bytesOf(one.send);
      if (length > 0 && length < 300) await check(one, [1 + Math.floor(length / 3), Math.ceil((2 * length) / 3)]);
    }
  });

  it('comes to the same byte by byte', async () => {
    for (const one of corpus.filter((_, index) => index % 6 === 0)) {
      const { length } = bytesOf(one.send);
      if (length > 0 && length < 300)
        await check(
          one,
          Array.from({ length: length - 1 }, (_, index) => index + 1),
        );
    }
  });

  it('ends in one answer or one error, whatever it is', async () => {
    const line = fc.constantFrom(
      'HTTP/1.1 200 OK\r\n',
      'HTTP/1.1 204\r\n',
      'HTTP/1.1 100 C\r\n',
      'HTTP/1.0 200 OK\r\n',
    );
    const fields = fc.array(
      fc.constantFrom(
        'Content-Length: 3\r\n',
        'Transfer-Encoding: chunked\r\n',
        'X: y\r\n',
        'Connection: close\r\n',
        ' x\r\n',
      ),
      { maxLength: 3 },
    );
    const body = fc.constantFrom('', 'abc', '3\r\nabc\r\n0\r\n\r\n', '3\r\nab', 'HTTP/1.1 200 OK\r\n');
    const noise = fc.uint8Array({ maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
    const whole = fc.array(
      fc.tuple(line, fields, body, noise).map(([a, b, c, d]) => `${a}${b.join('')}\r\n${c}${d.length > 12 ? d : ''}`),
      { minLength: 1, maxLength: 2 },
    );
    await fc.assert(
      fc.asyncProperty(whole, async (messages) => {
        pieces = [Buffer.from(messages.join(''), 'latin1')];
        ends = true;
        const { answer } = await exchange(outgoing());
        expect((answer.trailers === undefined) !== (answer.error === undefined)).toBe(true);
        if (answer.error !== undefined) expect(answer.error.kind).toBe('UPSTREAM_PROTOCOL');
      }),
      { numRuns: 300 },
    );
  });
});
