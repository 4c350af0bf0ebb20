import type { z } from 'zod';
import { lines } from './lines.ts';
import * as schema from './schema.ts';

export interface ClientOptions {
  /** `https://gateway.example:8443`; plaintext is for loopback only. */
  readonly server: string;
  /** Called for each request that needs one, so that it may be refreshed. */
  readonly token?: () => Promise<string>;
  readonly fetch?: typeof fetch;
  /** For an answer's head, ms. Streams may take longer. */
  readonly timeoutMs?: number;
}

/** The API said no. `problem.code` is stable. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly problem: schema.Problem;

  constructor(problem: schema.Problem) {
    super(problem.detail ?? problem.title);
    this.problem = problem;
  }
}

/** The API could not be reached, or what answered is not it. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** A page's question, as callers write it. */
export interface Paging {
  readonly limit?: number;
  readonly after?: string;
}

/** The whole API, typed. Holds no state; safe to share. */
export class Client {
  readonly server: string;
  readonly #options: ClientOptions;

  /** Throws TypeError for a server that is no URL, or one that a token must not be sent to in the clear. */
  constructor(options: ClientOptions) {
    this.server = serverOrigin(options.server);
    this.#options = options;
  }

  issuers(): Promise<z.output<typeof schema.issuerList>> {
    return this.#call(schema.issuerList, 'GET', '/v1/issuers', { open: true });
  }

  whoami(): Promise<schema.WhoAmI> {
    return this.#call(schema.whoami, 'GET', '/v1/whoami');
  }

  sessions(
    query: Paging & { principal?: string; target?: string; live?: boolean } = {},
  ): Promise<z.output<typeof schema.sessionPage>> {
    return this.#call(schema.sessionPage, 'GET', '/v1/sessions', { query: { ...query } });
  }

  session(id: string): Promise<schema.SessionItem> {
    return this.#call(schema.session, 'GET', `/v1/sessions/${encodeURIComponent(id)}`);
  }

