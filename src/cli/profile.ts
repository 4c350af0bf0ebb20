import { chmodSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { exitCodes, Failure } from './exit.ts';
import type { Terminal } from './terminal.ts';

const login = z.object({
  token: z.string(),
  /** ms since the epoch. */
  expiresAt: z.number(),
  /** How to get the next token; absent where the token was brought along. */
  refresh: z
    .object({
      issuer: z.string(),
      clientId: z.string(),
      token: z.enum(['id_token', 'access_token']),
      refreshToken: z.string(),
      resource: z.string().exactOptional(),
    })
    .exactOptional(),
});
const server = z.object({ ca: z.string().exactOptional(), login: login.exactOptional() });
const profile = z.object({ current: z.string().exactOptional(), servers: z.record(z.string(), server).default({}) });

export type Login = z.output<typeof login>;
/** What is remembered of one server, under its origin: a token is only ever sent to the server it was got for. */
export type ServerProfile = z.output<typeof server>;
export type Profile = z.output<typeof profile>;

/** `$SALLYPORT_HOME`, or `~/.config/sallyport`. */
export function profileFolder(terminal: Terminal): string {
  return terminal.env.SALLYPORT_HOME ?? join(homedir(), '.config', 'sallyport');
}

/** An empty one where there is none. Throws Failure when others could read it, or when it is broken. */
export function readProfile(terminal: Terminal): Profile {
  const file = profileFile(terminal);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
    if (process.platform !== 'win32' && (statSync(file).mode & 0o077) !== 0) {
      throw new Failure(exitCodes.usage, `${file} holds your login and others may read it; run: chmod 600 ${file}`);
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { servers: {} };
    throw error;
  }
  const parsed = profile.safeParse(json(text));
  if (!parsed.success) throw new Failure(exitCodes.usage, `${file} is damaged; delete it and log in again`);
  return parsed.data;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Replaces the file whole, readable to its owner only. */
export function writeProfile(terminal: Terminal, next: Profile): void {
  const folder = profileFolder(terminal);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = profileFile(terminal);
  const fresh = `${file}.${process.pid}`;
  writeFileSync(fresh, `${JSON.stringify(next, undefined, 2)}\n`, { mode: 0o600, flag: 'w' });
  chmodSync(fresh, 0o600);
  renameSync(fresh, file);
}

function profileFile(terminal: Terminal): string {
  return join(profileFolder(terminal), 'profile.json');
}
