import { rootCertificates } from 'node:tls';
import { isLoopback } from '../client/client.ts';
import type { IssuerInfo } from '../client/schema.ts';
import { exitCodes, Failure } from './exit.ts';
import { fetchTrusting } from './fetch.ts';
import type { Login } from './profile.ts';
import type { Terminal } from './terminal.ts';
import { visibleLine } from './visible.ts';

type Refresh = NonNullable<Login['refresh']>;

/** What an issuer gave. */
export interface Tokens {
  readonly token: string;
  readonly refresh?: Refresh;
}

/** OAuth 2.0 device authorization grant (RFC 8628): shows where to go and which code to enter, and waits until that is done. */
export async function deviceLogin(
  issuer: IssuerInfo,
  ca: readonly string[] | undefined,
  terminal: Terminal,
): Promise<Tokens> {
  const { login } = issuer;
  if (login === undefined)
    throw new Failure(
      exitCodes.login,
      `nobody can log in with ${issuer.name} here; bring a token: sallyport login --token-file FILE`,
    );
  const oidc = await import('openid-client');
  const configuration = await discover(issuer.issuer, login.clientId, ca);
  const resource = login.resource === undefined ? {} : { resource: login.resource };
  const started = await oidc.initiateDeviceAuthorization(configuration, { scope: login.scope, ...resource });
  const link = started.verification_uri_complete ?? started.verification_uri;
  if (!/^https?:\/\//.test(link)) throw new Failure(exitCodes.server, `${issuer.name} sent a link that is none`);
  terminal.err(`Open ${visibleLine(link)}\nand check that it shows the code ${visibleLine(started.user_code)}\n`);
  try {
    return received(await oidc.pollDeviceAuthorizationGrant(configuration, started, resource), issuer.issuer, login);
  } catch (error) {
    throw new Failure(exitCodes.login, `the login did not succeed: ${reason(error)}`, { cause: error });
  }
}

/** A fresh token for a login that is running out. Throws Failure when the issuer wants the person again. */
export async function refreshLogin(refresh: Refresh, ca: readonly string[] | undefined): Promise<Tokens> {
  const oidc = await import('openid-client');
  try {
    const configuration = await discover(refresh.issuer, refresh.clientId, ca);
    const resource = refresh.resource === undefined ? {} : { resource: refresh.resource };
    const answer = await oidc.refreshTokenGrant(configuration, refresh.refreshToken, resource);
    const next = received(answer, refresh.issuer, refresh);
    return next.refresh === undefined ? { ...next, refresh } : next;
  } catch (error) {
    throw new Failure(exitCodes.login, `your login has expired: ${reason(error)}; run: sallyport login`, {
      cause: error,
    });
  }
}

/** Tells the issuer that the login is over (RFC 7009); false when it cannot be told. */
export async function revokeLogin(refresh: Refresh, ca: readonly string[] | undefined): Promise<boolean> {
  const oidc = await import('openid-client');
  const configuration = await discover(refresh.issuer, refresh.clientId, ca);
  if (configuration.serverMetadata().revocation_endpoint === undefined) return false;
  await oidc.tokenRevocation(configuration, refresh.refreshToken);
  return true;
}

async function discover(issuer: string, clientId: string, ca: readonly string[] | undefined) {
  const oidc = await import('openid-client');
  const url = new URL(issuer);
  const insecure = url.protocol === 'http:' && isLoopback(url.hostname);
  return oidc.discovery(url, clientId, undefined, oidc.None(), {
    // The issuer may be public, or signed for by the same authority as the gateway.
    [oidc.customFetch]: fetchTrusting(ca === undefined ? undefined : [...rootCertificates, ...ca]) as never,
    execute: insecure ? [oidc.allowInsecureRequests] : [],
  });
}

function received(
  answer: {
    readonly id_token?: string | undefined;
    readonly access_token: string;
    readonly refresh_token?: string | undefined;
  },
  issuer: string,
  { clientId, token: kind, resource }: Pick<Refresh, 'clientId' | 'token' | 'resource'>,
): Tokens {
  const token = kind === 'id_token' ? answer.id_token : answer.access_token;
  if (token === undefined) throw new Error(`the issuer sent no ${kind}`);
  const { refresh_token: refreshToken } = answer;
  if (refreshToken === undefined) return { token };
  return {
    token,
    refresh: { issuer, clientId, token: kind, refreshToken, ...(resource === undefined ? {} : { resource }) },
  };
}

function reason(error: unknown): string {
  if (error instanceof Error && 'error_description' in error && typeof error.error_description === 'string')
    return error.error_description;
  if (error instanceof Error && 'error' in error && typeof error.error === 'string')
    return error.error.replaceAll('_', ' ');
  return error instanceof Error ? error.message : String(error);
}
