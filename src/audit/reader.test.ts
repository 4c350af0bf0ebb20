import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventType, RecordedEvent } from '../model/event.ts';
import { exportOf, intend, intentFields, origin, outcomeFields, Scratch, startSession } from './log.fixture.ts';
import type { AuditLog } from './log.ts';
import type { EventQuery } from './query.ts';
import { type AuditReader, openAuditReader } from './reader.ts';
import { verifyLog } from './verify.ts';

const scratch = new Scratch();
let log: AuditLog;
let reader: AuditReader;
let all: readonly RecordedEvent[];
const principals = ['corp:ann', 'corp:bob', 'ci:"job"'];
const targets = ['shop', 'books'];
const sessionOf = (i: number): string => `s${i}`;

/** Forty sessions, two at a time in each of two principals' names, with commands, refusals and approvals among them. */
beforeAll(async () => {
  let now = Date.parse('2026-03-01T00:00:00Z');
  const dir = scratch.dir();
  log = await scratch.open(dir, { now: () => (now += 7), segmentBytes: 128 * 1024 });
  reader = scratch.keep(openAuditReader(log));
  for (let i = 0; i < 40; i++) {
    const who = { principal: principals[i % 3] as string, target: targets[i % 2] as string };
    const fields = (text: string): string =>
      text.replace('"corp:bot"', JSON.stringify(who.principal)).replace('"shop"', JSON.stringify(who.target));
    await startSession(log, sessionOf(i), { ...who, client: { address: '10.0.0.1', application: 'psql' } });
    for (let k = 1; k <= 30; k++) {
      await intend(log, fields(intentFields(sessionOf(i), k)));
      log.note(fields(outcomeFields(sessionOf(i), k)));
    }
    await log.record({ type: 'command.denied', session: sessionOf(i), ...who, exchange: 31, code: 'SP2001' });
    await log.record({ type: 'command.held', session: sessionOf(i), ...who, exchange: 32 });
    await log.record({ type: 'approval.requested', principal: who.principal, target: who.target });
    await log.record({ type: 'auth.failed', reason: 'expired' });
    if (i < 37) await log.record({ type: 'session.ended', session: sessionOf(i), ...who, reason: 'client hung up' });
  }
  const events: RecordedEvent[] = [];
  for (let after: string | undefined = '0'; after !== undefined; ) {
    const page: Awaited<ReturnType<AuditReader['events']>> = await reader.events({ limit: 500, after });
    events.push(...page.items);
    after = page.next;
  }
  all = events;
});
afterAll(() => scratch.clean());

describe('events', () => {
  it('are all there, oldest first, when asked for from number 0', () => {
    expect(all.map(({ seq }) => seq)).toEqual(Array.from({ length: 40 * 65 + 37 }, (_, i) => i + 1));
  });

  it('are those that every filter together lets through, in both directions, over pages of any size', async () => {
    const types: EventType[] = [
      'command.intent',
      'command.outcome',
      'command.denied',
      'session.started',
      'auth.failed',
      'approval.requested',
      'policy.activated',
    ];
    const maybe = <T>(arb: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arb, { nil: undefined, freq: 2 });
    const time = fc.nat(all.length - 1).map((i) => (all[i] as RecordedEvent).time);
    const query = fc.record({
      type: maybe(fc.constantFrom(...types)),
      session: maybe(fc.nat(41).map(sessionOf)),
      principal: maybe(fc.constantFrom(...principals, 'nobody')),
      target: maybe(fc.constantFrom(...targets)),
      from: maybe(time),
      to: maybe(time),
    });
    await fc.assert(
      fc.asyncProperty(query, fc.integer({ min: 40, max: 500 }), fc.boolean(), async (filters, limit, ascending) => {
        const given = Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined)) as Omit<
          EventQuery,
          'limit'
        >;
        const expected = all.filter(
          (event) =>
            (['type', 'session', 'principal', 'target'] as const).every(
              (key) => given[key] === undefined || event[key] === given[key],
            ) &&
            event.time >= (given.from ?? '') &&
            event.time <= (given.to ?? '9'),
        );
        const found: RecordedEvent[] = [];
        for (let after = ascending ? '0' : undefined, more = true; more; ) {
          const page = await reader.events({ ...given, limit, ...(after === undefined ? {} : { after }) });
          expect(page.items.length).toBeLessThanOrEqual(limit);
          found.push(...page.items);
          after = page.next;
          more = after !== undefined;
        }
        expect(found).toEqual(ascending ? expected : expected.toReversed());
      }),
      { numRuns: 40 },
    );
  });

  it('can be asked for the moment they are durable', async () => {
    const seq = await log.record({ type: 'ticket.issued', principal: 'corp:zoe' });
    expect((await reader.events({ limit: 5, principal: 'corp:zoe' })).items).toMatchObject([
      { seq, type: 'ticket.issued' },
    ]);
  });

  it('that are too large come with a reference, and whole one by one', async () => {
    await startSession(log, 'large');
    const text = `select '${'é"'.repeat(100_000)}'`;
    const { seq } = await intend(log, intentFields('large', 1, text));
    const { items } = await reader.events({ limit: 1, session: 'large', type: 'command.intent' });
    expect(items).toMatchObject([{ seq, large: ['text'], text: { start: expect.stringContaining('select') } }]);
    expect(JSON.stringify(items).length).toBeLessThan(2000);
    expect(await reader.event(seq)).toMatchObject({ seq, session: 'large', exchange: 1, text });
    expect(await reader.event(seq + 1000)).toBeUndefined();
    expect((await reader.sessionGet('large'))?.commands).toBe(1);
  });

  it('refuse a cursor or a time that is none', async () => {
    await expect(reader.events({ limit: 5, after: "1' OR 1" })).rejects.toThrow(RangeError);
    await expect(reader.events({ limit: 5, from: 'yesterday' })).rejects.toThrow('not a time');
  });
});

