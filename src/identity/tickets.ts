import type { TicketSummary, TicketsAdmin } from '../gateway/admin.ts';
import type { AuditPort } from '../gateway/ports.ts';
import { Refusal } from '../model/errors.ts';
import type { Caller, Principal } from '../model/principal.ts';
import type { StoredTicket, TicketStore } from '../storage/store.ts';
import type { TicketsConfig } from './config.ts';
import { Rejection } from './rejection.ts';
import type { Revocations } from './revocations.ts';
import { isTicketSecret, sameHash, ticketHash, ticketSecret } from './ticketSecret.ts';

const maxTargets = 50;

export interface TicketDeps {
  readonly store: TicketStore;
  readonly audit: AuditPort;
  readonly config: TicketsConfig;
  readonly revocations: Revocations;
  /** Names in the configuration's `issuers:`. A ticket of a principal whose issuer is gone is worth nothing. */
  readonly issuerNames: ReadonlySet<string>;
  /** May this caller see and revoke everybody's tickets? (Policy, `configure`.) */
  readonly managesTickets: (caller: Caller) => boolean;
  readonly targetExists: (name: string) => boolean;
  readonly now: () => number;
  readonly random: (bytes: number) => Buffer;
  readonly newId: () => string;
}

/**
 * Short-lived opaque credentials that stand for a principal at named targets. Every use looks the ticket up, so that a revocation counts at once on
 * every node; nothing is cached.
 */
export class Tickets implements TicketsAdmin {
  readonly #deps: TicketDeps;

  constructor(deps: TicketDeps) {
    this.#deps = deps;
  }

  /** Throws Rejection. */
  async authenticate(secret: string): Promise<Caller> {
    if (!isTicketSecret(secret)) throw new Rejection('malformed ticket');
    const hash = ticketHash(secret);
    const ticket = await this.#deps.store.byHash(hash);
    if (ticket === undefined || !sameHash(ticket.hash, hash)) throw new Rejection('no such ticket');
    if (ticket.revokedAt !== undefined) throw new Rejection(`ticket ${ticket.id} was revoked`, ticket.principal.issuer);
    if (ticket.expiresAt <= this.#deps.now())
      throw new Rejection(`ticket ${ticket.id} has expired`, ticket.principal.issuer);
    if (!this.#deps.issuerNames.has(ticket.principal.issuer))
      throw new Rejection(`ticket ${ticket.id} is of an issuer no longer configured`);
    const { id, expiresAt, targets, principal } = ticket;
    return { principal, proof: { kind: 'ticket', id, expiresAt, targets } };
  }

  /**
   * Throws Refusal: POLICY_DENIED to the holder of a ticket (else a ticket could prolong itself), TARGET_UNKNOWN, LIMIT_EXCEEDED, AUDIT_UNAVAILABLE.
   * A longer life than the configuration allows is cut to what it allows.
   */
  async issue(caller: Caller, request: { targets: readonly string[]; ttlMs: number }) {
    const { store, config, now, random, newId } = this.#deps;
    if (caller.proof.kind !== 'oidc') {
      throw new Refusal('POLICY_DENIED', 'a ticket cannot issue tickets', {
        advice: 'use the OIDC token the ticket was made with, or log in again',
      });
    }
    const targets = this.#targets(request.targets);
    const createdAt = now();
    const ttlMs = Math.min(request.ttlMs, config.maxTtlMinutes * 60_000);
    if (!(ttlMs >= 1)) throw new Refusal('LIMIT_EXCEEDED', 'a ticket must live for at least 1 ms');
    const live = (await store.list(caller.principal.id)).filter(
      (t) => t.revokedAt === undefined && t.expiresAt > createdAt,
    );
    if (live.length >= config.maxLive) {
      throw new Refusal(
        'LIMIT_EXCEEDED',
        `${caller.principal.id} has ${live.length} live tickets, the most allowed; revoke some`,
      );
    }
    const secret = ticketSecret(random);
    const id = newId();
    const principal: Principal = caller.principal;
    const ticket: StoredTicket = {
      id,
      hash: ticketHash(secret),
      principal,
      targets,
      createdAt,
      expiresAt: Math.floor(createdAt + ttlMs),
    };
    // First the log: there may be an entry for a ticket that never was, never a ticket without an entry.
    await this.#record({
      type: 'ticket.issued',
      principal: principal.id,
      ticket: id,
      targets,
      expiresAt: new Date(ticket.expiresAt).toISOString(),
      proof: caller.proof.id,
    });
    await store.insert(ticket);
    return { ticket: summary(ticket), secret };
  }

  /** The caller's own tickets, or everybody's for who manages them. */
  async list(caller: Caller): Promise<readonly TicketSummary[]> {
    const everybody = this.#deps.managesTickets(caller);
    return (await this.#deps.store.list(everybody ? undefined : caller.principal.id)).map(summary);
  }

  /**
   * Own tickets, those of an agent the caller answers for, or any for who manages tickets; false for others, as if there were none. Sessions on this
   * node that use it end before this resolves. It takes effect even when the log fails; then it throws AUDIT_UNAVAILABLE.
   */
  async revoke(caller: Caller, id: string): Promise<boolean> {
    const { store, revocations, managesTickets, now } = this.#deps;
    const ticket = await store.byId(id);
    if (ticket === undefined) return false;
    const { principal } = ticket;
    const own = principal.id === caller.principal.id || principal.owner === caller.principal.id;
    if (!own && !managesTickets(caller)) return false;
    const revoked = await store.revoke(id, now());
    revocations.revoke(id);
    if (revoked)
      await this.#record({ type: 'ticket.revoked', principal: principal.id, ticket: id, by: caller.principal.id });
    return revoked;
  }

  /** Ends sessions whose ticket was revoked elsewhere: by another node, or by a process beside this one. */
  async sweep(): Promise<void> {
    const { store, revocations } = this.#deps;
    for (const id of revocations.watched) {
      const ticket = await store.byId(id);
      if (ticket?.revokedAt !== undefined) revocations.revoke(id);
    }
  }

  #targets(wanted: readonly string[]): readonly string[] {
    const targets = [...new Set(wanted)];
    if (targets.length === 0 || targets.length > maxTargets)
      throw new Refusal('LIMIT_EXCEEDED', `a ticket names 1 to ${maxTargets} targets`);
    const unknown = targets.find((name) => !this.#deps.targetExists(name));
    if (unknown !== undefined)
      throw new Refusal('TARGET_UNKNOWN', `there is no target ${JSON.stringify(unknown.slice(0, 100))}`);
    return targets;
  }

  async #record(event: Parameters<AuditPort['record']>[0]): Promise<void> {
    try {
      await this.#deps.audit.record(event);
    } catch (cause) {
      throw Object.assign(new Refusal('AUDIT_UNAVAILABLE', 'the audit log cannot be written'), { cause });
    }
  }
}

function summary({ id, principal, targets, createdAt, expiresAt, revokedAt }: StoredTicket): TicketSummary {
  return {
    id,
    principal: principal.id,
    targets,
    createdAt,
    expiresAt,
    ...(revokedAt === undefined ? {} : { revokedAt }),
  };
}
