import { Refusal } from '../../../../model/errors.ts';
import { type BodySink, type Fields, field, without } from '../../../../web/message.ts';
import type { KnownBody } from '../../classify/body.ts';
import { emptyHash, sha256Hex } from './canonical.ts';
import { ChunkedReader } from './chunked-reader.ts';
import { ChunkedWriter, framedLength } from './chunked-writer.ts';
import { HashCheck } from './hash-check.ts';
import type { Payload } from './payload.ts';
import type { Seed } from './sign.ts';
import type { Verified } from './verify.ts';

/** How a request's body goes from its caller, who signed it or not, to a target that wants it signed by us. */
export interface PayloadPlan {
  /** What our signature says of it. */
  readonly payload: Payload;
  readonly decodedLength: number | undefined;
  /** Bytes that go upstream; undefined where only the end tells. */
  readonly length: number | undefined;
  /** The head's fields, without what spoke of the caller's framing. */
  readonly fields: Fields;
}

/**
 * The payload travels upstream as it came: whole with its hash, unsigned, or in chunks, which are signed anew. `length` is what came with the request.
 * A caller who did not sign has its body's hash signed where it is known, else (for S3, over TLS) it goes unsigned.
 */
export function planPayload(
  fields: Fields,
  verified: Verified | undefined,
  body: KnownBody,
  length: number | undefined,
  service: string,
): PayloadPlan {
  if (verified === undefined) {
    if (body !== 'too large') {
      const sha256 = body === undefined ? emptyHash : sha256Hex(body);
      return { payload: { kind: 'hash', sha256 }, decodedLength: undefined, length, fields };
    }
    if (service === 's3') return { payload: { kind: 'unsigned' }, decodedLength: undefined, length, fields };
    throw new Refusal('LIMIT_EXCEEDED', 'the body is too large to be signed', {
      advice: 'sign the request yourself with X-Amz-Content-Sha256, or send less at once',
    });
  }
  const { payload, decodedLength } = verified;
  if (payload.kind !== 'chunked') return { payload, decodedLength: undefined, length, fields };
  const names = field(fields, 'x-amz-trailer');
  return {
    payload,
    decodedLength,
    length: framedLength(payload, decodedLength ?? 0, payload.trailer ? names : undefined),
    fields: without(fields, new Set(['x-amz-decoded-content-length'])),
  };
}

/** The stages that a body goes through on its way to `next`: checked as its caller signed it, then framed and signed as the target wants it. */
export function relayPayload(
  plan: PayloadPlan,
  verified: Verified | undefined,
  seed: Seed,
  trailerNames: string | undefined,
  next: BodySink,
): BodySink {
  const { payload } = plan;
  if (payload.kind === 'hash') return verified === undefined ? next : new HashCheck(payload.sha256, next);
  if (payload.kind === 'unsigned' || verified === undefined) return next;
  return new ChunkedReader(verified, trailerNames, new ChunkedWriter(payload, seed, next));
}
