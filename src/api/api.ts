import { randomUUID } from 'node:crypto';
import swagger from '@fastify/swagger';
import { type FastifyInstance, fastify } from 'fastify';
import { validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { IssuerInfo } from '../client/schema.ts';
import type { Admin } from '../gateway/admin.ts';
import type { IdentityPort, PolicyPort } from '../gateway/ports.ts';
import type { Gateway } from '../gateway/protocol.ts';
import type { ApprovalRequest } from '../model/approval.ts';
import { type Access, createAccess } from './access.ts';
import { authenticate } from './authenticate.ts';
import { openapiOptions } from './openapi.ts';
import { internalProblem, notFound, problemFor, sendProblem } from './problem.ts';
import { approvalRoutes } from './routes/approvals.ts';
import { auditRoutes } from './routes/audit.ts';
import { classifyRoutes } from './routes/classify.ts';
import { policyRoutes } from './routes/policies.ts';
import { publicRoutes } from './routes/public.ts';
import { sessionRoutes } from './routes/sessions.ts';
import { targetRoutes } from './routes/targets.ts';
import { ticketRoutes } from './routes/tickets.ts';
import { whoamiRoutes } from './routes/whoami.ts';
import { serializeDeclared } from './serialize.ts';
import { Streams } from './streams.ts';
import { Throttle } from './throttle.ts';

export interface ApiDeps {
  readonly admin: Admin;
  readonly identity: IdentityPort;
  readonly policy: PolicyPort;
  /** What people need to know before they can log in. */
  readonly issuers: readonly IssuerInfo[];
  /** PEM. Without it the API speaks plain HTTP: only for loopback, and for tests. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  /** An approval request as an approver should read it: approvals' `present`. */
  present(request: ApprovalRequest): string;
  /** False takes the node out of its load balancer. */
  ready(): boolean | Promise<boolean>;
  readonly log: Gateway['log'];
  readonly now: () => number;
  /** Failed logins an address may have a minute; 20 where absent. */
  readonly failedLogins?: number;
}

/** What every route is made from. */
export interface RouteDeps extends ApiDeps {
  readonly access: Access;
  readonly streams: Streams;
}

export type Api = FastifyInstance;
export type Routes = (app: ReturnType<typeof typed>, deps: RouteDeps) => void;

/** The HTTP API, not listening yet: `await api.listen({ host, port })`. Holds no state but counters. */
export function createApi(deps: ApiDeps): Api {
  const app = server(deps);
  app.server.maxConnections = 2000;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializeDeclared);
  refuseUndeclared(app);
  headers(app, deps.tls !== undefined);
  errors(app, deps.log);
  const throttle = new Throttle({ failures: deps.failedLogins ?? 20, windowMs: 60_000, now: deps.now });
  app.addHook('onRequest', authenticate(deps.identity, throttle));
  app.register(swagger, openapiOptions);
  const routeDeps: RouteDeps = {
    ...deps,
    access: createAccess(deps.policy, (name) => deps.admin.targets.get(name)),
    streams: new Streams(4),
  };
  app.register(async (scope) => {
    const routes = typed(scope);
    for (const add of [
      publicRoutes,
      whoamiRoutes,
      sessionRoutes,
      approvalRoutes,
      auditRoutes,
      policyRoutes,
      ticketRoutes,
      targetRoutes,
      classifyRoutes,
    ])
      add(routes, routeDeps);
  });
  return app;
}

function typed(app: FastifyInstance) {
  return app.withTypeProvider<ZodTypeProvider>();
}

function server({ tls }: ApiDeps): FastifyInstance {
  const options = {
    bodyLimit: 64 * 1024,
    // A client has this long to send a request; an answer may stream for longer.
    requestTimeout: 30_000,
    keepAliveTimeout: 10_000,
    routerOptions: { maxParamLength: 200 },
    exposeHeadRoutes: false,
    // No proxy is trusted: an address is what the socket says.
    trustProxy: false,
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    forceCloseConnections: true,
    return503OnClosing: true,
    http: { headersTimeout: 10_000 },
  } as const;
  if (tls === undefined) return fastify(options);
  const { http: _, ...rest } = options;
  const https = { ...tls, minVersion: 'TLSv1.2', handshakeTimeout: 10_000, headersTimeout: 10_000 } as const;
  return fastify({ ...rest, https }) as unknown as FastifyInstance;
}

/** A route that does not say whether it is public does not exist. */
function refuseUndeclared(app: FastifyInstance): void {
  app.addHook('onRoute', ({ config, method, url }) => {
    if (config?.access === undefined) throw new TypeError(`${String(method)} ${url} does not say who may call it`);
  });
}

/** Answers hold data, never pages: nothing here may be framed, run, cached or guessed to be something else. */
function headers(app: FastifyInstance, encrypted: boolean): void {
  app.addHook('onRequest', async (_, reply) => {
    reply.headers({
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      ...(encrypted ? { 'strict-transport-security': 'max-age=31536000' } : {}),
    });
  });
}

function errors(app: FastifyInstance, log: Gateway['log']): void {
  app.setErrorHandler((error, request, reply) => {
    const problem = problemFor(error);
    if (problem !== undefined) return sendProblem(reply, problem);
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log('error', 'api: a request failed by an internal error', {
      request: request.id,
      route: `${request.method} ${request.routeOptions.url ?? ''}`,
      error: stack,
    });
    return sendProblem(reply, internalProblem(request.id));
  });
  app.setNotFoundHandler((_, reply) => sendProblem(reply, problemFor(notFound('resource')) ?? internalProblem('')));
}
