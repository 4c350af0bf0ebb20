import {
  idParams,
  reasonBody,
  replayItem,
  replayQuery,
  session,
  sessionPage,
  sessionQuery,
  terminated,
} from '../../client/schema.ts';
import type { SessionSummary } from '../../gateway/admin.ts';
import type { Caller } from '../../model/principal.ts';
import { denied, needLogin } from '../access.ts';
import type { RouteDeps, Routes } from '../api.ts';
import { callerOf } from '../authenticate.ts';
import { notFound } from '../problem.ts';
import { withoutUndefined } from '../serialize.ts';
import { ndjson } from '../streams.ts';

const config = { access: 'caller' } as const;

/** Everybody sees their own sessions; `review` shows those of others, `configure` ends them. */
export const sessionRoutes: Routes = (app, deps) => {
  const { admin, access, streams } = deps;

  app.get(
    '/v1/sessions',
    {
      config,
      schema: { summary: 'Sessions, newest first', querystring: sessionQuery, response: { 200: sessionPage } },
    },
    async (request) => {
      const caller = callerOf(request);
      if (access.review(caller)) return admin.sessions.list(request.query);
      const { id } = caller.principal;
      if (request.query.principal !== undefined && request.query.principal !== id)
        throw denied('see the sessions of others', 'review');
      const { items, ...page } = await admin.sessions.list({ ...request.query, principal: id });
      return { ...page, items: items.filter((item) => access.session(caller, item)) };
    },
  );

  app.get(
    '/v1/sessions/:id',
    { config, schema: { summary: 'One session', params: idParams, response: { 200: session } } },
    async (request) => visible(request.params.id, callerOf(request), deps),
  );

  const stream = {
    200: { description: 'one item a line', content: { 'application/x-ndjson': { schema: replayItem } } },
  };
  app.get(
    '/v1/sessions/:id/replay',
    {
      config,
      schema: {
        summary: 'Statements and what they showed, in order',
        params: idParams,
        querystring: replayQuery,
        response: stream,
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      const { id } = await visible(request.params.id, caller, deps);
      const items = admin.sessions.replay(id, caller, request.query.skip);
      if (items === undefined) throw notFound('recording');
      const bytes = await streams.open(
        caller,
        ndjson(items, (item) => replayItem.parse(withoutUndefined(item))),
      );
      return reply.type('application/x-ndjson').send(bytes as never);
    },
  );

  app.post(
    '/v1/sessions/:id/terminate',
    {
      config,
      schema: { summary: 'End a live session now', params: idParams, body: reasonBody, response: { 200: terminated } },
    },
    async (request) => {
      const caller = callerOf(request);
      const found = await visible(request.params.id, caller, deps);
      needLogin(caller, 'end sessions');
      if (found.principal !== caller.principal.id && !access.configure(caller))
        throw denied('end the sessions of others', 'configure');
      return { terminated: await admin.sessions.terminate(found.id, caller, request.body.reason) };
    },
  );
};

async function visible(id: string, caller: Caller, { admin, access }: RouteDeps): Promise<SessionSummary> {
  const found = await admin.sessions.get(id);
  if (found === undefined || !access.session(caller, found)) throw notFound('session');
  return found;
}
