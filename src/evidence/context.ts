import type { RecordedEvent } from '../model/event.ts';

/**
 * What was going on when a period begins: fed with everything before it, it knows which of those events the period's own cannot
 * be understood without. Remembers what is open, and nothing else.
 */
export class Context {
  readonly #sessions = new Map<string, number[]>();
  readonly #approvals = new Map<string, number[]>();
  readonly #tickets = new Map<string, { readonly seqs: number[]; readonly expires: string }>();
  #policy: number[] = [];
  #gateway: number[] = [];
  #last: number[] = [];

  add(event: RecordedEvent): void {
    const { type, seq, session } = event;
    const seqs = withParts(event);
    this.#last = [seq];
    if (type === 'policy.activated') this.#policy = seqs;
    else if (type.startsWith('gateway.')) this.#gateway = seqs;
    else if (type.startsWith('ticket.')) this.#ticket(event, seqs);
    else if (type.startsWith('approval.')) this.#approval(event, seqs);
    else if (type === 'session.started')
      this.#sessions.set(String(session), [...(this.#tickets.get(proofOf(event))?.seqs ?? []), ...seqs]);
    else if (type === 'session.ended') this.#sessions.delete(String(session));
    else if (type === 'session.terminated' || type === 'recording.sealed')
      this.#sessions.get(String(session))?.push(seq);
    else if (type === 'command.intent') this.#intent(event, seqs);
    else if (type === 'command.outcome') this.#sessions.delete(`${session}/${event.exchange}`);
  }

  #ticket({ type, ticket, expiresAt, time }: RecordedEvent, seqs: number[]): void {
    if (type === 'ticket.revoked') {
      this.#tickets.get(String(ticket))?.seqs.push(...seqs);
      return;
    }
    this.#tickets.set(String(ticket), { seqs, expires: String(expiresAt) });
    if (this.#tickets.size % 1024 === 0)
      for (const [id, { expires }] of this.#tickets) if (expires < time) this.#tickets.delete(id);
  }

  #approval({ type, approval, state }: RecordedEvent, seqs: number[]): void {
    const id = String(approval);
    if (type === 'approval.requested') this.#approvals.set(id, seqs);
    else if (type === 'approval.expired' || state === 'denied') this.#approvals.delete(id);
    else this.#approvals.get(id)?.push(...seqs);
  }

  /** A command that is under way is kept like a session, under its own name. */
  #intent({ session, exchange, approval }: RecordedEvent, seqs: number[]): void {
    const approved = typeof approval === 'string' ? this.#approvals.get(approval) : undefined;
    this.#sessions.set(`${session}/${exchange}`, [...(approved ?? []), ...seqs]);
    if (typeof approval === 'string') this.#approvals.delete(approval);
  }

  /** Numbers of the events that a period which begins at `from` needs, ascending. The last event before it is always among them. */
  needed(from: string): readonly number[] {
    const seqs = new Set([...this.#policy, ...this.#gateway, ...this.#last]);
    for (const some of this.#sessions.values()) for (const seq of some) seqs.add(seq);
    for (const some of this.#approvals.values()) for (const seq of some) seqs.add(seq);
    for (const { seqs: some, expires } of this.#tickets.values())
      if (expires >= from) for (const seq of some) seqs.add(seq);
    return [...seqs].toSorted((a, b) => a - b);
  }
}

/** The ticket that a session came with. */
function proofOf({ proof }: RecordedEvent): string {
  return typeof proof === 'object' && proof !== null && 'id' in proof ? String(proof.id) : '';
}

/** An event's number, and those of the parts of its large fields. */
export function withParts(event: RecordedEvent): number[] {
  const seqs: number[] = [];
  for (const field of Array.isArray(event.large) ? (event.large as string[]) : []) {
    const { from, parts } = event[field] as { from: number; parts: number };
    for (let i = 0; i < parts; i++) seqs.push(from + i);
  }
  seqs.push(event.seq);
  return seqs;
}
