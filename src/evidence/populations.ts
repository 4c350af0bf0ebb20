/** A list that an auditor draws samples from. `sql` is the query that makes it; its first column is always `seq`. */
export interface Population {
  readonly name: string;
  readonly title: string;
  /** Events that it is made of. */
  readonly events: readonly string[];
  readonly sql: string;
  /** How a row's story is told; without one the row's own event is all there is. */
  readonly story?: 'session' | 'command' | 'approval' | 'ticket';
}

const seconds = (from: string, to: string): string =>
  `CAST(round((julianday(${to}) - julianday(${from})) * 86400) AS INTEGER)`;

/** Every value that there was, not one of them. */
const all = (column: string): string => `group_concat(DISTINCT ${column} ORDER BY ${column})`;

const commandColumns = `c.seq, c.time, c.session, c.exchange, c.principal, s.kind, s.owner, c.target, c.verb, c.actions, c.resources, c.decision, c.rules,
  c.policy, c.approval, c.status, c.rows, c.bytes, c.error_code, c.masked AS masked_values, c.prepare_only, c.text_sha256, c.outcome_seq, c.outcome_time`;

/** Parameter: `:from`, the period's beginning. What lies behind its end is in no table. */
export const populations: readonly Population[] = [
  {
    name: 'access',
    title: 'Who reached what: each principal at each target, with what they did there',
    events: ['session.started', 'session.ended', 'command.intent', 'command.denied', 'command.held'],
    story: 'session',
    sql: `SELECT min(s.seq) AS seq, s.principal, ${all('s.name')} AS name, s.kind, ${all('s.owner')} AS owner, s.target, ${all('s.groups')} AS groups,
      count(*) AS sessions, sum(s.commands) AS commands, sum(s.changes) AS changes, sum(s.denied) AS denied, sum(s.held) AS held,
      sum(s.rows) AS rows, min(s.started) AS first, max(s.started) AS last
      FROM sessions s WHERE coalesce(s.ended, :from) >= :from GROUP BY s.principal, s.kind, s.target ORDER BY seq`,
  },
  {
    name: 'identities',
    title: 'Everybody who was in, by login or by ticket',
    events: ['auth.succeeded', 'session.started', 'ticket.issued'],
    sql: `SELECT min(seq) AS seq, principal, ${all('kind')} AS kind, ${all('name')} AS name, ${all('owner')} AS owner, sum(login) AS logins, sum(session) AS sessions,
      sum(ticket) AS tickets, min(time) AS first, max(time) AS last FROM (
        SELECT seq, principal, NULL AS kind, NULL AS name, NULL AS owner, time, 1 AS login, 0 AS session, 0 AS ticket FROM logins WHERE time >= :from
        UNION ALL SELECT seq, principal, kind, name, owner, started, 0, 1, 0 FROM sessions WHERE started >= :from
        UNION ALL SELECT seq, principal, NULL, NULL, NULL, time, 0, 0, 1 FROM tickets WHERE time >= :from)
      GROUP BY principal ORDER BY seq`,
  },
  {
    name: 'sessions',
    title: 'Sessions that were open in the period',
    events: ['session.started', 'session.ended', 'session.terminated', 'recording.sealed'],
    story: 'session',
    sql: `SELECT s.seq, s.id AS session, s.started, s.ended, s.principal, s.name, s.kind, s.owner, s.groups, s.target, s.protocol, s.address,
      s.application, s.proof_kind, s.proof, s.policy, s.commands, s.changes, s.denied, s.held, s.rows, s.bytes, s.end_reason, s.terminated_by,
      s.digest AS recording_sha256, s.frames AS recording_frames, s.truncated AS recording_truncated
      FROM sessions s WHERE coalesce(s.ended, :from) >= :from ORDER BY s.seq`,
  },
  {
    name: 'commands',
    title: 'Commands that were let through, each with its decision and outcome',
    events: ['command.intent', 'command.outcome'],
    story: 'command',
    sql: `SELECT ${commandColumns} FROM commands c LEFT JOIN sessions s ON s.id = c.session WHERE c.time >= :from ORDER BY c.seq`,
  },
  {
    name: 'changes',
    title: 'Commands that change something: data, schema, repositories, settings',
    events: ['command.intent', 'command.outcome'],
    story: 'command',
    sql: `SELECT ${commandColumns} FROM commands c LEFT JOIN sessions s ON s.id = c.session
      WHERE c.time >= :from AND c.changes = 1 AND c.prepare_only = 0 ORDER BY c.seq`,
  },
  {
    name: 'denials',
    title: 'Commands that were refused, by which rule',
    events: ['command.denied'],
    sql: `SELECT d.seq, d.time, d.session, d.exchange, d.principal, d.target, d.code, d.rule, d.reason, d.verb, d.actions, d.resources, d.text_sha256
      FROM denials d ORDER BY d.seq`,
  },
  {
    name: 'approvals',
    title: 'Requests for a person’s yes, who answered, and whether it was used',
    events: ['approval.requested', 'approval.decided', 'approval.consumed', 'approval.expired'],
    story: 'approval',
    sql: `SELECT a.seq, a.id AS approval, a.time, a.session, a.requester, a.owner, a.target, a.verb, a.resources, a.rule, a.policy, a.approvers, a.digest,
      a.expires, (SELECT group_concat(n.approver || ' ' || n.answer || ' ' || n.time, '; ' ORDER BY n.seq) FROM answers n WHERE n.approval = a.id AND n.effect IS NULL) AS answers,
      (SELECT ${seconds('a.time', 'max(n.time)')} FROM answers n WHERE n.approval = a.id AND n.effect IS NULL) AS seconds_to_answer,
      a.consumed, a.expired_reason, (SELECT min(c.seq) FROM commands c WHERE c.approval = a.id) AS command_seq
      FROM approvals a WHERE a.time >= :from ORDER BY a.seq`,
  },
  {
    name: 'logins',
    title: 'Credentials that were accepted',
    events: ['auth.succeeded'],
    sql: 'SELECT l.seq, l.time, l.principal, l.issuer, l.proof_kind, l.proof, l.audience, l.peer FROM logins l WHERE l.time >= :from ORDER BY l.seq',
  },
  {
    name: 'failed-logins',
    title: 'Credentials that were not accepted, and known callers who were not let in',
    events: ['auth.failed'],
    sql: `SELECT f.seq, f.time, f.principal, f.target, f.code, f.reason, f.issuer, f.audience, f.peer, f.count FROM failures f
      WHERE f.time >= :from ORDER BY f.seq`,
  },
  {
    name: 'tickets',
    title: 'Tickets that were good in the period, their use, and how fast a revocation took effect',
    events: ['ticket.issued', 'ticket.revoked', 'session.started', 'session.ended'],
    story: 'ticket',
    sql: `SELECT t.seq, t.id AS ticket, t.time AS issued, t.principal, t.targets, t.expires, ${seconds('t.time', 't.expires')} AS lifetime_s, t.proof,
      t.revoked, t.revoked_by, (SELECT count(*) FROM sessions s WHERE s.proof = t.id) AS sessions,
      (SELECT count(*) FROM sessions s WHERE s.proof = t.id AND s.seq > t.revoked_seq) AS sessions_after_revocation,
      (SELECT ${seconds('t.revoked', 'max(s.ended)')} FROM sessions s WHERE s.proof = t.id AND s.seq < t.revoked_seq AND s.ended > t.revoked) AS open_sessions_ended_within_s
      FROM tickets t WHERE t.expires >= :from ORDER BY t.seq`,
  },
  {
    name: 'terminated-identities',
    title: 'People who left, by the list that was given, and the last use of what was theirs',
    events: ['session.started', 'auth.succeeded'],
    sql: `SELECT 0 AS seq, l.principal, l."left",
      (SELECT max(s.started) FROM sessions s WHERE s.principal = l.principal OR s.owner = l.principal) AS last_session,
      (SELECT max(g.time) FROM logins g WHERE g.principal = l.principal) AS last_login,
      (SELECT count(*) FROM logins g WHERE g.principal = l.principal AND g.time > l."left") AS logins_after,
      (SELECT count(*) FROM sessions s WHERE (s.principal = l.principal OR s.owner = l.principal) AND s.started > l."left") AS sessions_after,
      (SELECT coalesce(sum(s.commands), 0) FROM sessions s WHERE (s.principal = l.principal OR s.owner = l.principal) AND s.started > l."left") AS commands_after,
      (SELECT count(*) FROM tickets t WHERE t.principal = l.principal AND t.revoked IS NOT NULL) AS tickets_revoked
      FROM leavers l ORDER BY l.principal`,
  },
  {
    name: 'policies',
    title: 'Policy versions that came into force or were rejected',
    events: ['policy.activated', 'policy.rejected'],
    sql: `SELECT p.seq, p.time, p.type, p.version, p.previous, p.files, p.rules, p.problems FROM policies p WHERE p.time >= :from ORDER BY p.seq`,
  },
  {
    name: 'operations',
    title:
      'Starts, stops and recoveries of the gateway, state of targets, sessions ended by a person, shipping of the log',
    events: [
      'gateway.started',
      'gateway.stopped',
      'gateway.recovered',
      'target.inspected',
      'session.terminated',
      'shipping.started',
      'shipping.failing',
      'shipping.recovered',
      'shipping.refused',
    ],
    sql: 'SELECT l.seq, l.time, l.type, l.target, l.what FROM lifecycle l WHERE l.time >= :from ORDER BY l.seq',
  },
  {
    name: 'masking',
    title: 'What was masked: each field, how, in how many replies, how many values',
    events: ['command.outcome'],
    sql: `SELECT m.seq, m.target, m.field, m.classification, m.method, m.replies, m.shown AS "values" FROM masks m ORDER BY m.seq, m.field, m.classification, m.method`,
  },
  {
    name: 'recordings',
    title: 'Recordings that were sealed, with their digests',
    events: ['recording.sealed'],
    sql: `SELECT r.seq, r.time, r.session, r.principal, r.target, r.segments, r.frames, r.bytes, r.digest, r.truncated, r.discarded FROM recordings r
      WHERE r.time >= :from ORDER BY r.seq`,
  },
  {
    name: 'evidence-access',
    title: 'Who looked at recordings, and who took the log',
    events: ['recording.viewed', 'audit.exported'],
    sql: 'SELECT k.seq, k.time, k.type, k.principal, k.session, k.skip FROM looks k WHERE k.time >= :from ORDER BY k.seq',
  },
  {
    name: 'other-events',
    title: 'Events of types that this version has no list for',
    events: [],
    sql: 'SELECT o.seq, o.time, o.type, o.principal, o.target, o.what FROM others o WHERE o.time >= :from ORDER BY o.seq',
  },
];
