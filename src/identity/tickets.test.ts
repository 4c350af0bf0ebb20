import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { Refusal } from '../model/errors.ts';
import type { Caller, Principal } from '../model/principal.ts';
import { issuersSchema, ticketsSchema } from './config.ts';
import { type FakeAudit, type FakeTicketStore, fakeAudit, fakeTicketStore } from './fakeDeps.ts';
import { createIdentity, type Identity } from './identity.ts';

const peer = { address: '192.0.2.7' };
const hour = 3_600_000;
let now = 0;
let audit: FakeAudit;
let store: FakeTicketStore;
let here: Identity;
let warnings: string[] = [];

const principal = (subject: string, more: Partial<Principal> = {}): Principal => ({
  id: `corp:${subject}`, kind: 'human', issuer: 'corp', subject, name: subject, groups: [], claims: {}, ...more,
}); // biome-ignore format: one line
const caller = (subject: string, more: Partial<Principal> = {}): Caller => ({
  principal: principal(subject, more),
  proof: { kind: 'oidc', id: `token-of-${subject}`, expiresAt: now + 60_000 },
});

function node(names = ['corp'], settings: object = {}): Identity {
  const issuers = names.map((name) => ({
    name,
    issuer: `https://${name}.example`,
    audience: 'sallyport',
    principal: { kind: 'human' },
  }));
  return createIdentity({
    issuers: issuersSchema.parse(issuers),
    tickets: ticketsSchema.parse(settings),
    store,
    audit,
    baseDir: '.',
    managesTickets: ({ principal }) => principal.groups.includes('operators'),
    targetExists: (name) => name !== 'nowhere',
    warn: (message) => warnings.push(message),
    now: () => now,
  });
}

async function refused(secret: string, on = here): Promise<string> {
  const error: unknown = await on.identity.authenticate(secret, 'target', peer).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(Refusal);
  expect(error).toMatchObject({ kind: 'LOGIN_FAILED', message: 'the token or ticket was not accepted' });
  return String(audit.events.at(-1)?.reason);
}
const accepted = (secret: string, on = here) => on.identity.authenticate(secret, 'target', peer);

beforeEach(() => {
  now = Date.UTC(2026, 0, 1);
  audit = fakeAudit();
  store = fakeTicketStore();
  warnings = [];
  here = node();
  return () => here.close();
});

