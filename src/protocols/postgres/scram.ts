import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { PeerError } from '../../model/errors.ts';
import { preparePassword } from './saslprep.ts';

export const plainMechanism = 'SCRAM-SHA-256';
export const boundMechanism = 'SCRAM-SHA-256-PLUS';

/** RFC 7677's floor; a server that asks for less wants a proof that is cheap to guess from. */
export const leastIterations = 4096;
/** About half a second of a core; more would let a server keep ours busy. */
export const mostIterations = 1_000_000;
const longestNonce = 512;
const longestSalt = 512;

/**
 * How this exchange is tied to the TLS connection (RFC 5802, section 6): `bound` to the server's certificate; `offered`
 * when we could, but the server does not offer it (a server that does will then notice that its offer was taken out on the
 * way); `none` without TLS.
 */
export type Binding =
  | { readonly kind: 'bound'; readonly data: Buffer }
  | { readonly kind: 'offered' }
  | { readonly kind: 'none' };

export interface ScramOptions {
  readonly password: string;
  readonly binding: Binding;
  /** Base64 text, of at least 18 random bytes. */
  readonly nonce: string;
  /** Lower only where TLS has proved who the server is. */
  readonly leastIterations: number;
}

const stretch = promisify(pbkdf2);

/** The client's half of one SCRAM-SHA-256 exchange (RFC 5802, RFC 7677). Whatever the server gets wrong is a PeerError. */
export class ScramClient {
  readonly #options: ScramOptions;
  readonly #header: string;
  readonly #bare: string;
  #expected: Buffer | undefined;

  constructor(options: ScramOptions) {
    this.#options = options;
    this.#header = { bound: 'p=tls-server-end-point,,', offered: 'y,,', none: 'n,,' }[options.binding.kind];
    // The user name is empty: PostgreSQL takes the one of the start-up packet.
    this.#bare = `n=,r=${options.nonce}`;
  }

  /** client-first-message. */
  first(): string {
    return this.#header + this.#bare;
  }

  /** Takes server-first-message, returns client-final-message. */
  async final(serverFirst: string): Promise<string> {
    const { nonce, salt, iterations } = this.#parseFirst(serverFirst);
    const salted = await stretch(preparePassword(this.#options.password), salt, iterations, 32, 'sha256');
    const bindingData = this.#options.binding.kind === 'bound' ? this.#options.binding.data : Buffer.alloc(0);
    const channel = Buffer.concat([Buffer.from(this.#header), bindingData]).toString('base64');
    const withoutProof = `c=${channel},r=${nonce}`;
    const transcript = `${this.#bare},${serverFirst},${withoutProof}`;
    const clientKey = hmac(salted, 'Client Key');
    const proof = hmac(createHash('sha256').update(clientKey).digest(), transcript);
    for (let i = 0; i < proof.length; i++) proof[i]! ^= clientKey[i]!;
    this.#expected = hmac(hmac(salted, 'Server Key'), transcript);
    return `${withoutProof},p=${proof.toString('base64')}`;
  }

  /** Takes server-final-message: only who knows the password's verifier can have made it. */
  verify(serverFinal: string): void {
    const match = /^v=([A-Za-z0-9+/=]+)$/.exec(serverFinal);
    const signature = Buffer.from(match?.[1] ?? '', 'base64');
    if (
      this.#expected === undefined ||
      signature.length !== this.#expected.length ||
      !timingSafeEqual(signature, this.#expected)
    )
      throw broken('the server did not prove that it knows the password');
  }

  #parseFirst(text: string): { readonly nonce: string; readonly salt: Buffer; readonly iterations: number } {
    // An attribute in front (m=) would be an extension that we must not ignore; attributes behind are optional ones.
    const match = /^r=([!-+\--~]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9]\d{0,9})(?:,.*)?$/.exec(text);
    const [, nonce = '', salt64 = '', count = ''] = match ?? [];
    if (match === null) throw broken('the server sent a challenge of the wrong form');
    if (!nonce.startsWith(this.#options.nonce) || nonce.length === this.#options.nonce.length)
      throw broken('the server did not add to the nonce');
    if (nonce.length > longestNonce) throw broken(`the server sent a nonce of ${nonce.length} characters`);
    const salt = Buffer.from(salt64, 'base64');
    if (salt.length === 0 || salt.length > longestSalt) throw broken(`the server sent a salt of ${salt.length} bytes`);
    const iterations = Number(count);
    const { leastIterations: least } = this.#options;
    if (iterations < least || iterations > mostIterations)
      throw broken(`the server asks for ${iterations} iterations; ${least} to ${mostIterations} are accepted`);
    return { nonce, salt, iterations };
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function broken(message: string): PeerError {
  return new PeerError('UPSTREAM_PROTOCOL', `SCRAM: ${message}`);
}
