import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readAuthority } from './authority.ts';
import { BadMessage } from './bad-message.ts';
import { BodyReader } from './body-reader.ts';
import { Inbox } from './inbox.ts';
import { readRequestHead } from './request-head.ts';
import { readResponseHead } from './response-head.ts';
import { writeLastChunk, writeRequestHead, writeResponseHead } from './write-head.ts';

const limits = { headBytes: 64 * 1024, headFields: 200 };

/** What is read of `bytes`, cut where `cuts` say. */
function body(bytes: Buffer, length: number | 'chunked' | 'close', cuts: readonly number[]) {
  const inbox = new Inbox();
  const reader = new BodyReader(length, limits, 100);
  const pieces: Buffer[] = [];
  const kept: string[] = [];
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    inbox.append(Buffer.from(bytes.subarray(from, to)));
    from = to;
    for (let piece = reader.read(inbox); piece !== undefined; piece = reader.read(inbox)) {
      pieces.push(piece);
      kept.push(piece.toString('latin1'));
    }
  }
  // Pieces may be kept: nothing that came later was written over them.
  expect(pieces.map((piece) => piece.toString('latin1'))).toEqual(kept);
  return {
    text: kept.join(''),
    done: reader.done,
    trailers: reader.trailers,
    rest: inbox.take(1000).toString('latin1'),
  };
}

const cuts = (length: number) =>
  fc.array(fc.nat(length), { maxLength: 6 }).map((positions) => [...new Set(positions)].sort((a, b) => a - b));

describe('a body', () => {
  it('in chunks is put together, however it is cut, and nothing behind it is touched', () => {
    const written = fc.array(fc.uint8Array({ minLength: 1, maxLength: 3000 }), { maxLength: 8 });
    fc.assert(
      fc.property(written, fc.infiniteStream(fc.nat()), fc.boolean(), (chunks, numbers, trailed) => {
        const parts: Buffer[] = chunks.flatMap((chunk) => [
          Buffer.from(`${chunk.length.toString(16)}\r\n`),
          Buffer.from(chunk),
          Buffer.from('\r\n'),
        ]);
        const bytes = Buffer.concat([
          ...parts,
          Buffer.from(writeLastChunk(trailed ? ['x-sum', '1'] : [])),
          Buffer.from('NEXT'),
        ]);
        const positions = [...numbers.take(5)].map((number) => number % bytes.length).sort((a, b) => a - b);
        const read = body(bytes, 'chunked', positions);
        expect(read.done).toBe(true);
        expect(Buffer.from(read.text, 'latin1').equals(Buffer.concat(chunks))).toBe(true);
        expect(read.trailers).toEqual(trailed ? ['x-sum', '1'] : []);
        expect(read.rest).toBe('NEXT');
      }),
      { numRuns: 300 },
    );
  });

  it('of a length is taken to its last byte and no further', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), cuts(200), (bytes, positions) => {
        const whole = Buffer.concat([Buffer.from(bytes), Buffer.from('NEXT')]);
        const within = positions.filter((position) => position <= whole.length);
        const read = body(whole, bytes.length, within);
        expect([read.text, read.done, read.rest]).toEqual([Buffer.from(bytes).toString('latin1'), true, 'NEXT']);
      }),
    );
  });

  it('until the end of the connection is everything', () => {
    const read = body(Buffer.from('abc\r\n\r\n'), 'close', [2]);
    expect([read.text, read.done]).toEqual(['abc\r\n\r\n', false]);
  });

  it('of a chunk for every byte comes in few pieces', () => {
    const inbox = new Inbox();
    inbox.append(Buffer.from(`${'1\r\na\r\n'.repeat(1000)}0\r\n\r\n`));
    const reader = new BodyReader('chunked', limits);
    expect(reader.read(inbox)?.toString()).toBe('a'.repeat(1000));
    expect(reader.read(inbox)).toBeUndefined();
    expect(reader.done).toBe(true);
  });

  it('in large chunks is not copied', () => {
    const bytes = Buffer.from(`1000\r\n${'a'.repeat(4096)}\r\n1000\r\n${'b'.repeat(4096)}\r\n0\r\n\r\n`);
    const inbox = new Inbox();
    inbox.append(bytes);
    const reader = new BodyReader('chunked', limits);
    const first = reader.read(inbox) as Buffer;
    const second = reader.read(inbox) as Buffer;
    expect([first.length, second.length]).toEqual([4096, 4096]);
    expect([first.buffer === bytes.buffer, second.buffer === bytes.buffer]).toEqual([true, true]);
  });

  it('in chunks never ends well when it is cut short', () => {
    const whole = Buffer.from('3\r\nabc\r\n5\r\ndefgh\r\n0\r\nX: y\r\n\r\n');
    for (let length = 0; length < whole.length; length++) {
      expect(body(whole.subarray(0, length), 'chunked', []).done).toBe(false);
    }
    expect(body(whole, 'chunked', []).done).toBe(true);
  });
});

