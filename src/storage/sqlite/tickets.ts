import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { StoredTicket, TicketStore } from '../store.ts';
import type { Tables, TicketRow } from './schema.ts';

/** Tickets in SQLite. The secret is not here, only its hash. */
export function sqliteTickets(db: Kysely<Tables>): TicketStore {
  const all = db.selectFrom('tickets').selectAll();
  return {
    async insert(ticket) {
      await db.insertInto('tickets').values(rowOf(ticket)).execute();
    },

    async byHash(hash) {
      const row = await all.where('hash', '=', hash).executeTakeFirst();
      return row && ticketOf(row);
    },

    async byId(id) {
      const row = await all.where('id', '=', id).executeTakeFirst();
      return row && ticketOf(row);
    },

    async list(principal) {
      const newest = all.orderBy('created_at', 'desc').orderBy('id', 'desc');
      const rows = await (principal === undefined ? newest : newest.where('principal_id', '=', principal)).execute();
      return rows.map(ticketOf);
    },

    async revoke(id, now) {
      const update = db.updateTable('tickets').set({ revoked_at: now }).where('id', '=', id);
      const result = await update.where('revoked_at', 'is', null).executeTakeFirst();
      return result.numUpdatedRows === 1n;
    },
  };
}

const ticketBody = z.object({
  principal: z.object({
    id: z.string(),
    kind: z.enum(['human', 'ci', 'agent']),
    issuer: z.string(),
    subject: z.string(),
    name: z.string(),
    groups: z.array(z.string()),
    owner: z.string().exactOptional(),
    claims: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])),
  }),
  targets: z.array(z.string()),
});

function rowOf({ id, hash, principal, targets, createdAt, expiresAt, revokedAt }: StoredTicket): TicketRow {
  return {
    id,
    hash,
    principal_id: principal.id,
    created_at: createdAt,
    expires_at: expiresAt,
    revoked_at: revokedAt ?? null,
    ticket: JSON.stringify({ principal, targets }),
  };
}

function ticketOf(row: TicketRow): StoredTicket {
  return {
    ...ticketBody.parse(JSON.parse(row.ticket)),
    id: row.id,
    hash: row.hash,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    ...(row.revoked_at === null ? {} : { revokedAt: row.revoked_at }),
  };
}
