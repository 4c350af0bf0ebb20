import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PeerError, Refusal } from '../../model/errors.ts';
import {
  cancelRequest,
  freshKey,
  gssEncRequest,
  parseStartupPacket,
  protocol30,
  protocol32,
  sslRequest,
  startupMessage,
} from './codec.ts';

describe('parseStartupPacket', () => {
  const startup = startupMessage(protocol32, { user: 'ann', database: 'orders', application_name: 'ü' });

  it('waits until the packet is whole, at every byte', () => {
    for (let cut = 0; cut < startup.length; cut++) expect(parseStartupPacket(startup.subarray(0, cut))).toBeUndefined();
  });

  it('reads a start-up message and leaves what follows', () => {
    expect(parseStartupPacket(Buffer.concat([startup, Buffer.from('Q...')]))).toEqual({
      packet: {
        kind: 'startup',
        version: protocol32,
        parameters: new Map([
          ['user', 'ann'],
          ['database', 'orders'],
          ['application_name', 'ü'],
        ]),
      },
      size: startup.length,
    });
  });

  it('tells requests for TLS, GSSAPI and cancelling apart', () => {
    const secret = randomBytes(32);
    expect(parseStartupPacket(sslRequest())?.packet).toEqual({ kind: 'ssl' });
    expect(parseStartupPacket(gssEncRequest())?.packet).toEqual({ kind: 'gss' });
    expect(parseStartupPacket(cancelRequest({ processId: 7, secret }))?.packet).toEqual({
      kind: 'cancel',
      processId: 7,
      secret,
    });
  });

  it.each([
    ['a length of zero', Buffer.from('0000000000030000', 'hex')],
    ['a negative length', Buffer.from('ffffffff00030000', 'hex')],
    ['a length above the limit', Buffer.from('0000271100030000', 'hex')],
    ['protocol 2', Buffer.from('0000000800020000', 'hex')],
    ['protocol 4', Buffer.from('0000000800040000', 'hex')],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n')],
    ['TLS inside a request for TLS', Buffer.from('0000000904d2162f00', 'hex')],
    ['a cancel request without a key', Buffer.from('0000000c04d2162e00000001', 'hex')],
    ['a cancel request with a key of 257 bytes', cancelRequest({ processId: 1, secret: Buffer.alloc(257) })],
    ['parameters without an end', Buffer.from('0000000d000300007573657200', 'hex')],
    ['a parameter named twice', Buffer.from('00000017000300007573657200610075736572006200'.concat('00'), 'hex')],
    ['bytes after the end', Buffer.from('0000000a000300000000', 'hex')],
  ])('refuses %s', (_, bytes) => {
    expect(() => parseStartupPacket(bytes)).toThrow(PeerError);
  });

  it('answers random bytes with a packet, nothing, a PeerError or a Refusal', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 60 }), (body) => {
        const bytes = Buffer.concat([Buffer.of(0, 0, 0, 4 + body.length), body]);
        try {
          parseStartupPacket(bytes);
        } catch (error) {
          expect(error instanceof PeerError || error instanceof Refusal).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('freshKey', () => {
  it('is as long as the protocol allows, and never the same', () => {
    expect(freshKey(protocol30, randomBytes).secret).toHaveLength(4);
    expect(freshKey(protocol32, randomBytes).secret).toHaveLength(32);
    const ids = new Set(Array.from({ length: 100 }, () => freshKey(protocol32, randomBytes).secret.toString('hex')));
    expect(ids.size).toBe(100);
  });
});
