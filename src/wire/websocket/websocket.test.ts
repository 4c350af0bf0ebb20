import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { closeFrame, encodeFrame } from './encode-frame.ts';
import { type Frame, mayClose, type Sender } from './frame.ts';
import { FrameReader } from './frame-reader.ts';
import { isWebsocketKey, websocketAccept, websocketKey } from './handshake.ts';
import { mask } from './mask.ts';
import { MessageCollector } from './message-collector.ts';
import { Utf8Check } from './utf8.ts';

const limits = { messageBytes: 1_000_000, pieceBytes: 4096 };

function data(kind: 'text' | 'binary', payload: Buffer | string, first = true, fin = true): Frame {
  return { kind, first, fin, payload: Buffer.from(payload) };
}

function control(kind: 'ping' | 'pong', payload = ''): Frame {
  return { kind, first: true, fin: true, payload: Buffer.from(payload) };
}

/** The frames that come of these bytes, cut as told, and the fault that ends them. */
function readAll(sender: Sender, bytes: Buffer, sizes: readonly number[] = [], own = limits) {
  const reader = new FrameReader(sender, own);
  const frames: Frame[] = [];
  let at = 0;
  for (const size of [...sizes, bytes.length]) {
    frames.push(...reader.read(Buffer.from(bytes.subarray(at, at + size))));
    at += size;
  }
  return { frames, fault: reader.fault, closed: reader.closed };
}

function encoded(frames: readonly Frame[], from: Sender): Buffer {
  return Buffer.concat(frames.map((frame) => encodeFrame(frame, from === 'client' ? 'server' : 'client')));
}

