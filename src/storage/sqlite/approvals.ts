import { type ExpressionBuilder, type Kysely, sql } from 'kysely';
import { z } from 'zod';
import type { ApprovalRequest } from '../../model/approval.ts';
import type { ApprovalStore } from '../store.ts';
import type { ApprovalRow, Tables } from './schema.ts';

const expiredAtOnce = 500;

/** Approval requests in SQLite. Every change of state is one UPDATE whose WHERE holds the whole condition. */
export function sqliteApprovals(db: Kysely<Tables>): ApprovalStore {
  const live = async (from: Kysely<Tables>, digest: string, now: number) => {
    const found = from.selectFrom('approvals').selectAll().where('digest', '=', digest);
    const row = await found
      .where('state', 'in', ['open', 'approved', 'denied'])
      .where('expires_at', '>', now)
      .limit(1)
      .executeTakeFirst();
    return row && requestOf(row);
  };
  const pending = async (from: Kysely<Tables>, requester: string, now: number) => {
    const counted = from.selectFrom('approvals').select((row) => row.fn.countAll<number>().as('count'));
    const theirs = counted.where('requester', '=', requester).where('state', 'in', ['open', 'denied']);
    return (await theirs.where('expires_at', '>', now).executeTakeFirstOrThrow()).count;
  };

  return {
    findOrCreate: (request, limit) =>
      db.transaction().execute(async (transaction) => {
        const found = await live(transaction, request.digest, request.createdAt);
        if (found !== undefined) return { request: found, created: false };
        if ((await pending(transaction, request.requester.id, request.createdAt)) >= limit) return undefined;
        await transaction.insertInto('approvals').values(rowOf(request)).execute();
        return { request, created: true };
      }),

    find: (digest, now) => live(db, digest, now),

    pending: (requester, now) => pending(db, requester, now),

    async get(id) {
      const row = await db.selectFrom('approvals').selectAll().where('id', '=', id).executeTakeFirst();
      return row && requestOf(row);
    },

    async answer(id, expected, decision, state) {
      const decisions = sql<string>`json_insert(decisions, '$[#]', json(${JSON.stringify(decision)}))`;
      const update = db
        .updateTable('approvals')
        .set({ state, decisions })
        .where('id', '=', id)
        .where('state', '=', 'open');
      const unexpired = update.where('expires_at', '>', decision.at);
      const result = await unexpired.where(sql<number>`json_array_length(decisions)`, '=', expected).executeTakeFirst();
      return result.numUpdatedRows === 1n;
    },

    async consume(id, digest, now) {
      const update = db
        .updateTable('approvals')
        .set({ state: 'consumed' })
        .where('id', '=', id)
        .where('digest', '=', digest);
      const result = await update.where('state', '=', 'approved').where('expires_at', '>', now).executeTakeFirst();
      return result.numUpdatedRows === 1n;
    },

    async expire(now) {
      const due = ({ selectFrom }: ExpressionBuilder<Tables, 'approvals'>) =>
        selectFrom('approvals as due')
          .select('due.id')
          .where('due.state', 'in', ['open', 'approved'])
          .where('due.expires_at', '<=', now)
          .limit(expiredAtOnce);
      const rows = await db
        .updateTable('approvals')
        .set({ state: 'expired' })
        .where((row) => row('id', 'in', due(row)))
        .returningAll()
        .execute();
      return rows.map(requestOf);
    },

    async list({ state, limit, after }) {
      let query = db.selectFrom('approvals').selectAll().orderBy('id', 'desc').limit(limit);
      if (state !== undefined) query = query.where('state', '=', state);
      if (after !== undefined) query = query.where('id', '<', after);
      return (await query.execute()).map(requestOf);
    },
  };
}

const requestBody = z.object({
  sessionId: z.string(),
  requester: z.object({ id: z.string(), name: z.string(), kind: z.string(), owner: z.string().exactOptional() }),
  target: z.string(),
  verb: z.string(),
  text: z.string(),
  parameters: z.array(z.string().nullable()).exactOptional(),
  preview: z.string().exactOptional(),
  resources: z.array(z.string()),
  rule: z.string(),
  policyVersion: z.string(),
  approvers: z.array(z.string()),
});

const decisionList = z.array(
  z.object({
    approver: z.object({ id: z.string(), name: z.string() }),
    answer: z.enum(['approve', 'deny']),
    groups: z.array(z.string()),
    reason: z.string(),
    at: z.number(),
  }),
);

function rowOf(request: ApprovalRequest): ApprovalRow {
  const { id, digest, state, createdAt, expiresAt, decisions, ...body } = request;
  return {
    id,
    digest,
    state,
    requester: request.requester.id,
    created_at: createdAt,
    expires_at: expiresAt,
    request: JSON.stringify(body),
    decisions: JSON.stringify(decisions),
  };
}

/** Throws when a row is not what this program writes: an approval that cannot be read approves nothing. */
function requestOf(row: ApprovalRow): ApprovalRequest {
  return {
    ...requestBody.parse(JSON.parse(row.request)),
    id: row.id,
    digest: row.digest,
    state: row.state,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    decisions: decisionList.parse(JSON.parse(row.decisions)),
  };
}