describe('sessions', () => {
  it('are listed newest first, in pages, with what happened in them', async () => {
    const first = await reader.sessionList({ limit: 25, target: 'shop', principal: 'corp:ann' });
    expect(first.items.map(({ id }) => id)).toEqual(['s36', 's30', 's24', 's18', 's12', 's6', 's0']);
    expect(first.items[6]).toEqual({
      id: 's0',
      principal: 'corp:ann',
      principalName: 'Bot',
      principalKind: 'agent',
      target: 'shop',
      protocol: 'postgres',
      client: { address: '10.0.0.1', application: 'psql' },
      startedAt: expect.any(Number),
      endedAt: expect.any(Number),
      endReason: 'client hung up',
      commands: 31,
      denied: 1,
      held: 1,
      live: false,
    });
    const live = await reader.sessionList({ limit: 2, live: true, target: 'books' });
    expect(live).toMatchObject({ items: [{ id: 's39' }, { id: 's37' }] });
    const pages: string[] = [];
    for (let after: string | undefined, more = true; more; ) {
      const page = await reader.sessionList({ limit: 7, live: false, ...(after === undefined ? {} : { after }) });
      pages.push(...page.items.map(({ id }) => id));
      after = page.next;
      more = after !== undefined;
    }
    expect(pages).toEqual(Array.from({ length: 37 }, (_, i) => sessionOf(36 - i)));
  });

  it('are found by their id, or not', async () => {
    expect(await reader.sessionGet('s38')).toMatchObject({ id: 's38', live: true });
    expect(await reader.sessionGet('s99')).toBeUndefined();
  });
});

describe('an export', () => {
  it('is an archive that tar reads, holds the event that records it, and verifies', async () => {
    const dir = scratch.dir();
    const path = join(dir, 'log.tar');
    writeFileSync(path, await exportOf(log));
    const listed = spawnSync('tar', ['-tf', path], { encoding: 'utf8' });
    expect(listed.status).toBe(0);
    const names = listed.stdout.trim().split('\n');
    expect(names.slice(0, 4)).toEqual(['README', 'checkpoint', 'log.vkey', 'tile/0/000']);
    expect(names).toContain('tile/entries/000');
    expect(await verifyLog(path, { vkey: log.vkey })).toMatchObject({ ok: true, origin, unsigned: 0 });
    const { items } = await reader.events({ limit: 1, type: 'audit.exported' });
    expect(items).toMatchObject([{ principal: 'corp:auditor' }]);
    spawnSync('tar', ['-xf', path, '-C', dir]);
    spawnSync('rm', [path]);
    expect(await verifyLog(dir, { vkey: log.vkey })).toMatchObject({ ok: true, origin });
  });

  it('may be left in the middle', async () => {
    const principal = {
      id: 'corp:auditor',
      kind: 'human',
      issuer: 'corp',
      subject: 'auditor',
      name: 'Auditor',
      groups: [],
      claims: {},
    } as const;
    for await (const piece of reader.export({ principal, proof: { kind: 'oidc', id: 'x', expiresAt: 0 } })) {
      expect(piece.length).toBeGreaterThan(512);
      break;
    }
    expect((await reader.sessionList({ limit: 1 })).items.length).toBe(1);
  });
});