describe('frames', () => {
  it('are read as RFC 6455 §5.7 writes them', () => {
    const hello = data('text', 'Hello');
    expect(readAll('server', Buffer.from('810548656c6c6f', 'hex')).frames).toEqual([hello]);
    expect(readAll('client', Buffer.from('818537fa213d7f9f4d5158', 'hex')).frames).toEqual([hello]);
    expect(readAll('server', Buffer.from('010348656c80026c6f', 'hex')).frames).toEqual([
      data('text', 'Hel', true, false),
      data('text', 'lo', false, true),
    ]);
    expect(readAll('server', Buffer.from('890548656c6c6f', 'hex')).frames).toEqual([control('ping', 'Hello')]);
    expect(readAll('client', Buffer.from('8a8537fa213d7f9f4d5158', 'hex')).frames).toEqual([control('pong', 'Hello')]);
    const long = Buffer.alloc(256, 1);
    const longer = Buffer.alloc(65_536, 2);
    const wide = { ...limits, pieceBytes: 100_000 };
    const bytes = Buffer.concat([
      Buffer.from('827e0100', 'hex'),
      long,
      Buffer.from('827f0000000000010000', 'hex'),
      longer,
    ]);
    expect(readAll('server', bytes, [], wide).frames).toEqual([data('binary', long), data('binary', longer)]);
  });

  it('are written as RFC 6455 §5.7 writes them', () => {
    expect(encodeFrame(data('text', 'Hello'), 'client').toString('hex')).toBe('810548656c6c6f');
    const key = (bytes: Buffer) => void Buffer.from('37fa213d', 'hex').copy(bytes);
    expect(encodeFrame(data('text', 'Hello'), 'server', key).toString('hex')).toBe('818537fa213d7f9f4d5158');
    expect(
      encodeFrame(data('binary', Buffer.alloc(256)), 'client')
        .subarray(0, 4)
        .toString('hex'),
    ).toBe('827e0100');
    expect(
      encodeFrame(data('binary', Buffer.alloc(65_536)), 'client')
        .subarray(0, 10)
        .toString('hex'),
    ).toBe('827f0000000000010000');
  });

  it('are the same wherever the bytes are cut', () => {
    const frames = [
      data('text', 'grüße', true, false),
      control('ping', 'x'),
      data('text', ' 🦊 ', false, false),
      data('text', '', false, true),
      data('binary', Buffer.alloc(130, 7)),
      control('pong'),
      closeFrame(1000, 'bye'),
    ];
    for (const sender of ['client', 'server'] as const) {
      const bytes = encoded(frames, sender);
      for (let cut = 0; cut <= bytes.length; cut++) expect(readAll(sender, bytes, [cut]).frames).toEqual(frames);
      expect(readAll(sender, bytes, new Array(bytes.length).fill(1)).frames).toEqual(frames);
    }
  });

  it('larger than a piece come as pieces of one message, the same however they arrive', () => {
    const payload = Buffer.from(Array.from({ length: 10_000 }, (_, index) => index & 255));
    const bytes = encoded([data('binary', payload)], 'client');
    const whole = readAll('client', bytes).frames;
    expect(whole.map(({ first, fin, payload: piece }) => [first, fin, piece.length])).toEqual([
      [true, false, 4096],
      [false, false, 4096],
      [false, true, 1808],
    ]);
    expect(Buffer.concat(whole.map((frame) => frame.payload))).toEqual(payload);
    expect(readAll('client', bytes, [3, 5000, 1, 1]).frames).toEqual(whole);
  });

  it('survive any cutting of any messages', () => {
    const message = fc.record({
      kind: fc.constantFrom('text' as const, 'binary' as const),
      parts: fc.array(fc.string({ unit: 'grapheme', maxLength: 40 }), { minLength: 1, maxLength: 4 }),
      ping: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 5 }),
        fc.array(fc.nat(150), { maxLength: 20 }),
        fc.constantFrom('client' as const, 'server' as const),
        (messages, sizes, sender) => {
          const frames = messages.flatMap(({ kind, parts, ping }) =>
            parts.flatMap((part, index) => [
              data(kind, Buffer.from(part), index === 0, index === parts.length - 1),
              ...(ping ? [control('ping', 'p')] : []),
            ]),
          );
          const read = readAll(sender, encoded(frames, sender), sizes);
          expect(read.fault).toBeUndefined();
          expect(read.frames).toEqual(frames);
          const collector = new MessageCollector();
          const got = read.frames.flatMap((frame) => collector.add(frame) ?? []);
          expect(got).toEqual(
            messages.map(({ kind, parts }) => ({
              kind,
              payload: Buffer.concat(parts.map((part) => Buffer.from(part))),
            })),
          );
        },
      ),
      { numRuns: 100 },
    );
  });

  it('of noise end in a fault or in frames, never in anything else, and the same wherever it is cut', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.array(fc.nat(60), { maxLength: 12 }), (noise, sizes) => {
        for (const sender of ['client', 'server'] as const) {
          const once = readAll(sender, Buffer.from(noise));
          const cut = readAll(sender, Buffer.from(noise), sizes);
          expect(cut.frames).toEqual(once.frames);
          expect(cut.fault?.message).toBe(once.fault?.message);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('towards a server have a fresh key each time', () => {
    const keys = new Set(
      Array.from({ length: 50 }, () => encodeFrame(data('text', ''), 'server').subarray(2, 6).toString('hex')),
    );
    expect(keys.size).toBeGreaterThan(45);
  });
});

describe('a peer that breaks the protocol', () => {
  const cases: readonly (readonly [string, Sender, string, number])[] = [
    ['RSV1, as permessage-deflate sets it', 'server', 'c10548656c6c6f', 1002],
    ['RSV2', 'server', 'a100', 1002],
    ['RSV3', 'server', '9100', 1002],
    ['a reserved data opcode', 'server', '8300', 1002],
    ['a reserved control opcode', 'server', '8b00', 1002],
    ['a client that does not mask', 'client', '810548656c6c6f', 1002],
    ['a client that does not mask an empty ping', 'client', '8900', 1002],
    ['a server that masks', 'server', '818537fa213d7f9f4d5158', 1002],
    ['a ping in fragments', 'server', '0900', 1002],
    ['a close in fragments', 'server', '0800', 1002],
    ['a ping of 126 bytes', 'server', '897e007e', 1002],
    ['a ping with a long length', 'server', '897f', 1002],
    ['a continuation of nothing', 'server', '8000', 1002],
    ['a continuation after the end of its message', 'server', '81008000', 1002],
    ['a text within a text', 'server', '01008100', 1002],
    ['a binary within a text', 'server', '01008200', 1002],
    ['a length of 125 in two bytes', 'server', '827e007d', 1002],
    ['a length of 65535 in eight bytes', 'server', '827f000000000000ffff', 1002],
    ['a length with its highest bit', 'server', '827f8000000000000000', 1009],
    ['a length beyond every message', 'server', '827f0000000100000000', 1009],
    ['a close of one byte', 'server', '880103', 1002],
    ['close code 0', 'server', '88020000', 1002],
    ['close code 999', 'server', '880203e7', 1002],
    ['close code 1004', 'server', '880203ec', 1002],
    ['close code 1005', 'server', '880203ed', 1002],
    ['close code 1006', 'server', '880203ee', 1002],
    ['close code 1015', 'server', '880203f7', 1002],
    ['close code 2999', 'server', '88020bb7', 1002],
    ['close code 5000', 'server', '88021388', 1002],
    ['a close reason that is not UTF-8', 'server', '880403e8c080', 1007],
    ['anything behind a close', 'server', '8800' + '8900', 1002],
    ['an overlong form', 'server', '8102c080', 1007],
    ['a surrogate', 'server', '8103eda080', 1007],
    ['a text beyond U+10FFFF', 'server', '8104f4908080', 1007],
    ['a text that ends within a character', 'server', '8102e282', 1007],
    ['a message of fragments that ends within a character', 'server', '0102e2828000', 1007],
    ['half a character that can be none', 'server', '0101c0', 1007],
  ];
  it.each(cases)('is told so: %s', (_name, sender, hex, code) => {
    const bytes = Buffer.from(hex, 'hex');
    for (let cut = 0; cut < bytes.length; cut++) {
      const { fault } = readAll(sender, bytes, [cut]);
      expect(fault?.closeCode).toBe(code);
      expect(fault?.kind).toBe(sender === 'client' ? 'CLIENT_PROTOCOL' : 'UPSTREAM_PROTOCOL');
    }
  });

  it('has what came before its mistake handed out, and nothing behind it', () => {
    const { frames } = readAll('server', Buffer.from('810161' + 'c10161' + '810162', 'hex'));
    expect(frames).toEqual([data('text', 'a')]);
  });

  it('cannot make a message of small frames larger than allowed', () => {
    const frame = encoded([data('binary', Buffer.alloc(400), true, false)], 'server');
    const more = encoded([data('binary', Buffer.alloc(400), false, false)], 'server');
    const { fault, frames } = readAll('server', Buffer.concat([frame, more, more]), [], {
      ...limits,
      messageBytes: 1000,
    });
    expect(fault?.closeCode).toBe(1009);
    expect(frames.length).toBe(2);
  });

  it('gets no memory for what it only announces', () => {
    const reader = new FrameReader('server', { messageBytes: 2 ** 40, pieceBytes: 2 ** 30 });
    const before = process.memoryUsage().arrayBuffers;
    for (let index = 0; index < 50; index++) {
      const one = new FrameReader('server', { messageBytes: 2 ** 40, pieceBytes: 2 ** 30 });
      one.read(Buffer.from('827f00000000400000006161', 'hex'));
    }
    reader.read(Buffer.from('827f00000000400000006161', 'hex'));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10_000_000);
    expect(reader.fault).toBeUndefined();
  });
});

