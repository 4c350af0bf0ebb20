import { z } from 'zod';
import { auditPage, auditQuery, checkpoint } from '../../client/schema.ts';
import type { Caller } from '../../model/principal.ts';
import { denied } from '../access.ts';
import type { RouteDeps, Routes } from '../api.ts';
import { callerOf } from '../authenticate.ts';

const config = { access: 'caller' } as const;

/** The history of everybody: for those who may review. */
export const auditRoutes: Routes = (app, deps) => {
  const { admin, streams } = deps;

  const order = 'Events, newest first; oldest first after a sequence number';
  app.get(
    '/v1/audit/events',
    { config, schema: { summary: order, querystring: auditQuery, response: { 200: auditPage } } },
    async (request) => {
      reviewer(callerOf(request), deps);
      return admin.audit.events(request.query);
    },
  );

  app.get(
    '/v1/audit/checkpoint',
    {
      config,
      schema: { summary: 'The latest signed checkpoint and the key to verify it', response: { 200: checkpoint } },
    },
    async (request) => {
      reviewer(callerOf(request), deps);
      return admin.audit.checkpoint();
    },
  );

  const tar = {
    200: { description: 'the log in tlog-tiles layout', content: { 'application/x-tar': { schema: z.string() } } },
  };
  app.get(
    '/v1/audit/export',
    { config, schema: { summary: 'The log, to be verified offline', response: tar } },
    async (request, reply) => {
      const caller = callerOf(request);
      reviewer(caller, deps);
      const bytes = await streams.open(caller, admin.audit.export(caller));
      reply.header('content-disposition', 'attachment; filename="sallyport-audit.tar"');
      return reply.type('application/x-tar').send(bytes as never);
    },
  );
};

function reviewer(caller: Caller, { access }: RouteDeps): void {
  if (!access.review(caller)) throw denied('read the audit log', 'review');
}
