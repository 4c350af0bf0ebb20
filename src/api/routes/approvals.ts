import { type ApprovalItem, approval, approvalPage, approvalQuery, idParams, reasonBody } from '../../client/schema.ts';
import type { ApprovalRequest } from '../../model/approval.ts';
import type { Caller } from '../../model/principal.ts';
import { needLogin } from '../access.ts';
import type { RouteDeps, Routes } from '../api.ts';
import { callerOf } from '../authenticate.ts';
import { notFound } from '../problem.ts';

const config = { access: 'caller' } as const;

/** A caller sees what it asked for, what its agents asked for, and what it may answer. Who may answer is approvals' to say. */
export const approvalRoutes: Routes = (app, deps) => {
  const { admin, access } = deps;
  const shown = (request: ApprovalRequest): ApprovalItem => ({ ...request, presented: deps.present(request) });

  const list = 'Requests, newest first. A page may hold fewer than asked for: others may not be yours to see';
  app.get(
    '/v1/approvals',
    { config, schema: { summary: list, querystring: approvalQuery, response: { 200: approvalPage } } },
    async (request) => {
      const caller = callerOf(request);
      const { items, ...page } = await admin.approvals.list(request.query);
      return { ...page, items: items.filter((item) => access.approval(caller, item)).map(shown) };
    },
  );

  app.get(
    '/v1/approvals/:id',
    { config, schema: { summary: 'One request', params: idParams, response: { 200: approval } } },
    async (request) => shown(await visible(request.params.id, callerOf(request), deps)),
  );

  for (const answer of ['approve', 'deny'] as const) {
    const summary = answer === 'approve' ? 'Say yes' : 'Say no';
    app.post(
      `/v1/approvals/:id/${answer}`,
      { config, schema: { summary, params: idParams, body: reasonBody, response: { 200: approval } } },
      async (request) => {
        const caller = callerOf(request);
        const { id } = await visible(request.params.id, caller, deps);
        needLogin(caller, 'answer approval requests');
        return shown(await admin.approvals.answer(id, caller, answer, request.body.reason));
      },
    );
  }
};

async function visible(id: string, caller: Caller, { admin, access }: RouteDeps): Promise<ApprovalRequest> {
  const found = await admin.approvals.get(id);
  if (found === undefined || !access.approval(caller, found)) throw notFound('approval request');
  return found;
}