describe('a ticket', () => {
  it('stands for its principal at its targets', async () => {
    const agent = caller('bot', { kind: 'agent', owner: 'corp:ada', groups: ['agents'], claims: { run: '1' } });
    const { ticket, secret } = await here.tickets.issue(agent, {
      targets: ['orders', 'orders', 'stock'],
      ttlMs: 60_000,
    });
    expect(ticket).toMatchObject({
      principal: 'corp:bot',
      targets: ['orders', 'stock'],
      createdAt: now,
      expiresAt: now + 60_000,
    });
    const login = await accepted(secret);
    expect(login.principal).toEqual(agent.principal);
    expect(login.proof).toEqual({
      kind: 'ticket',
      id: ticket.id,
      expiresAt: now + 60_000,
      targets: ['orders', 'stock'],
    });
  });

  it('has a secret that is random, is no JWT, and is kept nowhere', async () => {
    const issued = await Promise.all(
      Array.from({ length: 20 }, () => here.tickets.issue(caller('ada'), { targets: ['orders'], ttlMs: hour })),
    );
    const secrets = issued.map(({ secret }) => secret);
    expect(new Set(secrets).size).toBe(20);
    for (const secret of secrets) {
      expect(secret).toMatch(/^spt_[A-Za-z0-9_-]{43}$/);
      await accepted(secret);
    }
    const kept = JSON.stringify([[...store.rows.values()], audit.events, await here.tickets.list(caller('ada'))]);
    for (const secret of secrets) expect(kept).not.toContain(secret.slice(4));
    expect(kept).toContain(createHash('sha256').update(secrets[0]!).digest('hex'));
  });

  it('lives no longer than the configuration allows, whatever was asked for', async () => {
    for (const ttlMs of [hour * 1000, Number.MAX_VALUE, Number.POSITIVE_INFINITY]) {
      const { ticket } = await here.tickets.issue(caller('ada'), { targets: ['orders'], ttlMs });
      expect(ticket.expiresAt).toBe(now + hour);
    }
    for (const ttlMs of [0, -1, Number.NaN, Number.NEGATIVE_INFINITY]) {
      await expect(here.tickets.issue(caller('ada'), { targets: ['orders'], ttlMs })).rejects.toMatchObject({
        kind: 'LIMIT_EXCEEDED',
      });
    }
  });

  it('is worth nothing from the moment it expires', async () => {
    const { secret } = await here.tickets.issue(caller('ada'), { targets: ['orders'], ttlMs: 1000 });
    now += 999;
    await accepted(secret);
    now += 1;
    expect(await refused(secret)).toContain('expired');
  });

  it('cannot issue tickets, nor be used at the API', async () => {
    const { secret } = await here.tickets.issue(caller('ada'), { targets: ['orders'], ttlMs: 1000 });
    const holder = await accepted(secret);
    await expect(here.tickets.issue(holder, { targets: ['orders'], ttlMs: 1 })).rejects.toMatchObject({
      kind: 'POLICY_DENIED',
    });
    await expect(here.identity.authenticate(secret, 'api', peer)).rejects.toMatchObject({ kind: 'LOGIN_FAILED' });
    expect(store.rows.size).toBe(1);
  });

  it('is refused with a letter changed, cut short, extended, or in another case', async () => {
    const { secret } = await here.tickets.issue(caller('ada'), { targets: ['orders'], ttlMs: hour });
    const flipped = secret.slice(0, 20) + (secret[20] === 'A' ? 'B' : 'A') + secret.slice(21);
    for (const wrong of [
      flipped,
      secret.slice(0, -1),
      `${secret}A`,
      `${secret}\n`,
      ` ${secret}`,
      secret.toUpperCase(),
      store.rows.values().next().value!.hash,
    ]) {
      expect(await refused(wrong)).toMatch(/ticket|neither/);
    }
    // The hash that the store keeps is no credential either.
    expect(await refused(`spt_${store.rows.values().next().value!.hash}`)).toContain('malformed');
  });

  it('dies with its issuer', async () => {
    const { secret } = await here.tickets.issue(caller('ada'), { targets: ['orders'], ttlMs: hour });
    const after = node(['other']);
    expect(await refused(secret, after)).toContain('no longer configured');
    after.close();
  });

  it('names known targets, at least one and not endlessly many', async () => {
    const ask = (targets: string[]) => here.tickets.issue(caller('ada'), { targets, ttlMs: hour });
    await expect(ask([])).rejects.toMatchObject({ kind: 'LIMIT_EXCEEDED' });
    await expect(ask(Array.from({ length: 51 }, (_, i) => `t${i}`))).rejects.toMatchObject({ kind: 'LIMIT_EXCEEDED' });
    await expect(ask(['orders', 'nowhere'])).rejects.toMatchObject({ kind: 'TARGET_UNKNOWN' });
    expect(store.rows.size).toBe(0);
  });

  it('is one of a limited number', async () => {
    const few = node(['corp'], { maxLive: 2 });
    const ask = () => few.tickets.issue(caller('ada'), { targets: ['orders'], ttlMs: 1000 });
    const first = await ask();
    await ask();
    await expect(ask()).rejects.toMatchObject({ kind: 'LIMIT_EXCEEDED' });
    await few.tickets.revoke(caller('ada'), first.ticket.id);
    await ask();
    now += 1000;
    await ask();
    few.close();
  });

  it('is not issued when the log cannot be written', async () => {
    audit.broken = true;
    await expect(here.tickets.issue(caller('ada'), { targets: ['orders'], ttlMs: hour })).rejects.toMatchObject({
      kind: 'AUDIT_UNAVAILABLE',
    });
    expect(store.rows.size).toBe(0);
  });

  it('is in the log when issued and when revoked', async () => {
    const { ticket } = await here.tickets.issue(caller('ada'), { targets: ['orders'], ttlMs: hour });
    await here.tickets.revoke(caller('ada'), ticket.id);
    expect(audit.events).toMatchObject([
      { type: 'ticket.issued', principal: 'corp:ada', ticket: ticket.id, targets: ['orders'], proof: 'token-of-ada' },
      { type: 'ticket.revoked', principal: 'corp:ada', ticket: ticket.id, by: 'corp:ada' },
    ]);
  });
});