  /** Streams; the server reads on only as fast as this is iterated. Throws when the stream breaks off before its end. */
  async *replay(id: string, skip = 0, signal?: AbortSignal): AsyncIterable<schema.ReplayLine> {
    const response = await this.#send('GET', `/v1/sessions/${encodeURIComponent(id)}/replay`, {
      query: { skip },
      signal,
    });
    for await (const line of lines(response)) yield schema.replayItem.parse(JSON.parse(line));
  }

  async terminate(id: string, reason: string): Promise<boolean> {
    const answer = await this.#call(schema.terminated, 'POST', `/v1/sessions/${encodeURIComponent(id)}/terminate`, {
      body: { reason },
    });
    return answer.terminated;
  }

  approvals(
    query: Paging & { state?: schema.ApprovalItem['state'] } = {},
  ): Promise<z.output<typeof schema.approvalPage>> {
    return this.#call(schema.approvalPage, 'GET', '/v1/approvals', { query: { ...query } });
  }

  approval(id: string): Promise<schema.ApprovalItem> {
    return this.#call(schema.approval, 'GET', `/v1/approvals/${encodeURIComponent(id)}`);
  }

  answer(id: string, answer: 'approve' | 'deny', reason: string): Promise<schema.ApprovalItem> {
    return this.#call(schema.approval, 'POST', `/v1/approvals/${encodeURIComponent(id)}/${answer}`, {
      body: { reason },
    });
  }

  auditEvents(
    query: Paging & {
      type?: string;
      session?: string;
      principal?: string;
      target?: string;
      from?: string;
      to?: string;
    } = {},
  ): Promise<z.output<typeof schema.auditPage>> {
    return this.#call(schema.auditPage, 'GET', '/v1/audit/events', { query: { ...query } });
  }

  checkpoint(): Promise<schema.Checkpoint> {
    return this.#call(schema.checkpoint, 'GET', '/v1/audit/checkpoint');
  }

  /** The log as a tar archive. */
  async exportAudit(signal?: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const { body } = await this.#send('GET', '/v1/audit/export', { signal });
    if (body === null) throw new UnreachableError('the export came without a body');
    return body;
  }

  policies(): Promise<schema.PolicyList> {
    return this.#call(schema.policyList, 'GET', '/v1/policies');
  }

  explain(question: schema.Question): Promise<schema.Explained> {
    return this.#call(schema.explanation, 'POST', '/v1/policies/explain', { body: question });
  }

  reloadPolicies(): Promise<{ version: string }> {
    return this.#call(schema.policyVersion, 'POST', '/v1/policies/reload');
  }

  issueTicket(request: { targets: readonly string[]; ttlMs?: number }): Promise<schema.IssuedTicket> {
    return this.#call(schema.issuedTicket, 'POST', '/v1/tickets', { body: request });
  }

  async tickets(): Promise<readonly schema.TicketItem[]> {
    return (await this.#call(schema.ticketList, 'GET', '/v1/tickets')).items;
  }

  async revokeTicket(id: string): Promise<boolean> {
    return (await this.#call(schema.revoked, 'DELETE', `/v1/tickets/${encodeURIComponent(id)}`)).revoked;
  }

  async targets(): Promise<readonly schema.TargetItem[]> {
    return (await this.#call(schema.targetList, 'GET', '/v1/targets')).items;
  }

  /** What should be classified at a target. Takes as long as the target needs to be looked at. */
  propose(question: schema.ProposalQuestion): Promise<schema.ProposalAnswer> {
    return this.#call(schema.proposal, 'POST', '/v1/targets/classify', { body: question, timeoutMs: 120_000 });
  }

  async #call<S extends z.ZodType>(
    expected: S,
    method: string,
    path: string,
    request: Request & { timeoutMs?: number } = {},
  ): Promise<z.output<S>> {
    const response = await this.#send(method, path, { timeoutMs: this.#options.timeoutMs ?? 30_000, ...request });
    const parsed = expected.safeParse(await response.json().catch(() => undefined));
    if (!parsed.success)
      throw new UnreachableError(`${this.server}${path} answered something that is not Sallyport's API`);
    return parsed.data;
  }

  async #send(method: string, path: string, request: Request & { timeoutMs?: number }): Promise<Response> {
    const url = new URL(path, this.server);
    for (const [key, value] of Object.entries(request.query ?? {}))
      if (value !== undefined) url.searchParams.set(key, String(value));
    const headers: Record<string, string> = {
      accept: 'application/json, application/x-ndjson, application/x-tar, application/problem+json',
    };
    if (request.open !== true) {
      if (this.#options.token === undefined) throw new TypeError('this client has no token');
      headers.authorization = `Bearer ${await this.#options.token()}`;
    }
    if (request.body !== undefined) headers['content-type'] = 'application/json';
    const signals = [
      request.signal,
      request.timeoutMs === undefined ? undefined : AbortSignal.timeout(request.timeoutMs),
    ].filter((s) => s !== undefined);
    let response: Response;
    try {
      response = await (this.#options.fetch ?? fetch)(url, {
        method,
        headers,
        // A redirect could take the token elsewhere.
        redirect: 'error',
        signal: AbortSignal.any(signals),
        ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      });
    } catch (error) {
      if (request.signal?.aborted === true) throw error;
      throw new UnreachableError(`cannot reach ${this.server}: ${causeOf(error)}`, { cause: error });
    }
    if (!response.ok) throw new ApiError(await problemOf(response));
    return response;
  }
}

interface Request {
  readonly query?: Query;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  /** Needs no token. */
  readonly open?: boolean;
}

/** `https://host[:port]` of a server as people write it. Throws TypeError where it is none, or where a token would travel in the clear. */
export function serverOrigin(server: string): string {
  const url = URL.parse(/^[a-z]+:\/\//i.test(server) ? server : `https://${server}`);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw new TypeError(`not a server's URL: ${server}`);
  if (url.username !== '' || url.password !== '')
    throw new TypeError('a server URL must not hold a user name or a password');
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    throw new TypeError(`${url.origin} is not encrypted; plaintext is for loopback only`);
  return url.origin;
}

export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || hostname === '::1' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

async function problemOf(response: Response): Promise<schema.Problem> {
  const parsed = schema.problem.safeParse(await response.json().catch(() => undefined));
  if (parsed.success) return parsed.data;
  return {
    type: 'about:blank',
    title: `the server answered ${response.status}`,
    status: response.status,
    code: 'SP9001',
  };
}

/** The most telling message of an error and its causes. */
function causeOf(error: unknown): string {
  let message = String(error);
  for (let at: unknown = error; at instanceof Error; at = at.cause)
    message = at.message === '' ? ('code' in at && String(at.code)) || at.name : at.message;
  return message;
}
