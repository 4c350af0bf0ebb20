import type { BodySink } from '../../../../web/message.ts';

/** Hands pieces on in order, each when the taker has room. Returns a promise where that is not now; nothing may follow before it resolves. */
export function deliver(next: BodySink, pieces: readonly Buffer[], stopped: () => boolean): Promise<void> | undefined {
  for (const [index, piece] of pieces.entries()) {
    if (stopped()) return undefined;
    const waiting = next.data(piece);
    if (waiting !== undefined)
      return index + 1 === pieces.length ? waiting : rest(waiting, next, pieces.slice(index + 1), stopped);
  }
  return undefined;
}

async function rest(
  waiting: Promise<void>,
  next: BodySink,
  pieces: readonly Buffer[],
  stopped: () => boolean,
): Promise<void> {
  await waiting;
  await deliver(next, pieces, stopped);
}
