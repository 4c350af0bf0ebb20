import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider, { type ClientMetadata, type Configuration, interactionPolicy } from 'oidc-provider';
import { demoCliClient } from './idpLogin.ts';
import { codePage, confirmPage, donePage, errorPage, securityHeaders, signInPage } from './idpPages.ts';
import { type IdpSecrets, idpSecrets } from './idpSecrets.ts';
import { idpStore } from './idpStore.ts';

export { approveDeviceLogin, demoCliClient, loginAsDemoPerson } from './idpLogin.ts';

/** Audience of every access token, and the resource that stands for it (a resource must be a URI, RFC 8707). */
export const demoAudience = 'sallyport';
const resource = 'urn:sallyport';

export interface DemoPerson {
  /** Becomes `sub`. */
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly groups: readonly string[];
}

export interface DemoAgent {
  /** Client id; becomes `sub`. */
  readonly id: string;
  readonly name: string;
  readonly kind: 'ci' | 'agent';
  readonly groups: readonly string[];
  /** `sub` of the person who answers for it. */
  readonly owner?: string;
  /** Further claims: repository, run_id, … */
  readonly claims?: Readonly<Record<string, string>>;
}

export interface DevIdpOptions {
  /** On 127.0.0.1. 0 chooses a free one. */
  readonly port: number;
  readonly people: readonly DemoPerson[];
  readonly agents: readonly DemoAgent[];
  /** Signing keys and client secrets are kept in `idp.json` here, so that tokens outlive a restart. */
  readonly dataDir: string;
  /** Where a browser application may be sent back to, as the client `sallyport-console`. */
  readonly consoleRedirectUris?: readonly string[];
  readonly tokenTtlSeconds?: number;
  readonly algorithm?: 'ES256' | 'RS256';
}

export interface DevIdp {
  readonly issuer: string;
  /** An agent's access token, by the client credentials grant over HTTP like anybody else's. */
  tokenForAgent(agent: string): Promise<string>;
  /** For agents that get their own tokens: CI jobs in another process. */
  clientSecret(agent: string): string;
  close(): Promise<void>;
}

/**
 * A development OpenID provider on loopback: real protocol, real keys, and no passwords. Whoever reaches it is whoever they say they are. Access tokens are JWTs (RFC 9068)
 * for the audience `sallyport` with the claims kind, name, groups, email, owner. Rejects with EADDRINUSE when the port is taken.
 */
export async function startDevIdp(options: DevIdpOptions): Promise<DevIdp> {
  checkNames(options);
  const secrets = await idpSecrets(
    options.dataDir,
    options.agents.map(({ id }) => id),
  );
  let handle: (request: IncomingMessage, response: ServerResponse) => void = (_, response) =>
    response.writeHead(503).end();
  const server = createServer((request, response) => handle(request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const host = `127.0.0.1:${port}`;
  const issuer = `http://${host}`;
  const provider = new Provider(issuer, configuration(options, secrets));
  const protocol = provider.callback();
  handle = (request, response) => {
    for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value);
    // A name that resolves here from somebody's web page is not us.
    if (request.headers.host !== host)
      response.writeHead(421).end('this development provider answers to its own address only\n');
    else if (request.url?.startsWith('/interaction/')) void interact(provider, options.people, request, response);
    else void protocol(request, response);
  };

  return {
    issuer,
    clientSecret: (agent) => secretOf(secrets, agent),
    tokenForAgent: (agent) => clientCredentials(issuer, agent, secretOf(secrets, agent)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** One `sub` must not mean two. */
function checkNames({ people, agents }: DevIdpOptions): void {
  const all = [...people, ...agents].map(({ id }) => id);
  const twice = all.find((id, i) => all.indexOf(id) !== i);
  if (twice !== undefined) throw new Error(`${twice} is the id of two people or agents`);
}

function secretOf({ clientSecrets }: IdpSecrets, agent: string): string {
  const secret = clientSecrets[agent];
  if (secret === undefined) throw new Error(`there is no agent ${agent}`);
  return secret;
}

async function clientCredentials(issuer: string, client: string, secret: string): Promise<string> {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${encodeURIComponent(client)}:${encodeURIComponent(secret)}`).toString('base64')}`,
    },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'sallyport' }),
  });
  const answer = (await response.json()) as { access_token?: string; error_description?: string };
  if (answer.access_token === undefined)
    throw new Error(`no token for ${client}: ${answer.error_description ?? response.status}`);
  return answer.access_token;
}

