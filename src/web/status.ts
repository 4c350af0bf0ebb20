import type { Line } from '../gateway/protocol.ts';
import { Refusal } from '../model/errors.ts';
import type { ServerCall } from './message.ts';
import { refuseCall } from './problem.ts';

const prefix = '/.sallyport/approvals/';

/** Where a caller can ask what became of its held command, within the target that the command was for. */
export function statusPath(base: string, id: string): string {
  return `${base}${prefix}${id}`;
}

/** Paths that are the gateway's own, whatever the target has there. */
export function isStatusPath(path: string): boolean {
  return path.startsWith('/.sallyport/');
}

/** Answers a question about an approval request of the caller's own: JSON. */
export async function answerStatus(call: ServerCall, path: string, line: Line): Promise<void> {
  const id = path.startsWith(prefix) ? path.slice(prefix.length) : '';
  const request = call.request.method === 'GET' && id !== '' ? await line.approval(id) : undefined;
  if (request === undefined || request.target !== line.target.name) {
    refuseCall(call, new Refusal('TARGET_UNKNOWN', 'you have no such approval request here'));
    return;
  }
  const { state, rule, approvers, createdAt, expiresAt, decisions } = request;
  const body = Buffer.from(
    `${JSON.stringify({
      id,
      state,
      rule,
      approvers,
      createdAt: new Date(createdAt).toISOString(),
      expiresAt: new Date(expiresAt).toISOString(),
      decisions: decisions.map(({ answer, reason, at }) => ({ answer, reason, at: new Date(at).toISOString() })),
      next: nextOf[state],
    })}\n`,
  );
  const waiting = state === 'open' ? ['retry-after', '15'] : [];
  call.body.cancel();
  call.answer({
    status: 200,
    fields: ['content-type', 'application/json', 'cache-control', 'no-store', ...waiting],
    length: body.length,
  });
  void call.write(body);
  call.end();
}

const nextOf = {
  open: 'wait for an approver, then send the identical request again',
  approved: 'send the identical request again',
  denied: 'do not send the request again; ask the approver',
  consumed: 'the request was sent to the target',
  expired: 'send the identical request again to ask anew',
} as const;
