import { type PeerError, Refusal, type RefusalName, refusals } from '../../model/errors.ts';
import { errorResponse, type Report } from './codec.ts';

/**
 * SQLSTATE of each refusal. Where PostgreSQL has a fitting one, clients know it; the private class ZS is for what it has not,
 * and never 40001 or 40P01, which frameworks retry by themselves.
 */
const sqlstates: Readonly<Record<RefusalName, string>> = {
  LOGIN_FAILED: '28P01',
  TARGET_UNKNOWN: '3D000',
  CONNECT_DENIED: '42501',
  SESSION_ENDED: '57P01',
  POLICY_DENIED: '42501',
  UNPARSABLE: '42601',
  UNSUPPORTED: '0A000',
  APPROVAL_PENDING: 'ZS001',
  APPROVAL_DENIED: 'ZS002',
  MASK_IMPOSSIBLE: 'ZS003',
  AUDIT_UNAVAILABLE: 'ZS004',
  UPSTREAM_UNAVAILABLE: '08006',
  UPSTREAM_PROTOCOL: '08P01',
  CLIENT_PROTOCOL: '08P01',
  LIMIT_EXCEEDED: '54000',
  INTERNAL: 'XX000',
};

/** A refusal as an ErrorResponse: code and what was refused, the rule and link as DETAIL, what would work as HINT. */
export function refusalReport(error: Refusal | PeerError, severity: Report['severity'] = 'ERROR'): Buffer {
  const details = error instanceof Refusal ? error.details : {};
  const detail = [details.rule && `Rule: ${details.rule}.`, details.link && `Approval: ${details.link}`]
    .filter(Boolean)
    .join(' ');
  return errorResponse({
    severity,
    code: sqlstates[error.kind],
    message: `${refusals[error.kind].code}: ${error.message}`,
    ...(detail === '' ? {} : { detail }),
    ...(details.advice === undefined ? {} : { hint: details.advice }),
  });
}