describe('the inbox', () => {
  it('lets the memory go of what was taken', () => {
    const inbox = new Inbox();
    inbox.append(Buffer.from('abc'));
    inbox.append(Buffer.from('def'));
    expect(inbox.take(2).toString()).toBe('ab');
    expect(inbox.take(9).toString()).toBe('cdef');
    expect(inbox.bytes.length).toBe(0);
  });

  it('finds the end of a head wherever the bytes are cut', () => {
    const head = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n';
    for (let cut = 1; cut < head.length; cut++) {
      const inbox = new Inbox();
      inbox.append(Buffer.from(head.slice(0, cut)));
      expect(inbox.headEnd(1000)).toBe(-1);
      inbox.append(Buffer.from(`${head.slice(cut)}more`));
      expect(inbox.headEnd(1000)).toBe(head.length - 4);
    }
  });

  it('takes a long head byte by byte without looking at all of it each time', () => {
    const inbox = new Inbox();
    const one = Buffer.from('a');
    for (let count = 0; count < 60_000; count++) {
      inbox.append(one);
      expect(inbox.headEnd(limits.headBytes) === -1).toBe(true);
    }
    for (let count = 0; count < 10_000 && inbox.length <= limits.headBytes; count++) inbox.append(one);
    expect(() => inbox.headEnd(limits.headBytes)).toThrow(BadMessage);
  });

  it('says at once that a line ends wrongly', () => {
    for (const text of ['GET / HTTP/1.1\n', 'GET / HTTP/1.1\r', '\n', '\u0016\u0003\u0001']) {
      const inbox = new Inbox();
      const look = () => {
        inbox.append(Buffer.from(text));
        inbox.headEnd(1000);
        inbox.append(Buffer.from('x'));
        inbox.headEnd(1000);
      };
      expect(look).toThrow(BadMessage);
    }
  });
});