describe('close frames', () => {
  it('carry a code and a reason cut at a character', () => {
    const { payload } = closeFrame(1008, 'ü'.repeat(100));
    expect(payload.readUInt16BE(0)).toBe(1008);
    expect(payload.length).toBeLessThanOrEqual(125);
    expect(payload.subarray(2).toString()).toBe('ü'.repeat(61));
    expect(() => closeFrame(1006)).toThrow(RangeError);
  });

  it('know the codes that may be sent', () => {
    const may = Array.from({ length: 6000 }, (_, code) => code).filter(mayClose);
    expect(may.filter((code) => code < 3000)).toEqual([
      1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
    ]);
    expect(may.filter((code) => code >= 3000)).toHaveLength(2000);
  });
});

describe('the UTF-8 check', () => {
  it('says of every cutting what Buffer says of the whole', () => {
    const bytes = fc.array(
      fc.oneof(
        fc.constantFrom('a', 'ü', '€', '🦊', '\u{10ffff}').map((text) => [...Buffer.from(text)]),
        fc.constantFrom(
          [0xc0],
          [0x80],
          [0xed, 0xa0, 0x80],
          [0xf4, 0x90],
          [0xe2, 0x82],
          [0xff],
          [0xf0, 0x80, 0x80, 0x80],
        ),
      ),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(bytes, fc.array(fc.nat(5), { maxLength: 10 }), (parts, sizes) => {
        const all = Buffer.from(parts.flat());
        const check = new Utf8Check();
        let good = true;
        let at = 0;
        for (const size of [...sizes, all.length]) {
          good &&= check.write(all.subarray(at, at + size));
          at += size;
        }
        good &&= check.end();
        let expected = true;
        try {
          new TextDecoder('utf-8', { fatal: true }).decode(all);
        } catch {
          expected = false;
        }
        expect(good).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });
});

describe('the mask', () => {
  it('is its own opposite, from any place', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 50 }),
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.nat(9),
        (a, k, at) => {
          const [bytes, key] = [Buffer.from(a), Buffer.from(k)];
          mask(bytes, key, at);
          expect([...bytes]).toEqual([...a].map((byte, index) => byte ^ key[(index + at) % 4]!));
        },
      ),
    );
  });
});

describe('the handshake', () => {
  it('answers the key of RFC 6455 §1.3 as it does', () => {
    expect(websocketAccept('dGhlIHNhbXBsZSBub25jZQ==')).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  });

  it('knows a key when it sees one', () => {
    expect(isWebsocketKey(websocketKey())).toBe(true);
    for (const bad of ['', 'abc', 'dGhlIHNhbXBsZSBub25jZQ', 'dGhlIHNhbXBsZSBub25jZR==', ' dGhlIHNhbXBsZSBub25jZQ==']) {
      expect(isWebsocketKey(bad)).toBe(false);
    }
  });
});
