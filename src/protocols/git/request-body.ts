import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { PeerError, Refusal } from '../../model/errors.ts';
import { type Body, field, type ServerCall } from '../../web/message.ts';

/** A body as a stream that its reader paces. */
export function readable(body: Body): Readable {
  let resume: (() => void) | undefined;
  let piped = false;
  const stream = new Readable({
    highWaterMark: 65_536,
    read() {
      if (!piped) {
        piped = true;
        body.pipe({
          data(bytes) {
            if (stream.destroyed || stream.push(bytes)) return undefined;
            return new Promise((resolve) => {
              resume = resolve;
            });
          },
          end: () => stream.push(null),
          fail: (error) => stream.destroy(error),
        });
      }
      const go = resume;
      resume = undefined;
      go?.();
    },
    destroy(error, done) {
      resume?.();
      if (error !== null || !stream.readableEnded) body.cancel();
      done(error);
    },
  });
  return stream;
}

/**
 * What a request carries, decoded: git compresses what it sends where that is worth while. Throws Refusal LIMIT_EXCEEDED beyond
 * `limit` decoded bytes, PeerError for what is not gzip.
 */
export async function* decoded(call: ServerCall, limit: number): AsyncGenerator<Buffer> {
  const encoding = field(call.request.fields, 'content-encoding')?.toLowerCase() ?? 'identity';
  if (encoding !== 'identity' && encoding !== 'gzip' && encoding !== 'x-gzip') {
    throw new Refusal('UNSUPPORTED', 'request bodies may be compressed with gzip only');
  }
  const raw = readable(call.body);
  let source: Readable = raw;
  if (encoding !== 'identity') {
    const gunzip = createGunzip();
    raw.on('error', (error) => gunzip.destroy(error));
    source = raw.pipe(gunzip);
  }
  let size = 0;
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > limit) throw new Refusal('LIMIT_EXCEEDED', `the request is larger than ${limit} bytes`);
      yield chunk;
    }
  } catch (error) {
    if (error instanceof Refusal || error instanceof PeerError) throw error;
    throw new PeerError('CLIENT_PROTOCOL', 'the body of the request broke off or cannot be decompressed');
  } finally {
    raw.destroy();
    source.destroy();
  }
}

/** The whole of a small body. */
export async function whole(call: ServerCall, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of decoded(call, limit)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Throws Refusal UNPARSABLE unless the body says to be of this type. */
export function expectType(call: ServerCall, type: string): void {
  const said = field(call.request.fields, 'content-type')?.toLowerCase();
  if (said === type || said?.startsWith(`${type};`) === true) return;
  throw new Refusal('UNPARSABLE', `a request of type ${type} was expected`);
}