const token = fc.stringMatching(/^[a-z0-9!#$%&'*+.^_`|~-]{1,12}$/);
const value = fc.stringMatching(/^[!-~\u0080-\u00ff](?:[\t -~\u0080-\u00ff]{0,20}[!-~\u0080-\u00ff])?$/);
const connectionOwn =
  /^(?:te|host|expect|upgrade|connection|keep-alive|content-length|http2-settings|proxy-.*|transfer-encoding)$/;
const fields = fc
  .array(fc.tuple(token, value), { maxLength: 10 })
  .map((pairs) => pairs.filter(([name]) => !connectionOwn.test(name)).flat());

describe('a head that was written', () => {
  it('is read as it was meant: requests', () => {
    const framing = fc.oneof(fc.nat(), fc.constant('chunked' as const), fc.constant('none' as const));
    fc.assert(
      fc.property(token, fc.stringMatching(/^\/[!-"$-~]{0,40}$/), fields, framing, (method, target, written, frame) => {
        const head = { method, target, authority: 'a.test', fields: written };
        const bytes = Buffer.from(writeRequestHead(head, frame), 'latin1');
        const read = readRequestHead(bytes, 0, bytes.length - 4, 'http', limits);
        expect(read).toMatchObject(head);
        expect(read.length).toBe(frame === 'chunked' ? undefined : frame === 'none' ? 0 : frame);
      }),
    );
  });

  it('is read as it was meant: responses', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 200, max: 599 }),
        fields,
        fc.nat(),
        fc.boolean(),
        (status, written, length, close) => {
          if (status === 204) return;
          const bytes = Buffer.from(writeResponseHead(status, written, length, close), 'latin1');
          const read = readResponseHead(bytes, 0, bytes.length - 4, 'GET', limits);
          expect(read).toMatchObject({ status, fields: written, declared: length, keepAlive: !close });
        },
      ),
    );
  });

  it('never holds more than it was meant to', () => {
    const breaks = ['\r', '\n', '\0', '\r\n', '\u010a', '\u010d', '\u{1f600}', '\u007f', '\u0001', '\u2028'];
    for (const text of breaks) {
      for (const around of [text, `a${text}`, `${text}b`, `a${text}X: y`]) {
        const out = { method: 'GET', target: '/', authority: 'a.test', fields: [] as string[] };
        expect(() => writeRequestHead({ ...out, fields: ['x', around] }, 'none')).toThrow(TypeError);
        expect(() => writeRequestHead({ ...out, fields: [around, 'y'] }, 'none')).toThrow(TypeError);
        expect(() => writeRequestHead({ ...out, method: around }, 'none')).toThrow(TypeError);
        expect(() => writeRequestHead({ ...out, target: `/${around}` }, 'none')).toThrow(TypeError);
        expect(() => writeRequestHead({ ...out, authority: around }, 'none')).toThrow(TypeError);
        expect(() => writeRequestHead({ ...out, upgrade: around }, 'none')).toThrow(TypeError);
        expect(() => writeResponseHead(200, ['x', around], 0, false)).toThrow(TypeError);
        expect(() => writeResponseHead(200, [around, 'y'], 0, false)).toThrow(TypeError);
        expect(() => writeLastChunk(['x', around])).toThrow(TypeError);
      }
    }
    expect(() => writeResponseHead(600, [], 0, false)).toThrow(TypeError);
    expect(() => writeResponseHead(200, [], Number.NaN, false)).toThrow(TypeError);
    expect(() => writeResponseHead(200, [], -1, false)).toThrow(TypeError);
    expect(() => writeResponseHead(200, ['', 'x'], 0, false)).toThrow(TypeError);
    const connect = { method: 'CONNECT', target: 'a:1', authority: 'a:1', fields: [] };
    expect(() => writeRequestHead(connect, 'none')).toThrow(TypeError);
  });

  it('holds framing of ours alone', () => {
    const sneaked = [
      'content-length',
      '5',
      'transfer-encoding',
      'chunked',
      'connection',
      'close',
      'host',
      'b.test',
      'upgrade',
      'x',
    ];
    expect(writeResponseHead(200, sneaked, 0, false)).toBe('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    expect(writeLastChunk(['content-length', '5', 'x', 'y', 'set-cookie', 'a=b'])).toBe('0\r\nx: y\r\n\r\n');
  });
});

describe('a host', () => {
  it.each([
    ['a.test', 'a.test'],
    ['A.Test:8080', 'a.test:8080'],
    ['127.0.0.1:1', '127.0.0.1:1'],
    ['[2001:DB8::1]', '[2001:db8::1]'],
    ['my_service', 'my_service'],
    ['a.test.', 'a.test.'],
  ])('%s is taken', (sent, read) => expect(readAuthority(sent)).toBe(read));

  it.each([
    '',
    ':80',
    'a:',
    'a:0',
    'a:65536',
    'a:1x',
    'a,b',
    'a b',
    'u@a',
    '[::1',
    '::1',
    '[1.2.3.4]',
    '[::1%1]',
    'a%41',
    'ä.test',
    'a/',
    '[::1]x',
  ])('%s is refused', (sent) => expect(readAuthority(sent)).toBeUndefined());
});
