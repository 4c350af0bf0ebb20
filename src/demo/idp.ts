import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider from 'oidc-provider';
import { type DemoPerson, type DevIdpOptions, idpConfiguration, resource, secretOf } from './idpConfiguration.ts';
import { errorPage, securityHeaders, signInPage } from './idpPages.ts';
import { idpSecrets } from './idpSecrets.ts';

export { type DemoAgent, type DemoPerson, type DevIdpOptions, demoAudience } from './idpConfiguration.ts';
export { approveDeviceLogin, demoCliClient, loginAsDemoPerson } from './idpLogin.ts';

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
  const provider = new Provider(issuer, idpConfiguration(options, secrets));
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
    tokenForAgent: async (agent) => clientCredentials(issuer, agent, secretOf(secrets, agent)),
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
