import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Refusal } from '../../../model/errors.ts';
import type { RequestHead } from '../../../web/message.ts';
import { httpSettings } from '../settings.ts';
import { classifyRequest } from './classify.ts';
import { openRules } from './rules.ts';

interface Case {
  readonly request: string;
  readonly headers?: Readonly<Record<string, string>> | readonly string[];
  readonly body?: string;
  readonly upgrade?: string;
  readonly is?: Readonly<Record<string, unknown>>;
  readonly refused?: readonly [string, string];
}

interface Group {
  readonly settings: Readonly<Record<string, unknown>>;
  readonly cases: readonly Case[];
}

const openapi = fileURLToPath(new URL('./testdata/openapi.yaml', import.meta.url));

function load(file: string): readonly Group[] {
  return parse(readFileSync(new URL(`./testdata/${file}`, import.meta.url), 'utf8')) as readonly Group[];
}

function rulesOf(settings: Group['settings']) {
  const given = { address: 'https://shop.example', ...settings, ...(settings.openapi === true ? { openapi } : {}) };
  return openRules(httpSettings.parse(given));
}

function outcome(given: Case, rules: ReturnType<typeof rulesOf>) {
  const space = given.request.indexOf(' ');
  const method = given.request.slice(0, space);
  const path = given.request.slice(space + 1);
  const fields = Array.isArray(given.headers) ? given.headers : Object.entries(given.headers ?? {}).flat();
  const request: RequestHead = {
    version: '1.1',
    method,
    target: `/shop${path}`,
    authority: 'gateway.example',
    fields,
    ...(given.upgrade === undefined ? {} : { upgrade: given.upgrade }),
  };
  const body = given.body === undefined ? undefined : given.body === 'too large' ? given.body : Buffer.from(given.body);
  try {
    const { verb, actions, resources, facts } = classifyRequest(request, path, body, rules);
    return { verb, actions, resources: resources.map(({ type, id, access }) => `${type} ${id} ${access}`), ...facts };
  } catch (error) {
    if (error instanceof Refusal) return [error.code, error.message] as const;
    throw error;
  }
}

function only(found: object, keys: readonly string[]): object {
  return Object.fromEntries(Object.entries(found).filter(([key]) => keys.includes(key)));
}

describe.each(['requests.yaml', 'graphql.yaml', 's3.yaml'])('requests of %s', (file) => {
  describe.each(load(file))('with $settings', ({ settings, cases }) => {
    const rules = rulesOf(settings);
    it.each(cases)('$request $headers $body', (given) => {
      const found = outcome(given, rules);
      if (given.refused !== undefined) {
        expect(found).toEqual([given.refused[0], expect.stringContaining(given.refused[1])]);
      } else expect(only(found, Object.keys(given.is ?? {}))).toEqual(given.is);
    });
  });
});

describe('what a request carries', () => {
  const rules = rulesOf({});
  const post = (body: unknown) =>
    outcome({ request: 'POST /a', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }, rules);

  it('is bounded in number, and says so', () => {
    const found = post(Object.fromEntries(Array.from({ length: 3000 }, (_, index) => [`k${index}`, index])));
    expect(found).toMatchObject({ findings: ['body.unseen'] });
    expect('fields' in found ? found.fields : []).toHaveLength(1000);
  });

  it('cannot hide a body behind a long query', () => {
    // Read with and without `;`, these are more names than there is room for.
    const query = Array.from({ length: 490 }, (_, index) => `${index};x${index}`).join('&');
    for (const [type, body] of [
      ['application/json', '{"admin":true}'],
      ['application/x-www-form-urlencoded', 'admin=true'],
    ] as const) {
      const given = { request: `POST /a?${query}`, headers: { 'content-type': type }, body };
      expect(outcome(given, rules)).toMatchObject({
        findings: expect.arrayContaining(['body.unseen', 'query.unseen']),
      });
    }
    const more = Array.from({ length: 1001 }, (_, index) => `x${index}`).join('&');
    expect(outcome({ request: `GET /a?${more}` }, rules)).toEqual([
      'SP7001',
      'the query has more than 1000 parameters',
    ]);
  });

  it('is bounded in length: a long value is no fact, a long name is not seen', () => {
    expect(post({ a: 'x'.repeat(300) })).toMatchObject({ fields: ['body.a'], values: [], findings: [] });
    expect(post({ ['x'.repeat(300)]: 1 })).toMatchObject({ fields: [], findings: ['body.unseen'] });
  });

  it('is bounded in depth', () => {
    expect(outcome({ request: 'POST /a', body: '['.repeat(5000) + ']'.repeat(5000) }, rules)).toMatchObject({
      findings: ['body.unseen'],
    });
    expect(outcome({ request: 'POST /a', body: `${'{"a":'.repeat(40)}1${'}'.repeat(40)}` }, rules)).toMatchObject({
      findings: [],
    });
  });
});
