import type { FastifyError, FastifyReply } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import type { Problem } from '../client/schema.ts';
import { ConfigError, Refusal, type RefusalName } from '../model/errors.ts';

/** Refusals that only the API has. Stable, documented with the others in docs/reference/errors.md. */
export const apiErrors = {
  NOT_FOUND: { code: 'SP8001', status: 404, title: 'Not found' },
  REQUEST_INVALID: { code: 'SP8002', status: 400, title: 'The request is not valid' },
  CONFIGURATION_INVALID: { code: 'SP8003', status: 422, title: 'The configuration is not valid' },
} as const;

/** No, in a way that only HTTP knows. */
export class ApiRefusal extends Error {
  override readonly name = 'ApiRefusal';
  readonly kind: keyof typeof apiErrors;

  constructor(kind: keyof typeof apiErrors, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** What is there for others, or not at all, is the same: absent. */
export function notFound(what: string): ApiRefusal {
  return new ApiRefusal('NOT_FOUND', `there is no such ${what}, or it is not yours to see`);
}

const statuses: Readonly<Record<RefusalName, number>> = {
  LOGIN_FAILED: 401,
  TARGET_UNKNOWN: 404,
  CONNECT_DENIED: 403,
  SESSION_ENDED: 409,
  POLICY_DENIED: 403,
  UNPARSABLE: 422,
  UNSUPPORTED: 422,
  APPROVAL_PENDING: 409,
  APPROVAL_DENIED: 409,
  MASK_IMPOSSIBLE: 422,
  AUDIT_UNAVAILABLE: 503,
  UPSTREAM_UNAVAILABLE: 502,
  UPSTREAM_PROTOCOL: 502,
  CLIENT_PROTOCOL: 400,
  LIMIT_EXCEEDED: 429,
  INTERNAL: 500,
};

/** An error as the caller may read it; undefined for our own bugs, of which it reads nothing. */
export function problemFor(error: unknown): Problem | undefined {
  if (error instanceof Refusal) return ofRefusal(error);
  if (error instanceof ApiRefusal) return ofApi(error.kind, error.message);
  if (error instanceof ConfigError) return ofApi('CONFIGURATION_INVALID', error.message);
  if (hasZodFastifySchemaValidationErrors(error)) {
    const [first] = error.validation;
    const where = `${(error as FastifyError).validationContext ?? 'request'}${first?.instancePath ?? ''}`.replaceAll(
      '/',
      '.',
    );
    return ofApi('REQUEST_INVALID', `${where}: ${first?.message ?? 'not valid'}`);
  }
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  if (status === 413) return { ...ofApi('REQUEST_INVALID', 'the body is too large'), status: 413 };
  if (status === 415) return { ...ofApi('REQUEST_INVALID', 'send application/json'), status: 415 };
  if (typeof status === 'number' && status >= 400 && status < 500)
    return { ...ofApi('REQUEST_INVALID', 'the request cannot be read'), status };
  return undefined;
}

/** Our own bug, by the name under which the log has it. */
export function internalProblem(request: string): Problem {
  return {
    type: 'about:blank',
    title: 'Internal error',
    status: 500,
    code: 'SP9001',
    detail: 'something went wrong inside the gateway',
    instance: `urn:sallyport:request:${request}`,
  };
}

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  // Serialized here: a problem must reach the caller whatever a route declares for its status.
  return reply.code(problem.status).type('application/problem+json').serializer(JSON.stringify).send(problem);
}

function ofApi(kind: keyof typeof apiErrors, detail: string): Problem {
  const { code, status, title } = apiErrors[kind];
  return { type: 'about:blank', title, status, code, detail };
}

function ofRefusal(refusal: Refusal): Problem {
  const { advice, rule, link } = refusal.details;
  return {
    type: 'about:blank',
    title: titles[refusal.kind] ?? 'Refused',
    status: statuses[refusal.kind],
    code: refusal.code,
    detail: refusal.message,
    ...(advice === undefined ? {} : { advice }),
    ...(rule === undefined ? {} : { rule }),
    ...(link === undefined ? {} : { link }),
  };
}

const titles: Partial<Readonly<Record<RefusalName, string>>> = {
  LOGIN_FAILED: 'Not logged in',
  POLICY_DENIED: 'Not allowed',
  TARGET_UNKNOWN: 'No such target',
  LIMIT_EXCEEDED: 'Too many requests',
};
