import { z } from 'zod';
import { PeerError } from '../../model/errors.ts';

/** The LFS API's own type, of requests and answers (git-lfs, “Batch API”). */
export const lfsType = 'application/vnd.git-lfs+json';

const oid = z.string().regex(/^[0-9a-f]{64}$/);
const size = z
  .int()
  .min(0)
  .max(2 ** 50);
export const maxObjects = 1000;

const batchRequest = z.object({
  operation: z.enum(['download', 'upload']),
  ref: z.object({ name: z.string().max(1024) }).optional(),
  objects: z.array(z.object({ oid, size })).min(1).max(maxObjects),
  hash_algo: z.literal('sha256').optional(),
});

/** What a client asks for. What it says besides (other transfers than the basic one) is left out. */
export type Batch = z.output<typeof batchRequest>;

export function parseBatch(body: Buffer): Batch {
  const parsed = batchRequest.safeParse(json(body));
  if (!parsed.success) throw new PeerError('CLIENT_PROTOCOL', 'this is no request for LFS objects');
  return parsed.data;
}

const action = z.object({
  href: z.string().max(16_384),
  header: z
    .record(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/), z.string().regex(/^[\t\x20-\x7e]{0,8192}$/))
    .optional(),
  expires_in: z.number().optional(),
  expires_at: z.string().max(100).optional(),
});

const batchAnswer = z.object({
  transfer: z.literal('basic').optional(),
  objects: z.array(
    z.object({
      oid,
      size,
      actions: z
        .object({ download: action.optional(), upload: action.optional(), verify: action.optional() })
        .optional(),
      error: z.object({ code: z.int().min(100).max(599), message: z.string() }).optional(),
    }),
  ),
});

export type Action = z.output<typeof action>;
export type BatchAnswer = z.output<typeof batchAnswer>;

/** Throws PeerError for an answer that is none, or that speaks of objects that were not asked for. */
export function parseBatchAnswer(body: Buffer, asked: Batch): BatchAnswer {
  const parsed = batchAnswer.safeParse(json(body));
  const sizes = new Map(asked.objects.map((object) => [object.oid, object.size]));
  if (!parsed.success || parsed.data.objects.some((object) => !sizes.has(object.oid))) {
    throw new PeerError('UPSTREAM_PROTOCOL', "the target's answer about LFS objects cannot be read");
  }
  return parsed.data;
}

export function writeBatch(batch: Batch): Buffer {
  return Buffer.from(JSON.stringify({ ...batch, transfers: ['basic'] }));
}

/**
 * The answer as the client gets it: every address leads to the gateway, and none of the target's header fields is in it.
 * `to` is the address of a repository's LFS API here.
 */
export function writeBatchAnswer({ objects }: BatchAnswer, to: string): Buffer {
  const shown = objects.map(({ oid: id, size: bytes, actions, error }) => ({
    oid: id,
    size: bytes,
    // An error's text is the target's; its code says enough.
    ...(error === undefined
      ? {}
      : { error: { code: error.code, message: `the target refuses this object (${error.code})` } }),
    ...(actions === undefined
      ? {}
      : {
          authenticated: false,
          actions: {
            ...(actions.download === undefined ? {} : { download: { href: `${to}/objects/${id}?size=${bytes}` } }),
            ...(actions.upload === undefined ? {} : { upload: { href: `${to}/objects/${id}?size=${bytes}` } }),
            ...(actions.verify === undefined ? {} : { verify: { href: `${to}/objects/${id}/verify?size=${bytes}` } }),
          },
        }),
  }));
  return Buffer.from(`${JSON.stringify({ transfer: 'basic', objects: shown, hash_algo: 'sha256' })}\n`);
}

function json(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return undefined;
  }
}