function configuration(options: DevIdpOptions, secrets: IdpSecrets): Configuration {
  const { people, agents, tokenTtlSeconds = 3600, algorithm = 'ES256' } = options;
  const person = new Map(people.map((p) => [p.id, personClaims(p)]));
  const agent = new Map(agents.map((a) => [a.id, agentClaims(a)]));
  return {
    adapter: idpStore(),
    jwks: secrets.jwks,
    cookies: { keys: [...secrets.cookieKeys] },
    clients: clients(options, secrets),
    scopes: ['openid', 'offline_access'],
    claims: { openid: ['sub', 'name', 'email', 'email_verified', 'groups'] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => {
      const claims = person.get(id);
      return claims && { accountId: id, claims: () => ({ sub: id, ...claims }) };
    },
    extraTokenClaims: (_, token) =>
      token.kind === 'ClientCredentials' ? agent.get(token.clientId ?? '') : person.get(token.accountId),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: {
        enabled: true,
        userCodeInputSource: (ctx, form, _out, error) => {
          ctx.body = codePage(form, error !== undefined);
        },
        userCodeConfirmSource: (ctx, form, client, _info, code) => {
          ctx.body = confirmPage(form, client.clientId, code);
        },
        successSource: (ctx) => {
          ctx.body = donePage();
        },
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'sallyport',
          audience: demoAudience,
          accessTokenTTL: tokenTtlSeconds,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: algorithm } },
        }),
      },
    },
    interactions: { url: (_, { uid }) => `/interaction/${uid}`, policy: alwaysAsk() },
    issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
    renderError: (ctx, out) => {
      ctx.type = 'html';
      ctx.body = errorPage(String(out.error), String(out.error_description ?? ''));
    },
    clientBasedCORS: () => false,
    ttl: {
      AccessToken: tokenTtlSeconds,
      ClientCredentials: tokenTtlSeconds,
      AuthorizationCode: 60,
      DeviceCode: 600,
      IdToken: 3600,
      RefreshToken: 24 * 3600,
      Grant: 24 * 3600,
      Interaction: 600,
      Session: 600,
    },
  };
}

function personClaims({ name, email, groups }: DemoPerson) {
  return { kind: 'human', name, email, email_verified: true, groups };
}

function agentClaims({ name, kind, groups, owner, claims }: DemoAgent) {
  return { ...claims, kind, name, groups, ...(owner === undefined ? {} : { owner }) };
}

function clients({ agents, consoleRedirectUris = [] }: DevIdpOptions, secrets: IdpSecrets): ClientMetadata[] {
  const cli: ClientMetadata = {
    client_id: demoCliClient,
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
    response_types: ['code'],
    // Any port will do: RFC 8252, 7.3.
    redirect_uris: ['http://127.0.0.1/callback', 'http://localhost/callback'],
  };
  const browser: ClientMetadata = {
    client_id: 'sallyport-console',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code'],
    response_types: ['code'],
    redirect_uris: [...consoleRedirectUris],
  };
  const machines = agents.map(
    ({ id }): ClientMetadata => ({
      client_id: id,
      client_secret: secretOf(secrets, id),
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    }),
  );
  return [cli, ...machines, ...(consoleRedirectUris.length > 0 ? [browser] : [])];
}

/** Asks who is signing in every time: in a demonstration one person plays several. */
function alwaysAsk() {
  const { base, Check } = interactionPolicy;
  const policy = base();
  const ask = new Check('always_ask', 'choose a person', 'login_required', (ctx) =>
    ctx.oidc.result?.login === undefined ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT,
  );
  policy.get('login')?.checks.push(ask);
  return policy;
}

/** The sign-in page and its answer. */
async function interact(
  provider: Provider,
  people: readonly DemoPerson[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const { params, uid } = await provider.interactionDetails(request, response);
    const client = String(params.client_id);
    if (request.method !== 'POST') {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(signInPage(uid, client, people));
      return;
    }
    const chosen = new URLSearchParams(await body(request)).get('person');
    if (!people.some(({ id }) => id === chosen)) throw new Error('there is no such person');
    const grant = new provider.Grant({ accountId: chosen!, clientId: client });
    grant.addOIDCScope('openid offline_access');
    grant.addResourceScope(resource, 'sallyport');
    const result = { login: { accountId: chosen!, remember: false }, consent: { grantId: await grant.save() } };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  } catch (error) {
    if (response.headersSent) response.destroy();
    else
      response
        .writeHead(400, { 'content-type': 'text/html; charset=utf-8' })
        .end(errorPage('sign-in failed', (error as Error).message));
  }
}

async function body(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > 10_000) throw new Error('the form is too large');
  }
  return text;
}
