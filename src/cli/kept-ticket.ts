import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Context, clientFor, serverFor } from './context.ts';
import { profileFolder } from './profile.ts';

const kept = z.object({ secret: z.string(), expiresAt: z.number() });

/** A ticket with less left than this is not handed out any more, ms. */
const spareMs = 60_000;
/** How long a ticket for a helper lives, ms. */
const ttlMs = 15 * 60_000;

/**
 * A ticket for a target, for programs that ask again with every command (credential helpers): the one from before while it lives, in a file that
 * only its owner may read, otherwise a new one.
 */
export async function keptTicket(context: Context, target: string): Promise<z.output<typeof kept>> {
  const { terminal } = context;
  const file = fileOf(context, target);
  const found = read(file);
  if (found !== undefined && found.expiresAt > terminal.now() + spareMs) return found;
  const { ticket, secret } = await clientFor(context).issueTicket({ targets: [target], ttlMs });
  const next = { secret, expiresAt: ticket.expiresAt };
  mkdirSync(join(profileFolder(terminal), 'tickets'), { recursive: true, mode: 0o700 });
  const fresh = `${file}.${process.pid}`;
  writeFileSync(fresh, JSON.stringify(next), { mode: 0o600 });
  renameSync(fresh, file);
  return next;
}

/** The gateway did not take it: the next one is new. */
export function forgetTicket(context: Context, target: string): void {
  rmSync(fileOf(context, target), { force: true });
}

/** One file for each server, caller and target: a token that is given belongs to somebody else than the login does. */
function fileOf(context: Context, target: string): string {
  const { options, terminal } = context;
  const who = [serverFor(context).origin, options.tokenFile ?? '', terminal.env.SALLYPORT_TOKEN ?? '', target];
  const name = createHash('sha256').update(JSON.stringify(who)).digest('hex').slice(0, 32);
  return join(profileFolder(terminal), 'tickets', `${name}.json`);
}

function read(file: string): z.output<typeof kept> | undefined {
  try {
    return kept.safeParse(JSON.parse(readFileSync(file, 'utf8'))).data;
  } catch {
    return undefined; // none yet, or a broken one, which is as good as none
  }
}
