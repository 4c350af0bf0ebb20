/** Something an auditor asks about. `sql` finds it: columns seq, time, session, principal, target, what. */
export interface ExceptionKind {
  readonly kind: string;
  readonly severity: 'high' | 'medium' | 'low' | 'info';
  /** What it is, and what is known of such a case. */
  readonly means: string;
  readonly sql: string;
}

/**
 * Parameters: `:from`, `:to` (the period), `:failures` (failed logins of one address in an hour), `:rows` (of one reply).
 */
export const exceptionKinds: readonly ExceptionKind[] = [
  {
    kind: 'self-approval',
    severity: 'high',
    means:
      'A yes by the requester or by the owner it acts for. The gateway forbids this by a fixed rule, so there should be none.',
    sql: `SELECT n.seq, n.time, a.session, n.approver AS principal, a.target, 'approved request ' || a.id || ' of ' || a.requester AS what
      FROM answers n JOIN approvals a ON a.id = n.approval
      WHERE n.time >= :from AND n.answer = 'approve' AND n.effect IS NULL AND (n.approver = a.requester OR n.approver = a.owner) ORDER BY n.seq`,
  },
  {
    kind: 'unapproved-use',
    severity: 'high',
    means:
      'A yes was used for which the log has no answer of a person, or a command names an approval that was not used.',
    sql: `SELECT a.consumed_seq AS seq, a.consumed AS time, a.session, a.requester AS principal, a.target, 'request ' || a.id || ' was used without a yes' AS what
      FROM approvals a WHERE a.consumed >= :from AND NOT EXISTS
        (SELECT 1 FROM answers n WHERE n.approval = a.id AND n.answer = 'approve' AND n.effect IS NULL AND n.seq < a.consumed_seq)
      UNION ALL SELECT c.seq, c.time, c.session, c.principal, c.target, 'ran under request ' || c.approval || ', which was not used up before it'
      FROM commands c LEFT JOIN approvals a ON a.id = c.approval
      WHERE c.approval IS NOT NULL AND c.time >= :from AND (a.consumed_seq IS NULL OR a.consumed_seq > c.seq) ORDER BY 1`,
  },
  {
    kind: 'use-after-revocation',
    severity: 'high',
    means: 'A session began with a ticket that was revoked already.',
    sql: `SELECT s.seq, s.started AS time, s.id AS session, s.principal, s.target, 'ticket ' || t.id || ' was revoked at ' || t.revoked AS what
      FROM tickets t JOIN sessions s ON s.proof = t.id WHERE s.started >= :from AND s.seq > t.revoked_seq ORDER BY s.seq`,
  },
  {
    kind: 'slow-revocation',
    severity: 'medium',
    means:
      'A session that was open when its ticket was revoked went on for more than a minute, or its end is not among these events.',
    sql: `SELECT s.seq, t.revoked AS time, s.id AS session, s.principal, s.target,
        'ticket ' || t.id || ' was revoked at ' || t.revoked || '; the session ended ' || coalesce('at ' || s.ended, 'at no known time') AS what
      FROM tickets t JOIN sessions s ON s.proof = t.id WHERE t.revoked >= :from AND s.seq < t.revoked_seq
        AND (s.ended IS NULL OR julianday(s.ended) - julianday(t.revoked) > 60.0 / 86400) ORDER BY s.seq`,
  },
  {
    kind: 'use-after-expiry',
    severity: 'high',
    means: 'A session began with a ticket that had expired.',
    sql: `SELECT s.seq, s.started AS time, s.id AS session, s.principal, s.target, 'ticket ' || t.id || ' expired at ' || t.expires AS what
      FROM tickets t JOIN sessions s ON s.proof = t.id WHERE s.started >= :from AND s.started > t.expires ORDER BY s.seq`,
  },
  {
    kind: 'leaver-use',
    severity: 'high',
    means:
      'A session of somebody, or of an agent they own, that began after they left according to the list that was given.',
    sql: `SELECT s.seq, s.started AS time, s.id AS session, s.principal, s.target,
        l.principal || ' left at ' || l."left" || '; commands: ' || s.commands AS what
      FROM leavers l JOIN sessions s ON s.principal = l.principal OR s.owner = l.principal
      WHERE s.started >= :from AND s.started > l."left" ORDER BY s.seq`,
  },
  {
    kind: 'recording-missing',
    severity: 'high',
    means:
      'A session ended and no sealed recording of it is in the log. The log itself has its commands and decisions.',
    sql: `SELECT s.ended_seq AS seq, s.ended AS time, s.id AS session, s.principal, s.target, 'commands: ' || s.commands AS what
      FROM sessions s WHERE s.ended >= :from AND s.sealed_seq IS NULL AND s.kind IS NOT 'gateway' ORDER BY 1`,
  },
  {
    kind: 'recording-truncated',
    severity: 'medium',
    means:
      'A crash cut a recording off. What it lost was shown to the caller and is not kept; decisions and outcomes are.',
    sql: `SELECT r.seq, r.time, r.session, r.principal, r.target, 'frames kept: ' || r.frames AS what
      FROM recordings r WHERE r.time >= :from AND r.truncated = 1 ORDER BY r.seq`,
  },
  {
    kind: 'outcome-missing',
    severity: 'medium',
    means: 'A command was let through, its session is over, and the log does not say how it ended.',
    sql: `SELECT c.seq, c.time, c.session, c.principal, c.target, c.verb || ' (exchange ' || c.exchange || ')' AS what
      FROM commands c LEFT JOIN sessions s ON s.id = c.session
      WHERE c.status IS NULL AND c.time >= :from AND (s.id IS NULL OR s.ended IS NOT NULL) ORDER BY c.seq`,
  },
  {
    kind: 'outcome-unknown',
    severity: 'medium',
    means: 'The gateway stopped before the reply. Whether the target did it is for the target to say.',
    sql: `SELECT c.seq, c.time, c.session, c.principal, c.target, c.verb || ' (exchange ' || c.exchange || ')' AS what
      FROM commands c WHERE c.status = 'unknown' AND c.time >= :from ORDER BY c.seq`,
  },
  {
    kind: 'start-unknown',
    severity: 'high',
    means: 'A command of a session whose beginning is not among these events.',
    sql: `SELECT min(c.seq) AS seq, c.time, c.session, c.principal, c.target, 'commands: ' || count(*) AS what
      FROM commands c WHERE c.time >= :from AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.id = c.session) GROUP BY c.session ORDER BY 1`,
  },
  {
    kind: 'ticket-unknown',
    severity: 'high',
    means: 'A session began with a ticket whose issue is not among these events.',
    sql: `SELECT s.seq, s.started AS time, s.id AS session, s.principal, s.target, 'ticket ' || s.proof AS what
      FROM sessions s LEFT JOIN tickets t ON t.id = s.proof WHERE s.proof_kind = 'ticket' AND t.id IS NULL AND s.started >= :from ORDER BY s.seq`,
  },
  {
    kind: 'agent-without-owner',
    severity: 'medium',
    means: 'An agent was in for whom no person is named as answerable. Once for each agent.',
    sql: `SELECT min(s.seq) AS seq, s.started AS time, s.id AS session, s.principal, s.target, 'sessions: ' || count(*) AS what
      FROM sessions s WHERE s.kind = 'agent' AND s.owner IS NULL AND s.started >= :from GROUP BY s.principal ORDER BY 1`,
  },
  {
    kind: 'failed-logins',
    severity: 'medium',
    means: 'More failed logins from one address within an hour (UTC) than the threshold.',
    sql: `SELECT min(f.seq) AS seq, min(f.time) AS time, NULL AS session, max(f.principal) AS principal, max(f.target) AS target,
        sum(f.count) || ' from ' || coalesce(f.peer, 'unknown') || ' in the hour from ' || substr(min(f.time), 1, 13) || ':00Z' AS what
      FROM failures f WHERE f.time >= :from GROUP BY f.peer, substr(f.time, 1, 13) HAVING sum(f.count) > :failures ORDER BY 1`,
  },
  {
    kind: 'large-reply',
    severity: 'low',
    means: 'One reply with at least as many rows as the threshold: to be looked at for what left.',
    sql: `SELECT c.seq, c.time, c.session, c.principal, c.target, c.verb || ': ' || c.rows || ' rows, ' || c.bytes || ' bytes' AS what
      FROM commands c WHERE c.rows >= 1000 AND c.rows >= :rows AND c.time >= :from ORDER BY c.seq`,
  },
  {
    kind: 'policy-rejected',
    severity: 'low',
    means: 'New policies were not valid. Those before stayed in force.',
    sql: `SELECT p.seq, p.time, NULL AS session, NULL AS principal, NULL AS target, p.problems AS what
      FROM policies p WHERE p.type = 'policy.rejected' AND p.time >= :from ORDER BY p.seq`,
  },
  {
    kind: 'crash',
    severity: 'medium',
    means: 'The gateway ended without closing its log, and put things in order at its next start.',
    sql: `SELECT l.seq, l.time, NULL AS session, NULL AS principal, NULL AS target, l.what
      FROM lifecycle l WHERE l.type = 'gateway.recovered' AND l.time >= :from ORDER BY l.seq`,
  },
  {
    kind: 'silence',
    severity: 'medium',
    means:
      'No event for longer than the threshold though the gateway was not stopped: it did not run, or could not write. It fails closed.',
    sql: `SELECT g.seq, g."from" AS time, NULL AS session, NULL AS principal, NULL AS target,
        g.seconds || ' seconds to ' || g."to" || ' (' || g.cause || ')' AS what
      FROM gaps g WHERE g.cause IN ('silent', 'broke off') ORDER BY g."from"`,
  },
  {
    kind: 'target-warning',
    severity: 'low',
    means: 'An inspection of a target at start said that it could not be reached, or warned.',
    sql: `SELECT l.seq, l.time, NULL AS session, NULL AS principal, l.target, l.what
      FROM lifecycle l WHERE l.type = 'target.inspected' AND l.time >= :from
        AND (l.what LIKE '%"reachable":false%' OR l.what NOT LIKE '%"warnings":[]%') ORDER BY l.seq`,
  },
  {
    kind: 'open-at-end',
    severity: 'info',
    means: 'A command without an outcome in a session that was still open when these events end. Not a fault.',
    sql: `SELECT c.seq, c.time, c.session, c.principal, c.target, c.verb || ' (exchange ' || c.exchange || ')' AS what
      FROM commands c JOIN sessions s ON s.id = c.session WHERE c.status IS NULL AND s.ended IS NULL AND c.time >= :from ORDER BY c.seq`,
  },
];
