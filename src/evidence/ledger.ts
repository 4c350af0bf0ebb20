import type { RecordedEvent } from '../model/event.ts';
import { list, number, object, text, textDigest } from './field.ts';
import type { Period } from './period.ts';
import type { Row, Tables } from './tables.ts';

/** Of the kinds of action, those that look and no more. The rest change something. */
const looking = new Set(['read', 'session', 'export']);

interface Counts {
  commands: number;
  changes: number;
  denied: number;
  held: number;
  rows: number;
  bytes: number;
}

/**
 * Takes the events of a period (and those before it that matter) in order and fills the tables with what they say. Memory: what
 * is open at the time, up to a bound.
 */
export class Ledger {
  readonly #tables: Tables;
  readonly #period: Period;
  readonly #mostOpen: number;
  readonly #intents = new Map<string, Row>();
  readonly #counts = new Map<string, Counts>();
  readonly #masks = new Map<string, [Row, number, number]>();
  /** Events of the period, by type. */
  readonly types = new Map<string, number>();

  /** `mostOpen`: what may be open in memory, of each kind, before it is put into the tables. */
  constructor(tables: Tables, period: Period, mostOpen = 20_000) {
    this.#tables = tables;
    this.#period = period;
    this.#mostOpen = mostOpen;
  }

