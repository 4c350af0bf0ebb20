import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportOf, intend, Scratch } from '../audit/log.fixture.ts';
import type { AuditLog } from '../audit/log.ts';
import type { Parameters } from './manifest.ts';

export const day = 86_400_000;
export const start = Date.parse('2026-03-01T00:00:00Z');

export const march: Omit<Parameters, 'seed'> & { readonly seed: string } = {
  from: '2026-03-02T00:00:00.000Z',
  to: '2026-03-05T00:00:00.000Z',
  seed: 'words of an auditor',
  samples: 5,
  failures: 3,
  rows: 5000,
  silence: 900,
};

/** A log whose clock is moved by hand. */
export class Story {
  readonly scratch = new Scratch();
  now = start;
  log!: AuditLog;
  dir!: string;

  async begin(): Promise<this> {
    this.dir = this.scratch.dir();
    this.log = await this.scratch.open(this.dir, { now: () => this.now });
    return this;
  }

  async reopen(): Promise<void> {
    await this.log.close();
    this.log = await this.scratch.open(this.dir, { now: () => this.now });
  }

  event(type: string, fields: Record<string, unknown> = {}): Promise<number> {
    return this.log.record({ type: type as 'gateway.started', ...fields }) as unknown as Promise<number>;
  }

  /** Heartbeats for so long: one each ten minutes, to be quick. */
  async beats(ms: number, policy = 'p1'): Promise<void> {
    const end = this.now + ms;
    for (this.now += 600_000; this.now < end; this.now += 600_000)
      await this.event('audit.heartbeat', { uptime: Math.round((this.now - start) / 1000), sessions: 0, policy });
    this.now = end;
  }

  open(session: string, over: Record<string, unknown> = {}): Promise<unknown> {
    return this.log.openSession({
      type: 'session.started',
      session,
      principal: 'corp:bot',
      principalName: 'Bot',
      principalKind: 'agent',
      owner: 'corp:owner',
      groups: ['agents'],
      claims: {},
      proof: { kind: 'ticket', id: 'ticket-1' },
      target: 'shop',
      protocol: 'postgres',
      client: { address: '192.0.2.7', application: 'tool' },
      policy: 'p1',
      ...over,
    });
  }

  async intent(session: string, exchange: number, over: Record<string, unknown> = {}): Promise<void> {
    const event = {
      type: 'command.intent',
      session,
      principal: 'corp:bot',
      target: 'shop',
      exchange,
      decision: 'allow',
      rules: ['agents-read'],
      policy: 'p1',
      verb: 'SELECT',
      actions: ['read'],
      resources: ['read Table public.orders'],
      text: `select ${exchange}`,
      ...over,
    };
    await intend(this.log, JSON.stringify(event).slice(1, -1));
  }

  outcome(session: string, exchange: number, over: Record<string, unknown> = {}): void {
    const event = {
      type: 'command.outcome',
      session,
      principal: 'corp:bot',
      target: 'shop',
      exchange,
      status: 'ok',
      rows: 1,
      bytes: 10,
      ...over,
    };
    this.log.note(JSON.stringify(event).slice(1, -1));
  }

  async end(session: string, sealed = true): Promise<void> {
    const where = { session, principal: 'corp:bot', target: 'shop' };
    if (sealed)
      await this.event('recording.sealed', { ...where, segments: 1, frames: 3, bytes: 99, digest: 'ab'.repeat(32) });
    await this.event('session.ended', { ...where, reason: 'client hung up', commands: 1 });
  }

  /** A session with so many commands. */
  async session(session: string, commands: number, over: Record<string, unknown> = {}): Promise<void> {
    await this.open(session, over);
    for (let i = 1; i <= commands; i++) {
      await this.intent(session, i);
      this.now += 20;
      this.outcome(session, i);
    }
    await this.end(session);
  }

  /** A held command, a yes, its use. */
  async approved(id: string, session: string, exchange: number, approver = 'corp:lead'): Promise<void> {
    await this.asked(id, session, exchange, approver, 30_000);
    await this.approvedUse(id, session, exchange, approver);
  }

