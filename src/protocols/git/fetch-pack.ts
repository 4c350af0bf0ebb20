import { PeerError } from '../../model/errors.ts';
import { stream } from './answers.ts';
import type { Context } from './context.ts';
import { writeFetch } from './fetch-request.ts';
import { resultType, uploadPack } from './list.ts';
import { PacketReader } from './pktline.ts';
import type { ObjectFormat } from './push.ts';

/**
 * The gateway's own fetch, for its mirror: a bare pack of what `wants` reach and `haves` do not. In version 0, which every server
 * speaks, with all haves in one request: those that the target does not know are passed over.
 */
export function fetchPack(
  context: Context,
  format: ObjectFormat,
): (wants: readonly string[], haves: readonly string[], signal?: AbortSignal) => Promise<AsyncIterable<Buffer>> {
  return async (wants, haves, signal = context.line.signal) => {
    const body = writeFetch({
      version: 0,
      objectFormat: format,
      wants,
      wantRefs: [],
      haves,
      shallow: [],
      deepen: undefined,
      deepenSince: undefined,
      deepenNot: [],
      filter: undefined,
      done: true,
      words: new Set(['side-band-64k', 'thin-pack', 'ofs-delta', 'no-progress']),
      agent: undefined,
    });
    return packOf(context, body, signal);
  };
}

async function* packOf(context: Context, body: Buffer, signal: AbortSignal): AsyncGenerator<Buffer> {
  const { upstream, line } = context;
  const reader = new PacketReader('UPSTREAM_PROTOCOL');
  const left = new AbortController();
  let ready: Buffer[] = [];
  let wake: (() => void) | undefined;
  let drained: (() => void) | undefined;
  let over = false;
  let failure: unknown;
  const tell = () => {
    wake?.();
    wake = undefined;
  };
  const done = stream(
    (answer) => upstream.housekeeping(line.permit, uploadPack(context, body, 0), answer),
    resultType,
    AbortSignal.any([signal, left.signal]),
    (bytes) => {
      reader.push(bytes);
      for (let next = reader.next(); next !== undefined; next = reader.next()) {
        if (typeof next === 'string') continue;
        if (next[0] === 1) ready.push(next.subarray(1));
        else if (next[0] === 3 || next[0] === 0x45)
          throw new PeerError('UPSTREAM_PROTOCOL', 'the target refused to send its history');
      }
      tell();
      if (ready.length === 0) return undefined;
      return new Promise<void>((resolve) => {
        drained = resolve;
      });
    },
  ).then(
    () => {
      if (!reader.empty)
        failure = new PeerError('UPSTREAM_PROTOCOL', "the target's history ended in the middle of a packet");
    },
    (error: unknown) => {
      failure = error;
    },
  );
  void done.then(() => {
    over = true;
    tell();
  });
  try {
    for (;;) {
      const batch = ready;
      ready = [];
      yield* batch;
      if (ready.length > 0) continue;
      drained?.();
      drained = undefined;
      if (over) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (failure !== undefined) throw failure;
  } finally {
    left.abort(new Error('nobody reads on'));
    drained?.();
  }
}
