import { PeerError, Refusal, refusals } from '../../model/errors.ts';
import type { ServerCall } from '../../web/message.ts';
import { statusOf } from '../../web/problem.ts';
import { packet } from './pktline.ts';
import { harmless } from './sideband.ts';

/**
 * Anything thrown as what the caller reads; our own bugs show nothing of themselves. A request that cannot be read is refused as
 * such: it ends nobody's connection.
 */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof PeerError) {
    return new Refusal(error.kind === 'CLIENT_PROTOCOL' ? 'UNPARSABLE' : error.kind, error.message);
  }
  return new Refusal('INTERNAL', 'the gateway met an internal error');
}

/** What was refused, by which rule, what would work: a line each. */
export function linesOf(refusal: Refusal): string[] {
  const { rule, link, advice } = refusal.details;
  return [
    `${refusals[refusal.kind].code}: ${refusal.message}`,
    ...(rule === undefined ? [] : [`rule: ${rule}`]),
    ...(link === undefined ? [] : [`approval: ${link}`]),
    ...(advice === undefined ? [] : [advice]),
  ].map(harmless);
}

/** One line for a status report: what git shows behind `! [remote rejected]`. */
export function reasonOf(refusal: Refusal): string {
  const text = harmless(`${refusals[refusal.kind].code} ${refusal.message}`).replace(/\s+/g, ' ');
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

/** An error status with text that git shows behind `remote:`. For questions whose answer has not begun. */
export function refuseCall(call: ServerCall, refusal: Refusal): void {
  const body = Buffer.from(`${linesOf(refusal).join('\n')}\n`);
  const { retryAfterMs } = refusal.details;
  const retry = retryAfterMs === undefined ? [] : ['retry-after', String(Math.ceil(retryAfterMs / 1000))];
  call.body.cancel();
  call.answer({
    status: statusOf[refusal.kind],
    fields: ['content-type', 'text/plain; charset=utf-8', 'cache-control', 'no-cache', ...retry],
    length: body.length,
  });
  void call.write(body);
  call.end();
}

/** An error within the protocol (gitprotocol-pack, “ERR”): git ends with it and shows it. */
export function errorPacket(refusal: Refusal): Buffer {
  return packet(`ERR ${linesOf(refusal).join('\n').slice(0, 8000)}\n`);
}
