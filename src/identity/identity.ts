import { randomBytes, randomUUID } from 'node:crypto';
import type { TicketsAdmin } from '../gateway/admin.ts';
import type { AuditPort, IdentityPort } from '../gateway/ports.ts';
import { Refusal } from '../model/errors.ts';
import type { Caller } from '../model/principal.ts';
import type { TicketStore } from '../storage/store.ts';
import type { IssuerConfig, TicketsConfig } from './config.ts';
import { FailedLogins } from './failed-logins.ts';
import { trustedIssuers } from './issuers.ts';
import { forLog, Rejection } from './rejection.ts';
import { Revocations } from './revocations.ts';
import { looksLikeTicket } from './ticketSecret.ts';
import { Tickets } from './tickets.ts';
import { type Authenticated, Tokens } from './tokens.ts';

/** How often other nodes' revocations are looked for, while sessions are open. */
const sweepMs = 2000;

export interface IdentityDeps {
  readonly issuers: readonly IssuerConfig[];
  readonly tickets: TicketsConfig;
  readonly store: TicketStore;
  readonly audit: AuditPort;
  readonly managesTickets: (caller: Caller) => boolean;
  readonly targetExists: (name: string) => boolean;
  /** Where relative paths of `ca` files start: the configuration's folder. */
  readonly baseDir: string;
  /** Warnings for the operator, without secrets. */
  readonly warn: (message: string) => void;
  readonly now?: () => number;
  readonly random?: (bytes: number) => Buffer;
  readonly newId?: () => string;
}

export interface Identity {
  readonly identity: IdentityPort;
  readonly tickets: TicketsAdmin;
  /** Looks for revocations made elsewhere, now. Runs by itself while sessions listen. */
  sweep(): Promise<void>;
  close(): void;
}

/** Authenticates by OIDC token or ticket, and manages tickets. Contacts no issuer before the first token. Throws ConfigError. */
export function createIdentity(deps: IdentityDeps): Identity {
  const { now = Date.now, random = randomBytes, newId = randomUUID } = deps;
  const revocations = new Revocations();
  const tokens = new Tokens(trustedIssuers(deps.issuers, deps.baseDir, now), now);
  const issuerNames = new Set(deps.issuers.map(({ name }) => name));
  const { store, audit, managesTickets, targetExists } = deps;
  const tickets = new Tickets({
    store,
    audit,
    config: deps.tickets,
    revocations,
    issuerNames,
    managesTickets,
    targetExists,
    now,
    random,
    newId,
  });

  let sweeping = false;
  const timer = setInterval(() => {
    if (sweeping) return;
    sweeping = true;
    tickets
      .sweep()
      .catch((error: Error) => deps.warn(`cannot look for revoked tickets: ${error.message}`))
      .finally(() => {
        sweeping = false;
      });
  }, sweepMs).unref();

  async function recognise(credential: string, audience: 'target' | 'api'): Promise<Authenticated> {
    if (!looksLikeTicket(credential)) return tokens.authenticate(credential);
    // A ticket stands for its principal at targets, where agents are given one; it must not approve, nor read the audit log.
    if (audience === 'api') throw new Rejection('a ticket is not accepted by the API');
    return { caller: await tickets.authenticate(credential), again: false };
  }

  const failures = new FailedLogins({ record: (event) => audit.record(event), warn: deps.warn, now });

  const identity: IdentityPort = {
    async authenticate(credential, audience, peer) {
      try {
        const { caller, again } = await recognise(credential, audience);
        // The API sees one token with every request; its first is enough for the log. A login at a target is one event each.
        if (!(again && audience === 'api')) audit.note(succeeded(caller, audience, peer.address));
        return caller;
      } catch (error) {
        await failures.record(peer.address, failed(error, audience, peer.address)).catch((cause: unknown) => {
          throw Object.assign(new Refusal('AUDIT_UNAVAILABLE', 'the audit log cannot be written'), { cause });
        });
        if (error instanceof Rejection) throw loginFailed();
        // Drivers put what they were asked for into their errors.
        const message = (error as Error).message.replaceAll(credential, '…');
        deps.warn(`a login failed for a reason of our own: ${message}`);
        throw loginFailed();
      }
    },
    onRevoked: (proofId, listener) => revocations.on(proofId, listener),
  };
  const close = () => {
    clearInterval(timer);
    failures.close();
  };
  return { identity, tickets, sweep: () => tickets.sweep(), close };
}

/** One sentence for every failure: what was wrong with a credential helps only who guesses. */
function loginFailed(): Refusal {
  return new Refusal('LOGIN_FAILED', 'the token or ticket was not accepted', {
    advice: 'get a new one and try again; whoever runs the gateway finds the reason in its audit log (auth.failed)',
  });
}

function succeeded({ principal, proof }: Caller, audience: string, peer: string): string {
  const event = {
    type: 'auth.succeeded',
    principal: principal.id,
    issuer: principal.issuer,
    proof: proof.kind,
    proofId: proof.id,
    audience,
    peer,
  };
  return JSON.stringify(event).slice(1, -1);
}

function failed(error: unknown, audience: string, peer: string) {
  const known = error instanceof Rejection ? error : undefined;
  return {
    type: 'auth.failed' as const,
    reason: known === undefined ? 'internal error' : forLog(known.message, 400),
    audience,
    peer,
    ...(known?.issuer === undefined ? {} : { issuer: known.issuer }),
  };
}
