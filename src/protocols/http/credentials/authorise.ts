import type { OutgoingHead } from './head.ts';
import type { Injection } from './injection.ts';
import type { Payload } from './sigv4/payload.ts';
import { type Seed, signV4 } from './sigv4/sign.ts';
import { type StripRules, strip } from './strip.ts';

export interface AuthoriseOptions extends StripRules {
  /** ms since the epoch. */
  readonly now: number;
  /** What an AWS signature covers; see `payloadFor`. Unsigned where absent. */
  readonly payload?: Payload | undefined;
  /** Bytes of a chunked payload without its framing. */
  readonly decodedLength?: number | undefined;
}

export interface Authorised {
  readonly head: OutgoingHead;
  /** Names of what the caller sent and the target does not get, for the audit log: `authorization`, `cookie`, `query.api_key`. */
  readonly stripped: readonly string[];
  /** Where the signatures of a chunked payload begin; see ChunkedWriter. */
  readonly seed?: Seed;
}

/** Takes out whatever credential the caller sent and puts the target's own in. */
export function authorise(head: OutgoingHead, injection: Injection, options: AuthoriseOptions): Authorised {
  const { head: plain, names: stripped } = strip(head, injection, options);
  switch (injection.kind) {
    case 'none':
      return { head: plain, stripped };
    case 'header':
      plain.fields.push(injection.name, injection.value);
      return { head: plain, stripped };
    case 'query': {
      const pair = `${encodeURIComponent(injection.name)}=${encodeURIComponent(injection.value)}`;
      const target = `${plain.target}${plain.target.includes('?') ? '&' : '?'}${pair}`;
      return { head: { ...plain, target }, stripped };
    }
    case 'aws': {
      const payload = options.payload ?? { kind: 'unsigned' };
      const signed = signV4(plain, injection.key, payload, options.now, options.decodedLength);
      return { head: signed.head, stripped, seed: signed.seed };
    }
  }
}