  /** A held command and a yes to it. */
  async asked(id: string, session: string, exchange: number, approver: string, answerMs: number): Promise<void> {
    const subject = { target: 'shop', approval: id, digest: 'cd'.repeat(32) };
    const text = 'delete from orders';
    await this.event('command.held', {
      session,
      principal: 'corp:bot',
      exchange,
      rule: 'ask',
      approvers: ['dba'],
      verb: 'DELETE',
      ...subject,
    });
    await this.event('approval.requested', {
      session,
      principal: 'corp:bot',
      owner: 'corp:owner',
      rule: 'ask',
      policy: 'p1',
      approvers: ['dba'],
      verb: 'DELETE',
      resources: ['write Table public.orders'],
      text,
      expiresAt: new Date(this.now + day).toISOString(),
      ...subject,
    });
    this.now += answerMs;
    await this.event('approval.decided', {
      principal: approver,
      requester: 'corp:bot',
      requestSession: session,
      answer: 'approve',
      groups: ['dba'],
      reason: 'agreed',
      state: 'approved',
      ...subject,
    });
  }

  async approvedUse(id: string, session: string, exchange: number, approver: string): Promise<void> {
    const subject = { target: 'shop', approval: id, digest: 'cd'.repeat(32) };
    const text = 'delete from orders';
    await this.event('approval.consumed', {
      principal: 'corp:bot',
      requestSession: session,
      groups: ['dba'],
      approvedBy: [approver],
      ...subject,
    });
    await this.intent(session, exchange, {
      verb: 'DELETE',
      actions: ['write'],
      resources: ['write Table public.orders'],
      text,
      rules: ['ask'],
      approval: id,
    });
    this.outcome(session, exchange);
  }

  /** The log as a file. */
  async export(name = 'audit.tar'): Promise<string> {
    const path = join(this.scratch.dir(), name);
    writeFileSync(path, await exportOf(this.log));
    return path;
  }
}

/** Five days, of which three are looked at; things begin before and end behind. */
export async function fiveDays(): Promise<Story> {
  const story = await new Story().begin();
  await story.event('policy.activated', { version: 'p1', files: ['a.cedar'], rules: 3 });
  await story.event('gateway.started', { node: 'v24', policy: 'p1', targets: ['shop'], addresses: {} });
  await story.event('ticket.issued', {
    principal: 'corp:bot',
    ticket: 'ticket-1',
    targets: ['shop'],
    expiresAt: new Date(start + 6 * day).toISOString(),
    proof: 'f'.repeat(32),
  });
  await story.session('s-before', 3);
  await story.open('s-over');
  await story.intent('s-over', 1);
  await story.beats(day);
  story.outcome('s-over', 1);
  await story.intent('s-over', 2);
  story.outcome('s-over', 2, {
    rows: 7000,
    masked: [{ field: 'public.orders.email', classification: 'pii', method: 'redact', count: 7000, digest: 'k1:00' }],
  });
  await story.end('s-over');
  for (let i = 0; i < 8; i++) await story.session(`s-${i}`, 4);
  await story.open('s-ask');
  await story.approved('0197-a', 's-ask', 1);
  await story.event('command.denied', {
    session: 's-ask',
    principal: 'corp:bot',
    target: 'shop',
    exchange: 2,
    code: 'SP2001',
    reason: '=HYPERLINK("http://x")',
    rule: 'no-drop',
    verb: 'DROP TABLE',
    actions: ['destroy'],
    resources: ['write Table public.orders'],
    text: '<script>alert(1)</script>',
  });
  await story.end('s-ask');
  await story.beats(day / 2);
  for (let i = 0; i < 5; i++)
    await story.event('auth.failed', { reason: 'the token has expired', audience: 'target', peer: '198.51.100.9' });
  await story.event('auth.succeeded', {
    principal: 'corp:lead',
    issuer: 'corp',
    proof: 'oidc',
    proofId: 'e'.repeat(32),
    audience: 'api',
    peer: '198.51.100.1',
  });
  await story.event('policy.activated', { version: 'p2', previous: 'p1', files: ['a.cedar'], rules: 4 });
  await story.event('policy.rejected', { version: 'p3', problems: ['a.cedar:1: no'] });
  await story.beats(day / 2, 'p2');
  await story.event('gateway.stopped');
  story.now += 3_600_000;
  await story.event('gateway.started', { node: 'v24', policy: 'p2', targets: ['shop'], addresses: {} });
  await story.open('s-bare', { principal: 'corp:stray', principalName: 'Stray', owner: undefined });
  await story.intent('s-bare', 1, { principal: 'corp:stray' });
  await story.event('session.ended', { session: 's-bare', principal: 'corp:stray', target: 'shop', reason: 'gone' });
  await story.open('s-long');
  await story.event('ticket.revoked', { principal: 'corp:bot', ticket: 'ticket-1', by: 'corp:lead' });
  story.now += 2000;
  await story.end('s-long');
  await story.beats(day - 3_600_000, 'p2');
  await story.session('s-behind', 2);
  await story.beats(3_600_000, 'p2');
  return story;
}
