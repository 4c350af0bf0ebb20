import { createHash, randomUUID } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PeerError, Refusal } from '../../model/errors.ts';
import type { ServerCall } from '../../web/message.ts';
import type { Push } from './push.ts';
import { type ReceiveRequest, ReceiveRequestParser } from './receive-request.ts';
import { decoded } from './request-body.ts';

/** The part of a push before its pack. */
const maxHead = 4 * 2 ** 20;

export interface Spooled {
  /** Undefined for a lone flush, by which git tests whether it is let in. */
  readonly request: ReceiveRequest | undefined;
  readonly pack: Push['pack'];
  /** Removes what is on disk. */
  discard(): Promise<void>;
}

/**
 * Reads a push off the wire: the commands into memory, the pack to a file in `folder`, in bounded memory. Rejects with PeerError
 * for what is no push, with Refusal LIMIT_EXCEEDED for one beyond `limit` bytes; nothing is left on disk then. Of a push that is
 * not `wanted` the pack is read, for its sender listens only at its end, but not kept.
 */
export async function spool(
  call: ServerCall,
  folder: string,
  limit: number,
  wanted: (request: ReceiveRequest) => boolean,
): Promise<Spooled> {
  const file = join(folder, `${randomUUID()}.pack`);
  const discard = () => rm(file, { force: true });
  const parser = new ReceiveRequestParser();
  const hash = createHash('sha256');
  let head = 0;
  let bytes = 0;
  let complete = false;
  let kept = true;
  try {
    const handle = await open(file, 'wx', 0o600);
    try {
      for await (const chunk of decoded(call, limit + maxHead)) {
        const pack = complete ? chunk : parser.take(chunk);
        head += complete ? 0 : chunk.length - (pack?.length ?? 0);
        if (head > maxHead) throw new Refusal('LIMIT_EXCEEDED', 'the push names too much before its pack');
        if (pack === undefined) continue;
        if (!complete) {
          complete = true;
          const request = parser.end();
          kept = request !== undefined && wanted(request);
        }
        bytes += pack.length;
        if (bytes > limit) throw tooLarge(limit);
        if (pack.length === 0 || !kept) continue;
        hash.update(pack);
        for (let at = 0; at < pack.length; ) at += (await handle.write(pack, at)).bytesWritten;
      }
    } finally {
      await handle.close();
    }
    const request = parser.end();
    if (request?.pack !== true && bytes > 0)
      throw new PeerError('CLIENT_PROTOCOL', 'the push brings a pack that it does not need');
    if (kept && request?.pack === true) {
      return { request, pack: { file, bytes, sha256: hash.digest('hex') }, discard };
    }
    await discard();
    return { request, pack: undefined, discard: async () => undefined };
  } catch (error) {
    await discard();
    throw error;
  }
}

function tooLarge(limit: number): Refusal {
  return new Refusal('LIMIT_EXCEEDED', `the pack is larger than ${limit} bytes`, {
    advice: 'push fewer commits at once, or keep large files in LFS',
  });
}
