import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { startGateway, type TestGateway } from '../support/gateway.ts';

const canary = 'zq7canary';
const schema = `
  create table customers (id int primary key, email text, contact text, ssn text);
  insert into customers select n, '${canary}' || n || '@mail.example', '${canary}' || n || '@mail.example', '219-09-' || 1000 + n
    from generate_series(1, 200) n`;

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ schema, classify: { 'public.customers.ssn': 'pii.ssn' } });
});
afterAll(() => gateway.stop());

interface Answer {
  readonly code?: string;
  readonly section: string;
  readonly entries: readonly { readonly field: string; readonly classification: string }[];
}

async function classify(who: 'agent' | 'dana' | 'sam', target = 'shop') {
  const { status, body } = await gateway.call(who, 'POST', '/v1/targets/classify', { target });
  return { status, body: body as Answer };
}

async function events(type: string) {
  const { body } = await gateway.call('dana', 'GET', `/v1/audit/events?type=${type}`);
  return (body as { items: Record<string, unknown>[] }).items;
}

describe('what to classify', () => {
  it('is proposed to whoever may configure, and asked for in the log before the target is', async () => {
    for (const who of ['agent', 'sam'] as const) expect((await classify(who)).status).toBe(403);
    expect(await events('target.classified')).toEqual([]);
    const { status, body } = await classify('dana');
    expect([status, parse(body.section)]).toEqual([
      200,
      { classify: { 'public.customers.email': 'pii.email', 'public.customers.contact': 'pii.email' } },
    ]);
    const [asked] = await events('target.classified');
    expect(asked).toMatchObject({ target: 'shop', principal: expect.stringContaining('dana') });
    const session = (await events('session.started')).find(({ purpose }) => purpose === 'sample');
    expect(session).toMatchObject({ principal: 'sallyport:gateway', target: 'shop' });
    expect(Number(session?.seq)).toBeGreaterThan(Number(asked?.seq));
    const ended = (await events('session.ended')).find((event) => event.session === session?.session);
    expect(ended?.reason).toBe('looked at 3 columns for what to classify');
  });

  it('is one look for all who ask meanwhile, each with an event of their own', async () => {
    const count = async () => [
      (await events('target.classified')).length,
      (await events('session.started')).filter(({ purpose }) => purpose === 'sample').length,
    ];
    const [asked = 0, looked = 0] = await count();
    const answers = await Promise.all(Array.from({ length: 5 }, () => classify('dana')));
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    const [askedThen = 0, lookedThen = 0] = await count();
    expect(askedThen - asked).toBe(5);
    expect(lookedThen - looked).toBeLessThan(5);
  });

  it('is said without a value, and none is kept: not in answer, log, recording or anywhere in the data folder', async () => {
    const { body } = await classify('dana');
    expect(JSON.stringify(body)).not.toContain(canary);
    await gateway.running.stop();
    const kept = join(gateway.folder, 'data');
    const files = readdirSync(kept, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(files.length).toBeGreaterThan(5);
    for (const { parentPath, name } of files) {
      expect(readFileSync(join(parentPath, name)).includes(canary), name).toBe(false);
      // Recordings are compressed, but there is none: nobody's session saw anything.
      expect(name.endsWith('.rec'), name).toBe(false);
    }
  });
});
