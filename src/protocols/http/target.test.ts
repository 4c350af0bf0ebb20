import { describe, expect, it } from 'vitest';
import type { Classified } from '../../model/command.ts';
import { httpSettings } from './settings.ts';
import { HttpTarget } from './target.ts';

const settings = httpSettings.parse({
  address: 'https://api.example.com',
  classify: {
    '$.always': 'pii.a',
    '/v1/customers $.ssn': 'pii.b',
    'GET /v1/customers/* $.email': 'pii.c',
    'POST /v1/** $.card': 'pii.d',
  },
});
const target = new HttpTarget({ name: 'api', protocol: 'http', labels: {}, holdMs: 0, settings });

function classified(verb: string, ...paths: string[]): Classified {
  const facts = { statements: 1, hasWhere: false, functions: [], verbs: [verb] };
  return { verb, actions: ['read'], resources: paths.map((id) => ({ type: 'Path', id, access: 'read' })), facts };
}

describe('a request that renames fields', () => {
  const aliased = (findings: readonly string[]): Classified => {
    const plain = classified('POST', '/v1/graphql');
    return { ...plain, facts: { ...plain.facts, findings } };
  };
  it('is known where something classified could come under another name', () => {
    expect(target.canBeRenamed(aliased(['graphql.alias']), {})).toBe(true);
    expect(target.canBeRenamed(aliased(['graphql.alias']), { 'pii.a': 'reveal', 'pii.d': 'reveal' })).toBe(false);
    expect(target.canBeRenamed(aliased([]), {})).toBe(false);
  });
});

describe('what is classified in a reply', () => {
  it.each([
    ['GET', '/v1/customers', ['pii.a', 'pii.b']],
    ['GET', '/v1/customers/', ['pii.a', 'pii.b']],
    ['GET', '/V1/Customers', ['pii.a', 'pii.b']],
    ['GET', '/v1/customers/7', ['pii.a', 'pii.c']],
    ['HEAD', '/v1/customers/7', ['pii.a', 'pii.c']],
    ['WEBSOCKET', '/v1/customers/7/', ['pii.a', 'pii.c']],
    ['POST', '/v1/customers/7', ['pii.a', 'pii.d']],
    ['POST', '/v1/a/b/c', ['pii.a', 'pii.d']],
    ['GET', '/v1/customers/7/orders', ['pii.a']],
    ['GET', '/', ['pii.a']],
  ])('of %s %s', (verb, path, expected) => {
    expect(target.bodyRulesFor(classified(verb, path)).list.map(({ classification }) => classification)).toEqual(
      expected,
    );
  });

  it('is what any reading of the path has', () => {
    const rules = target.bodyRulesFor(classified('GET', '/v1/other', '/v1/customers'));
    expect(rules.list.map(({ classification }) => classification)).toEqual(['pii.a', 'pii.b']);
  });
});