describe('revoking', () => {
  const issue = async (who = caller('ada')) => here.tickets.issue(who, { targets: ['orders'], ttlMs: hour });

  it('ends the sessions that use the ticket, and only those, before it answers', async () => {
    const [one, two] = [await issue(), await issue()];
    const ended: string[] = [];
    here.identity.onRevoked(one.ticket.id, () => ended.push('a'));
    here.identity.onRevoked(one.ticket.id, () => ended.push('b'));
    here.identity.onRevoked(one.ticket.id, () => ended.push('gone'))();
    here.identity.onRevoked(two.ticket.id, () => ended.push('other'));
    expect(await here.tickets.revoke(caller('ada'), one.ticket.id)).toBe(true);
    expect(ended).toEqual(['a', 'b']);
    expect(await refused(one.secret)).toContain('revoked');
    await accepted(two.secret);
  });

  it('reaches a session that begins to listen just after', async () => {
    const { ticket, secret } = await issue();
    const login = await accepted(secret);
    await here.tickets.revoke(caller('ada'), ticket.id);
    let heard = 0;
    here.identity.onRevoked(login.proof.id, () => heard++);
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard).toBe(1);
  });

  it('reaches the sessions of another node', async () => {
    const there = node();
    const { ticket } = await issue();
    const ended: string[] = [];
    here.identity.onRevoked(ticket.id, () => ended.push('here'));
    await there.tickets.revoke(caller('ada'), ticket.id);
    await here.sweep();
    await here.sweep();
    expect(ended).toEqual(['here']);
    there.close();
  });

  it('answers true to one of many who revoke at once', async () => {
    const { ticket } = await issue();
    const answers = await Promise.all(Array.from({ length: 50 }, () => here.tickets.revoke(caller('ada'), ticket.id)));
    expect(answers.filter(Boolean)).toHaveLength(1);
    expect(audit.events.filter(({ type }) => type === 'ticket.revoked')).toHaveLength(1);
  });

  it('lets no login that starts after it succeed, however many race with it', async () => {
    const { ticket, secret } = await issue();
    const racing = Array.from({ length: 20 }, () => accepted(secret).then(() => 'in', () => 'out')); // biome-ignore format: one line
    await here.tickets.revoke(caller('ada'), ticket.id);
    const late = await Promise.all(Array.from({ length: 20 }, () => accepted(secret).then(() => 'in', () => 'out'))); // biome-ignore format: one line
    await Promise.all(racing);
    expect(new Set(late)).toEqual(new Set(['out']));
  });

  it('is for the holder, the person who answers for the agent, and operators', async () => {
    const bot = caller('bot', { kind: 'agent', owner: 'corp:ada' });
    const stranger = caller('eve');
    const operator = caller('oz', { groups: ['operators'] });
    for (const who of [bot, caller('ada'), operator]) {
      const { ticket, secret } = await issue(bot);
      expect(await here.tickets.revoke(stranger, ticket.id)).toBe(false);
      await accepted(secret);
      expect(await here.tickets.revoke(who, ticket.id)).toBe(true);
    }
    expect(await here.tickets.revoke(operator, 'no-such-ticket')).toBe(false);
    // An agent does not answer for its owner.
    expect(await here.tickets.revoke(bot, (await issue(caller('ada'))).ticket.id)).toBe(false);
  });

  it('works even when the log does not, and says that it does not', async () => {
    const { ticket, secret } = await issue();
    let ended = false;
    here.identity.onRevoked(ticket.id, () => {
      ended = true;
    });
    audit.broken = true;
    await expect(here.tickets.revoke(caller('ada'), ticket.id)).rejects.toMatchObject({ kind: 'AUDIT_UNAVAILABLE' });
    audit.broken = false;
    expect(ended).toBe(true);
    expect(await refused(secret)).toContain('revoked');
  });
});

describe('listing', () => {
  it('shows own tickets, and everybody’s to operators', async () => {
    await here.tickets.issue(caller('ada'), { targets: ['orders'], ttlMs: hour });
    await here.tickets.issue(caller('eve'), { targets: ['orders'], ttlMs: hour });
    expect((await here.tickets.list(caller('ada'))).map((t) => t.principal)).toEqual(['corp:ada']);
    expect(await here.tickets.list(caller('oz', { groups: ['operators'] }))).toHaveLength(2);
    expect(JSON.stringify(await here.tickets.list(caller('ada')))).not.toMatch(/hash|spt_/);
  });
});

describe('a store that fails', () => {
  it('lets nobody in, with the same words as ever', async () => {
    const { secret } = await here.tickets.issue(caller('ada'), { targets: ['orders'], ttlMs: hour });
    store.byHash = () => Promise.reject(new Error(`no connection while looking for ${secret}`));
    expect(await refused(secret)).toBe('internal error');
    expect(warnings).toHaveLength(1);
    expect(JSON.stringify([audit.events, warnings])).not.toContain(secret);
  });
});
