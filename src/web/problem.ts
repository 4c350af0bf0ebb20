import { type Refusal, type RefusalName, refusals } from '../model/errors.ts';
import type { Fields, ServerCall } from './message.ts';

/** A refusal as a status: what the caller's own library makes of it matters more than the words. */
export const statusOf: Readonly<Record<RefusalName, number>> = {
  LOGIN_FAILED: 401,
  TARGET_UNKNOWN: 404,
  CONNECT_DENIED: 403,
  SESSION_ENDED: 503,
  POLICY_DENIED: 403,
  UNPARSABLE: 400,
  UNSUPPORTED: 501,
  APPROVAL_PENDING: 403,
  APPROVAL_DENIED: 403,
  // Not 5xx: libraries repeat those by themselves, and the identical request meets the same end.
  MASK_IMPOSSIBLE: 403,
  AUDIT_UNAVAILABLE: 503,
  UPSTREAM_UNAVAILABLE: 502,
  UPSTREAM_PROTOCOL: 502,
  CLIENT_PROTOCOL: 400,
  LIMIT_EXCEEDED: 413,
  INTERNAL: 500,
};

/** A refusal as problem details (RFC 9457), with our stable code and what would work. */
export function problem(refusal: Refusal): { readonly status: number; readonly fields: Fields; readonly body: Buffer } {
  const { rule, advice, link, retryAfterMs } = refusal.details;
  const status = statusOf[refusal.kind];
  const body = Buffer.from(
    `${JSON.stringify({
      type: `urn:sallyport:error:${refusal.code}`,
      title: titleOf(refusal.kind),
      status,
      detail: refusal.message,
      code: refusal.code,
      rule,
      advice,
      link,
      retry: refusals[refusal.kind].retry,
    })}\n`,
  );
  const retryAfter = retryAfterMs === undefined ? [] : ['retry-after', String(Math.ceil(retryAfterMs / 1000))];
  return {
    status,
    fields: ['content-type', 'application/problem+json', 'cache-control', 'no-store', ...retryAfter],
    body,
  };
}

/** `POLICY_DENIED` → `policy denied`. */
function titleOf(kind: RefusalName): string {
  return kind.toLowerCase().replaceAll('_', ' ');
}

/** Answers a call that has not been answered yet. What is left of its body is not wanted. */
export function refuseCall(call: ServerCall, refusal: Refusal, extra: Fields = []): void {
  const { status, fields, body } = problem(refusal);
  call.body.cancel();
  call.answer({ status, fields: [...fields, ...extra], length: body.length });
  void call.write(body);
  call.end();
}