  add(event: RecordedEvent): void {
    const { type } = event;
    if (event.time >= this.#period.from) this.types.set(type, (this.types.get(type) ?? 0) + 1);
    if (type === 'command.intent') this.#intent(event);
    else if (type === 'command.outcome') this.#outcome(event);
    else if (type.startsWith('session.')) this.#session(event);
    else if (type.startsWith('command.')) this.#refused(event);
    else if (type.startsWith('approval.')) this.#approval(event);
    else this.#other(event);
  }

  /** Puts what is open into the tables. */
  end(): void {
    this.#flushIntents();
    this.#flushCounts();
    this.#flushMasks();
  }

  #intent(event: RecordedEvent): void {
    const { seq, time, session, exchange, principal, target } = event;
    const actions = Array.isArray(event.actions) ? (event.actions as string[]) : [];
    const changes = actions.some((action) => !looking.has(action)) ? 1 : 0;
    if (event.prepareOnly !== true && time >= this.#period.from) {
      const counts = this.#countsOf(String(session));
      counts.commands++;
      counts.changes += changes;
    }
    if (this.#intents.size >= this.#mostOpen) this.#flushIntents();
    this.#intents.set(`${session}/${exchange}`, {
      seq,
      time,
      session: text(session),
      exchange: number(exchange),
      principal: text(principal),
      target: text(target),
      decision: text(event.decision),
      rules: list(event.rules),
      policy: text(event.policy),
      verb: text(event.verb),
      actions: list(event.actions),
      changes,
      resources: list(event.resources),
      prepare_only: event.prepareOnly === true ? 1 : 0,
      text_sha256: textDigest(event),
      approval: text(event.approval),
      outcome_seq: null,
      outcome_time: null,
      status: null,
      rows: null,
      bytes: null,
      error_code: null,
      masked: null,
    });
  }

  #outcome(event: RecordedEvent): void {
    const { seq, time, session, exchange } = event;
    const key = `${session}/${exchange}`;
    const masked = Array.isArray(event.masked) ? event.masked.map(object) : [];
    const rows = number(event.rows);
    const bytes = number(event.bytes);
    const shown = masked.reduce((sum, field) => sum + (number(field.count) ?? 0), 0);
    const counts = this.#countsOf(String(session));
    counts.rows += rows ?? 0;
    counts.bytes += bytes ?? 0;
    for (const field of masked) this.#mask(event, field);
    const intent = this.#intents.get(key);
    const concluded = { outcome_seq: seq, outcome_time: time, status: text(event.status), rows, bytes };
    const errorCode = text(event.errorCode);
    if (intent !== undefined) {
      this.#intents.delete(key);
      this.#tables.insert('commands', { ...intent, ...concluded, error_code: errorCode, masked: shown });
      return;
    }
    this.#tables.run(
      `UPDATE commands SET outcome_seq = ?, outcome_time = ?, status = ?, rows = ?, bytes = ?, error_code = ?, masked = ?
       WHERE session = ? AND exchange = ? AND status IS NULL`,
      seq,
      time,
      concluded.status,
      rows,
      bytes,
      errorCode,
      shown,
      text(session),
      number(exchange),
    );
  }

  #mask({ seq, target }: RecordedEvent, field: Readonly<Record<string, unknown>>): void {
    const row = {
      target: text(target) ?? '',
      field: text(field.field) ?? '',
      classification: text(field.classification) ?? '',
      method: text(field.method) ?? '',
      seq,
    };
    const key = JSON.stringify([row.target, row.field, row.classification, row.method]);
    const known = this.#masks.get(key);
    const count = number(field.count) ?? 0;
    if (known === undefined) {
      if (this.#masks.size >= this.#mostOpen) this.#flushMasks();
      this.#masks.set(key, [row, 1, count]);
    } else {
      known[1]++;
      known[2] += count;
    }
  }

  #session(event: RecordedEvent): void {
    const { type, seq, time, session: id } = event;
    if (type === 'session.started') {
      const client = object(event.client);
      const proof = object(event.proof);
      this.#tables.insert('sessions', {
        seq,
        id: text(id),
        started: time,
        principal: text(event.principal),
        name: text(event.principalName),
        kind: text(event.principalKind),
        owner: text(event.owner),
        groups: list(event.groups),
        target: text(event.target),
        protocol: text(event.protocol),
        address: text(client.address),
        application: text(client.application),
        proof_kind: text(proof.kind),
        proof: text(proof.id),
        policy: text(event.policy),
      });
    } else if (type === 'session.ended') {
      this.#tables.run(
        'UPDATE sessions SET ended = ?, ended_seq = ?, end_reason = ? WHERE id = ? AND ended IS NULL',
        time,
        seq,
        text(event.reason),
        text(id),
      );
    } else if (type === 'session.terminated') {
      this.#tables.run(
        'UPDATE sessions SET terminated_seq = ?, terminated_by = ? WHERE id = ?',
        seq,
        text(event.principal),
        text(id),
      );
      this.#note(
        'lifecycle',
        event,
        `${text(id) ?? ''}: ${text(event.reason) ?? ''}, by ${text(event.principal) ?? ''}`,
      );
    }
  }

  #refused(event: RecordedEvent): void {
    const { type, seq, time, session, exchange } = event;
    const counts = this.#countsOf(String(session));
    if (type === 'command.held') counts.held++;
    if (type !== 'command.denied' || time < this.#period.from) return;
    counts.denied++;
    this.#tables.insert('denials', {
      seq,
      time,
      session: text(session),
      exchange: number(exchange),
      principal: text(event.principal),
      target: text(event.target),
      code: text(event.code),
      rule: text(event.rule),
      reason: text(event.reason),
      verb: text(event.verb),
      actions: list(event.actions),
      resources: list(event.resources),
      text_sha256: textDigest(event),
    });
  }

  #approval(event: RecordedEvent): void {
    const { type, seq, time } = event;
    const id = text(event.approval);
    if (type === 'approval.requested') {
      this.#tables.insert('approvals', {
        seq,
        id,
        time,
        session: text(event.session),
        requester: text(event.principal),
        owner: text(event.owner),
        target: text(event.target),
        rule: text(event.rule),
        policy: text(event.policy),
        verb: text(event.verb),
        resources: list(event.resources),
        approvers: list(event.approvers),
        digest: text(event.digest),
        expires: text(event.expiresAt),
      });
    } else if (type === 'approval.decided') {
      this.#tables.insert('answers', {
        seq,
        time,
        approval: id,
        approver: text(event.principal),
        answer: text(event.answer),
        groups: list(event.groups),
        reason: text(event.reason),
        state: text(event.state),
        effect: text(event.effect),
      });
      // That an answer came too late is an event of its own, which names the answer.
      if (event.effect === 'none' && typeof event.refersTo === 'number')
        this.#tables.run("UPDATE answers SET effect = 'none' WHERE seq = ?", event.refersTo);
    } else if (type === 'approval.consumed') {
      const by = list(event.approvedBy);
      this.#tables.run(
        'UPDATE approvals SET consumed_seq = ?, consumed = ?, approved_by = ? WHERE id = ?',
        seq,
        time,
        by,
        id,
      );
    } else if (type === 'approval.expired') {
      this.#tables.run(
        'UPDATE approvals SET expired_seq = ?, expired_reason = ? WHERE id = ?',
        seq,
        text(event.reason),
        id,
      );
    }
  }

  #other(event: RecordedEvent): void {
    const { type, seq, time } = event;
    const who = { seq, time, principal: text(event.principal) };
    switch (type) {
      case 'auth.succeeded': {
        const proof = { proof_kind: text(event.proof), proof: text(event.proofId) };
        const where = { issuer: text(event.issuer), audience: text(event.audience), peer: text(event.peer) };
        this.#tables.insert('logins', { ...who, ...where, ...proof });
        return;
      }
      case 'auth.failed':
        this.#tables.insert('failures', {
          ...who,
          target: text(event.target),
          code: text(event.code),
          reason: text(event.reason),
          issuer: text(event.issuer),
          audience: text(event.audience),
          peer: text(event.peer),
          // Of many in a minute one event stands for the rest.
          count: number(event.count) ?? 1,
        });
        return;
      case 'ticket.issued':
        this.#tables.insert('tickets', {
          ...who,
          id: text(event.ticket),
          targets: list(event.targets),
          expires: text(event.expiresAt),
          proof: text(event.proof),
        });
        return;
      case 'ticket.revoked': {
        const revoke = 'UPDATE tickets SET revoked_seq = ?, revoked = ?, revoked_by = ? WHERE id = ?';
        this.#tables.run(revoke, seq, time, text(event.by), text(event.ticket));
        return;
      }
      case 'policy.activated':
      case 'policy.rejected':
        this.#tables.insert('policies', {
          seq,
          time,
          type,
          version: text(event.version),
          previous: text(event.previous),
          files: list(event.files),
          rules: list(event.rules) ?? (number(event.rules) === null ? null : String(event.rules)),
          problems: list(event.problems),
        });
        return;
      case 'recording.sealed':
        this.#recording(event);
        return;
      case 'recording.viewed':
      case 'audit.exported':
        this.#tables.insert('looks', { ...who, type, session: text(event.session), skip: number(event.skip) });
        return;
      case 'gateway.started':
      case 'gateway.stopped':
      case 'gateway.recovered':
      case 'target.inspected':
      case 'shipping.started':
      case 'shipping.failing':
      case 'shipping.recovered':
      case 'shipping.refused':
        this.#note('lifecycle', event);
        return;
      case 'audit.heartbeat':
      case 'audit.part':
        return;
      default:
        // Of a later version: not understood here, and not dropped.
        this.#note('others', event);
    }
  }

  #recording(event: RecordedEvent): void {
    const { seq, time, session } = event;
    const truncated = event.truncated === true ? 1 : 0;
    const digest = text(event.digest);
    const frames = number(event.frames);
    this.#tables.insert('recordings', {
      seq,
      time,
      session: text(session),
      principal: text(event.principal),
      target: text(event.target),
      segments: number(event.segments),
      frames,
      bytes: number(event.bytes),
      digest,
      truncated,
      discarded: number(event.discarded),
    });
    this.#tables.run(
      'UPDATE sessions SET sealed_seq = ?, digest = ?, frames = ?, truncated = ? WHERE id = ?',
      seq,
      digest,
      frames,
      truncated,
      text(session),
    );
  }

  #note(table: 'lifecycle' | 'others', event: RecordedEvent, what?: string): void {
    const { seq, time, type, principal, target, session: _, ...rest } = event;
    const row = { seq, time, type, target: text(target), what: what ?? JSON.stringify(rest).slice(0, 2000) };
    this.#tables.insert(table, table === 'others' ? { ...row, principal: text(principal) } : row);
  }

  #countsOf(session: string): Counts {
    let counts = this.#counts.get(session);
    if (counts === undefined) {
      if (this.#counts.size >= this.#mostOpen) this.#flushCounts();
      counts = { commands: 0, changes: 0, denied: 0, held: 0, rows: 0, bytes: 0 };
      this.#counts.set(session, counts);
    }
    return counts;
  }

  #flushIntents(): void {
    for (const intent of this.#intents.values()) this.#tables.insert('commands', intent);
    this.#intents.clear();
  }

  #flushCounts(): void {
    for (const [session, { commands, changes, denied, held, rows, bytes }] of this.#counts)
      this.#tables.run(
        `UPDATE sessions SET commands = commands + ?, changes = changes + ?, denied = denied + ?, held = held + ?,
         rows = rows + ?, bytes = bytes + ? WHERE id = ?`,
        commands,
        changes,
        denied,
        held,
        rows,
        bytes,
        session,
      );
    this.#counts.clear();
  }

  #flushMasks(): void {
    for (const [{ target, field, classification, method, seq }, replies, shown] of this.#masks.values())
      this.#tables.run(
        `INSERT INTO masks VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET replies = replies + excluded.replies, shown = shown + excluded.shown`,
        target ?? '',
        field ?? '',
        classification ?? '',
        method ?? '',
        seq ?? 0,
        replies,
        shown,
      );
    this.#masks.clear();
  }
}
