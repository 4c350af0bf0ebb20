import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PeerError } from '../../model/errors.ts';
import { type Binding, leastIterations, mostIterations, ScramClient } from './scram.ts';

const nonce = 'cliENTnonce0123456789abcd';
const salt = Buffer.from('0123456789abcdef');
const password = 'pencil';

function client(binding: Binding = { kind: 'none' }): ScramClient {
  return new ScramClient({ password, binding, nonce, leastIterations });
}

const challenge = (
  changes: { nonce?: string; salt?: string; iterations?: string; before?: string; after?: string } = {},
) =>
  `${changes.before ?? ''}r=${changes.nonce ?? `${nonce}server`},s=${changes.salt ?? salt.toString('base64')},i=${changes.iterations ?? '4096'}${changes.after ?? ''}`;

const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();

/** A server's side, written from RFC 5802 on its own: says whether the proof is right, and signs. */
function serverSide(first: string, serverFirst: string, final: string): { proved: boolean; signature: string } {
  const bare = first.slice(first.indexOf('n=', 2) === -1 ? 3 : first.indexOf('n=', 2));
  const [withoutProof = '', proof = ''] = final.split(',p=');
  const transcript = `${bare},${serverFirst},${withoutProof}`;
  const salted = pbkdf2Sync(password, salt, 4096, 32, 'sha256');
  const clientKey = hmac(salted, 'Client Key');
  const signature = hmac(createHash('sha256').update(clientKey).digest(), transcript);
  const key = Buffer.from(proof, 'base64').map((byte, i) => byte ^ (signature[i] ?? 0));
  return { proved: clientKey.equals(key), signature: hmac(hmac(salted, 'Server Key'), transcript).toString('base64') };
}

describe('ScramClient', () => {
  it.each([
    ['without TLS', { kind: 'none' } as const, 'n,,', 'biws'],
    ['inside TLS that the server cannot bind', { kind: 'offered' } as const, 'y,,', 'eSws'],
    [
      'bound to a certificate',
      { kind: 'bound', data: Buffer.from('certificate hash') } as const,
      'p=tls-server-end-point,,',
      Buffer.from('p=tls-server-end-point,,certificate hash').toString('base64'),
    ],
  ])('proves that it knows the password, and believes a server that does: %s', async (_, binding, header, channel) => {
    const one = client(binding);
    expect(one.first()).toBe(`${header}n=,r=${nonce}`);
    const final = await one.final(challenge());
    expect(final).toContain(`c=${channel},r=${nonce}server,p=`);
    const { proved, signature } = serverSide(one.first(), challenge(), final);
    expect(proved).toBe(true);
    expect(() => one.verify(`v=${signature}`)).not.toThrow();
  });

  it.each([
    ['does not extend the nonce', challenge({ nonce })],
    ['brings a nonce of its own', challenge({ nonce: `x${nonce}` })],
    ['brings an empty nonce', challenge({ nonce: '' })],
    ['brings an endless nonce', challenge({ nonce: nonce + 'x'.repeat(100_000) })],
    ['brings a nonce with a control character', challenge({ nonce: `${nonce}\u0000\u0007` })],
    ['brings no salt', challenge({ salt: '' })],
    ['brings a salt that is no base64', challenge({ salt: '?!' })],
    ['brings a salt that decodes to nothing', challenge({ salt: 'A' })],
    ['brings an endless salt', challenge({ salt: 'AAAA'.repeat(1000) })],
    ['asks for no iterations', challenge({ iterations: '0' })],
    ['asks for negative iterations', challenge({ iterations: '-4096' })],
    ['asks for too few iterations', challenge({ iterations: String(leastIterations - 1) })],
    ['asks for enough iterations to keep us busy', challenge({ iterations: String(mostIterations + 1) })],
    ['asks for iterations beyond any number', challenge({ iterations: '9'.repeat(400) })],
    ['asks for iterations in words', challenge({ iterations: '4096x' })],
    ['brings an extension that we must understand', challenge({ before: 'm=x,' })],
    ['brings nothing', ''],
    ['sends an error', 'e=other-error'],
  ])('refuses a server that %s', async (_, text) => {
    await expect(client().final(text)).rejects.toThrow(PeerError);
  });

  it('passes over extensions at the end', async () => {
    await expect(client().final(challenge({ after: ',x=1' }))).resolves.toContain('p=');
  });

  it.each([
    ['a wrong signature', `v=${Buffer.alloc(32).toString('base64')}`],
    ['a signature of the wrong size', `v=${Buffer.alloc(31).toString('base64')}`],
    ['no signature', 'v='],
    ['an error', 'e=invalid-proof'],
    ['nothing', ''],
  ])('does not believe a server that ends with %s', async (_, final) => {
    const one = client();
    await one.final(challenge());
    expect(() => one.verify(final)).toThrow(PeerError);
  });

  it('does not believe a server that signs before it was given a proof', () => {
    expect(() => client().verify(`v=${Buffer.alloc(32).toString('base64')}`)).toThrow(PeerError);
  });

  it('answers random challenges with a proof or a PeerError', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary-ascii' }), async (text) => {
        await client()
          .final(`r=${nonce}${text}`)
          .catch((error: unknown) => expect(error).toBeInstanceOf(PeerError));
      }),
      { numRuns: 300 },
    );
  });
});
