import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { ProposalAnswer } from '../../client/schema.ts';
import { type Api, createApi } from '../api.ts';
import { type Fake, populated } from '../fake.ts';

let fake: Fake;
let api: Api;
let base: string;
beforeEach(async () => {
  fake = populated();
  api = createApi(fake);
  base = await api.listen({ host: '127.0.0.1', port: 0 });
});
afterEach(() => api.close());

async function ask(credential: string, body: unknown) {
  const response = await fetch(`${base}/v1/targets/classify`, {
    method: 'POST',
    headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as ProposalAnswer & { code?: string } };
}

describe('asking what to classify', () => {
  it('is for those who may configure, and a ticket may not', async () => {
    for (const credential of [
      'agent-token',
      'owner-token',
      'dba-token',
      'auditor-token',
      'admin-ticket',
      'agent-ticket',
    ])
      for (const target of ['shop', 'nowhere'])
        expect((await ask(credential, { target })).body.code, credential).toBe('SP2001');
    expect(fake.calls).toEqual([]);
    expect((await ask('admin-token', { target: 'shop' })).status).toBe(200);
    expect(fake.calls).toEqual(['propose shop by corp:admin']);
  });

  it('answers with the entries and the same as a section to paste', async () => {
    const { body } = await ask('admin-token', { target: 'shop' });
    expect(body).toMatchObject({ below: 0, looked: { fields: 12, classified: 1, sampled: 9 } });
    expect(parse(body.section)).toEqual({
      classify: Object.fromEntries(body.entries.map(({ field, classification }) => [field, classification])),
    });
  });

  it('leaves out what is less sure than was asked for, and says how many', async () => {
    const { body } = await ask('admin-token', { target: 'shop', minConfidence: 0.9 });
    expect(body.entries.map(({ field }) => field)).toEqual(['public.customers.ssn']);
    expect(body.below).toBe(2);
    expect(parse(body.section)).toEqual({ classify: { 'public.customers.ssn': 'pii.ssn' } });
    expect((await ask('admin-token', { target: 'shop', minConfidence: 1 })).body).toMatchObject({
      entries: [],
      section: '',
    });
    expect((await ask('admin-token', { target: 'shop', minConfidence: 2 })).status).toBe(400);
    expect((await ask('admin-token', { target: 'nowhere' })).body.code).toBe('SP1002');
  });
});
