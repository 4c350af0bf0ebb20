import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { PeerError } from '../../model/errors.ts';
import { authenticate, md5 } from './authenticate.ts';
import type { Authentication } from './codec.ts';

/** Plays a server's messages to `authenticate`; returns what it sent and how it ended. */
async function play(messages: readonly Authentication[], { trusted, secret }: { trusted: boolean; secret?: string }) {
  const sent: string[] = [];
  const left = [...messages];
  const dialogue = {
    send: (message: Buffer) => void sent.push(message.toString('latin1')),
    next: async () => left.shift() ?? Promise.reject(new PeerError('UPSTREAM_PROTOCOL', 'nothing more')),
    refuse: (why: string) => new Error(why),
  };
  const credential = secret === undefined ? {} : { secret };
  const proof = { user: 'app', credential, dialled: { socket: new Socket(), trusted }, nonce: 'n'.repeat(24) };
  const error = await authenticate(dialogue, proof).then(
    () => undefined,
    (reason: Error) => reason.message,
  );
  return { sent, error };
}

const ok = { kind: 'ok' } as const;

describe('a server that nobody has verified', () => {
  it('does not get the password in clear text', async () => {
    const { sent, error } = await play([{ kind: 'cleartext' }, ok], { trusted: false, secret: 'hush' });
    expect(sent).toEqual([]);
    expect(error).toMatch(/verify-full/);
  });

  it('is not believed when it asks for no proof at all', async () => {
    const { error } = await play([ok], { trusted: false, secret: 'hush' });
    expect(error).toMatch(/did not ask for the password/);
  });

  it('gets no proof that is cheap to guess from', async () => {
    const first = { kind: 'sasl-continue', data: `r=${'n'.repeat(24)}x,s=c2FsdA==,i=1` } as const;
    const { sent, error } = await play([{ kind: 'sasl', mechanisms: ['SCRAM-SHA-256'] }, first, ok], {
      trusted: false,
      secret: 'hush',
    });
    expect(sent).toHaveLength(1);
    expect(error).toMatch(/iterations/);
  });
});

describe('a server that leaves a SCRAM exchange early', () => {
  const sasl = { kind: 'sasl', mechanisms: ['SCRAM-SHA-256'] } as const;
  const first = { kind: 'sasl-continue', data: `r=${'n'.repeat(24)}x,s=c2FsdA==,i=4096` } as const;

  it.each([
    ['before its challenge', [sasl, ok]],
    ['before its signature', [sasl, first, ok]],
    ['with another challenge', [sasl, first, first, ok]],
    ['with the end before the beginning', [sasl, { kind: 'sasl-final', data: 'v=AAAA' } as const, ok]],
    [
      'with a signature that is wrong',
      [sasl, first, { kind: 'sasl-final', data: `v=${Buffer.alloc(32).toString('base64')}` } as const, ok],
    ],
    ['for a cleartext password', [sasl, { kind: 'cleartext' } as const, ok]],
  ])('%s is not believed', async (_, messages) => {
    const { sent, error } = await play(messages, { trusted: true, secret: 'hush' });
    expect(error).toBeDefined();
    expect(sent.join()).not.toContain('hush');
  });
});

it('asks for a second authentication in vain', async () => {
  const { error } = await play([{ kind: 'cleartext' }, { kind: 'cleartext' }, ok], { trusted: true, secret: 'hush' });
  expect(error).toMatch(/second authentication/);
});

it('makes md5 answers as PostgreSQL does', () => {
  expect(md5('secret', 'app', Buffer.of(1, 2, 3, 4))).toBe('md5911f527656472583a006e7727877b33e');
});
