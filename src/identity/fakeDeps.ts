import type { AuditPort } from '../gateway/ports.ts';
import type { AuditEvent } from '../model/event.ts';
import type { StoredTicket, TicketStore } from '../storage/store.ts';

export interface FakeAudit extends AuditPort {
  readonly events: AuditEvent[];
  broken: boolean;
}

/** Keeps what would be in the log. */
export function fakeAudit(): FakeAudit {
  const events: AuditEvent[] = [];
  const audit: FakeAudit = {
    events,
    broken: false,
    intend: () => {
      throw new Error('identity appends no intents');
    },
    openSession: () => Promise.reject(new Error('identity opens no sessions')),
    async record(event) {
      if (audit.broken) throw new Error('disk full');
      return events.push(event);
    },
    note(fields) {
      events.push(JSON.parse(`{${fields}}`) as AuditEvent);
    },
  };
  return audit;
}

export interface FakeTicketStore extends TicketStore {
  readonly rows: Map<string, StoredTicket>;
}

export function fakeTicketStore(): FakeTicketStore {
  const rows = new Map<string, StoredTicket>();
  return {
    rows,
    async insert(ticket) {
      rows.set(ticket.id, ticket);
    },
    async byHash(hash) {
      return [...rows.values()].find((ticket) => ticket.hash === hash);
    },
    async byId(id) {
      return rows.get(id);
    },
    async list(principal) {
      return [...rows.values()].filter((ticket) => principal === undefined || ticket.principal.id === principal);
    },
    async revoke(id, now) {
      const ticket = rows.get(id);
      if (ticket === undefined || ticket.revokedAt !== undefined) return false;
      rows.set(id, { ...ticket, revokedAt: now });
      return true;
    },
  };
}
