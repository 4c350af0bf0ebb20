import { type ClientMetadata, type Configuration, interactionPolicy } from 'oidc-provider';
import { demoCliClient } from './idpLogin.ts';
import { codePage, confirmPage, donePage, errorPage } from './idpPages.ts';
import type { IdpSecrets } from './idpSecrets.ts';
import { idpStore } from './idpStore.ts';

/** Audience of every access token, and the resource that stands for it (a resource must be a URI, RFC 8707). */
export const demoAudience = 'sallyport';
export const resource = 'urn:sallyport';

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

/** What `oidc-provider` needs to know: no passwords, no network, everything else as the specifications have it. */
export function idpConfiguration(options: DevIdpOptions, secrets: IdpSecrets): Configuration {
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

/** Throws when there is no such agent. */
export function secretOf({ clientSecrets }: IdpSecrets, agent: string): string {
  const secret = clientSecrets[agent];
  if (secret === undefined) throw new Error(`there is no agent ${agent}`);
  return secret;
}
