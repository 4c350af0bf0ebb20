import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Client, serverOrigin } from '../client/client.ts';
import { refreshLogin } from './device-login.ts';
import { exitCodes, Failure } from './exit.ts';
import { fetchTrusting } from './fetch.ts';
import { type Profile, readProfile, type ServerProfile, writeProfile } from './profile.ts';
import type { Terminal } from './terminal.ts';
import { safeJson } from './visible.ts';

/** Options that every command has. */
export interface GlobalOptions {
  readonly server?: string;
  readonly ca?: string;
  readonly tokenFile?: string;
}

/** What a command works with. */
export interface Context {
  readonly terminal: Terminal;
  readonly options: GlobalOptions;
}

/** Where the command goes, and whom it trusts there. */
export interface Server {
  readonly origin: string;
  /** Path of the CA file, absolute. */
  readonly caFile?: string;
  readonly ca?: readonly string[];
}

/** From --server, $SALLYPORT_SERVER, or the last login; the CA from --ca, $SALLYPORT_CA, or the login at that server. */
export function serverFor({ terminal, options }: Context, profile: Profile = readProfile(terminal)): Server {
  const named = options.server ?? terminal.env.SALLYPORT_SERVER ?? profile.current;
  if (named === undefined) {
    throw new Failure(
      exitCodes.usage,
      'which server? give --server https://HOST:PORT, set SALLYPORT_SERVER, or log in once: sallyport login --server URL',
    );
  }
  const origin = originOf(named);
  const caFile = options.ca ?? terminal.env.SALLYPORT_CA ?? known(profile, origin)?.ca;
  if (caFile === undefined) return { origin };
  return { origin, caFile: resolve(caFile), ca: [readFileSync(caFile, 'utf8')] };
}

function originOf(server: string): string {
  try {
    return serverOrigin(server);
  } catch (error) {
    throw new Failure(exitCodes.usage, error instanceof Error ? error.message : String(error), { cause: error });
  }
}

export function known(profile: Profile, origin: string): ServerProfile | undefined {
  return Object.hasOwn(profile.servers, origin) ? profile.servers[origin] : undefined;
}

/** A client with the caller's token. */
export function clientFor(context: Context): Client {
  const server = serverFor(context);
  return new Client({ server: server.origin, fetch: fetchTrusting(server.ca), token: () => tokenFor(context, server) });
}

export function anonymousClient(server: Server): Client {
  return new Client({ server: server.origin, fetch: fetchTrusting(server.ca) });
}

/** From --token-file (`-` is standard input), $SALLYPORT_TOKEN, or the login at this very server, refreshed where it runs out. */
async function tokenFor(context: Context, server: Server): Promise<string> {
  const given = await givenToken(context);
  if (given !== undefined) return given;
  const { terminal } = context;
  const profile = readProfile(terminal);
  const login = known(profile, server.origin)?.login;
  if (login === undefined)
    throw new Failure(
      exitCodes.login,
      `you are not logged in at ${server.origin}; run: sallyport login --server ${server.origin}`,
    );
  if (login.expiresAt > terminal.now() + 30_000) return login.token;
  if (login.refresh === undefined) throw new Failure(exitCodes.login, 'your login has expired; run: sallyport login');
  const { token, refresh } = await refreshLogin(login.refresh, server.ca);
  // Its own lifetime is only known to whoever verifies it; asking again in a minute is cheap and never too late.
  const next = {
    token,
    expiresAt: expiryOf(token) ?? terminal.now() + 90_000,
    ...(refresh === undefined ? {} : { refresh }),
  };
  writeProfile(terminal, {
    ...profile,
    servers: { ...profile.servers, [server.origin]: { ...known(profile, server.origin), login: next } },
  });
  return token;
}

export async function givenToken({ terminal, options }: Context): Promise<string | undefined> {
  if (options.tokenFile !== undefined)
    return oneLine(options.tokenFile === '-' ? await terminal.input() : readFileSync(options.tokenFile, 'utf8'));
  const { SALLYPORT_TOKEN: token } = terminal.env;
  return token === undefined || token === '' ? undefined : oneLine(token);
}

function oneLine(text: string): string {
  const token = text.trim();
  if (/^[A-Za-z0-9._~+/=-]+$/.test(token)) return token;
  throw new Failure(exitCodes.usage, 'that is no token: expected one line of letters, digits, dots and dashes');
}

/** `exp` of a JWT, unverified: only to know when to ask for the next. */
export function expiryOf(token: string): number | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    const exp = typeof claims === 'object' && claims !== null && 'exp' in claims ? claims.exp : undefined;
    return typeof exp === 'number' ? exp * 1000 : undefined;
  } catch {
    return undefined;
  }
}

export function printJson(terminal: Terminal, value: unknown): Promise<void> {
  return terminal.out(`${safeJson(value, 2)}\n`);
}

/** Up to `limit` items of as many pages as that takes. */
export async function collect<T>(
  limit: number,
  fetchPage: (paging: { limit: number; after?: string }) => Promise<{ items: readonly T[]; next?: string }>,
): Promise<readonly T[]> {
  const items: T[] = [];
  let after: string | undefined;
  do {
    const found = await fetchPage({
      limit: Math.min(500, limit - items.length),
      ...(after === undefined ? {} : { after }),
    });
    items.push(...found.items);
    after = found.next;
  } while (after !== undefined && items.length < limit);
  return items;
}
