import { idParams, issuedTicket, revoked, ticketBody, ticketList } from '../../client/schema.ts';
import { Refusal } from '../../model/errors.ts';
import { needLogin } from '../access.ts';
import type { Routes } from '../api.ts';
import { callerOf } from '../authenticate.ts';
import { notFound } from '../problem.ts';

const config = { access: 'caller' } as const;

/** A ticket cannot get another one: its life would have no end. */
export const ticketRoutes: Routes = (app, { admin, access }) => {
  app.post(
    '/v1/tickets',
    { config, schema: { summary: 'A ticket for some targets', body: ticketBody, response: { 201: issuedTicket } } },
    async (request, reply) => {
      const caller = callerOf(request);
      needLogin(caller, 'get another ticket');
      for (const name of request.body.targets) {
        const target = admin.targets.get(name);
        if (target !== undefined && access.target(caller, target)) continue;
        throw new Refusal('TARGET_UNKNOWN', `there is no target ${JSON.stringify(name)} that you may reach`, {
          advice: 'list yours with: sallyport targets list',
        });
      }
      return reply.code(201).send(await admin.tickets.issue(caller, request.body));
    },
  );

  app.get(
    '/v1/tickets',
    { config, schema: { summary: 'Your tickets', response: { 200: ticketList } } },
    async (request) => ({
      items: await admin.tickets.list(callerOf(request)),
    }),
  );

  app.delete(
    '/v1/tickets/:id',
    {
      config,
      schema: { summary: 'Revoke a ticket and end its sessions', params: idParams, response: { 200: revoked } },
    },
    async (request) => {
      const caller = callerOf(request);
      needLogin(caller, 'revoke tickets');
      if (!(await admin.tickets.revoke(caller, request.params.id))) throw notFound('ticket');
      return { revoked: true };
    },
  );
};
