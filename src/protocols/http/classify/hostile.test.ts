import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actions } from '../../../model/command.ts';
import { Refusal } from '../../../model/errors.ts';
import { httpSettings } from '../settings.ts';
import { Carried } from './carried.ts';
import { classifyRequest } from './classify.ts';
import { operationsOf } from './graphql-operations.ts';
import { classifyMessage } from './message.ts';
import { openRules } from './rules.ts';

const openapi = fileURLToPath(new URL('./testdata/openapi.yaml', import.meta.url));
const aws = (service: string) => ({
  credential: { user: 'a', env: 'KEY', as: { aws: { region: 'eu-central-1', service } } },
});
const kinds = [
  {},
  { openapi, graphql: ['/graphql'] },
  { openapi, paths: { allow: ['encoded-slash', 'encoded-percent', 'empty-segment', 'parameters'], ignoreCase: true } },
  aws('s3'),
  aws('iam'),
].map((settings) => openRules(httpSettings.parse({ address: 'https://shop.example', ...settings })));

const word = fc.constantFrom(
  'GET',
  'POST',
  'DELETE',
  'x',
  '"',
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  '=',
  '&',
  ';',
  '%41',
  '%',
  '/',
  '//',
  '\\',
  '..',
  'query',
  '\r\n',
  '--X',
  '\u2028',
  'mutation',
  '(',
  ')',
  '...F',
  '<Key>',
  '</Key>',
  '<Object>',
  '1e999',
  'true',
);
const text = fc.array(word, { maxLength: 20 }).map((words) => words.join(''));
const type = fc.constantFrom(
  'application/json',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=X',
  'text/plain',
  'application/graphql',
  ';;;',
  'a/b; c="d',
  '',
);
const name = fc.constantFrom(
  'x-amz-target',
  'x-amz-copy-source',
  'x-http-method-override',
  'content-encoding',
  'accept',
);

describe('a request of any kind', () => {
  it('is classified or refused, never anything else', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...kinds),
        fc.constantFrom('GET', 'POST', 'DELETE', 'PUT', 'HEAD', 'FOO', 'post'),
        fc.constantFrom('/', '/graphql', '/v1/customers/', '/b/k?delete', '/?'),
        text,
        type,
        fc.array(fc.tuple(name, text), { maxLength: 2 }),
        fc.option(
          fc.oneof(
            text.map((body) => Buffer.from(body)),
            fc.uint8Array().map((bytes) => Buffer.from(bytes)),
          ),
          { nil: undefined },
        ),
        (rules, method, start, rest, contentType, extra, body) => {
          const path = start + rest;
          const fields = ['content-type', contentType, ...extra.flat()];
          try {
            const found = classifyRequest(
              { version: '1.1', method, target: path, authority: 'a', fields },
              path,
              body,
              rules,
            );
            expect(found.actions.length).toBeGreaterThan(0);
            expect(found.actions).toEqual(actions.filter((action) => found.actions.includes(action)));
            expect(found.resources.some((resource) => resource.type === 'Path')).toBe(true);
          } catch (error) {
            if (!(error instanceof Refusal)) throw error;
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('as a WebSocket message, too', () => {
    fc.assert(
      fc.property(fc.constantFrom(...kinds), fc.constantFrom('/', '/graphql'), text, (rules, path, message) => {
        try {
          classifyMessage(path, Buffer.from(message), rules);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
        }
      }),
    );
  });
});

describe('a GraphQL document', () => {
  const operations = (query: string) => operationsOf({ query, operationName: undefined, variables: {} }, new Carried());

  it('nested without end is refused', () => {
    expect(() => operations(`${'{ a '.repeat(100_000)}`)).toThrow(/nested more than/);
    expect(() => operations(`{ a(x: ${'['.repeat(100_000)}`)).toThrow(/nested more than/);
    expect(() => operations(`query { a ${'b '.repeat(30_000)}}`)).toThrow(/token/);
  });

  it('with fragments that multiply is read once through each', () => {
    const fragments = Array.from(
      { length: 60 },
      (_, index) => `fragment F${index} on Query { a${index} ...F${index + 1} ...F${index + 1} }`,
    );
    expect(operations(`{ ...F0 ...F0 } ${fragments.join(' ')} fragment F60 on Query { end }`).objects.size).toBe(61);
  });
});

describe('a body', () => {
  it('of a megabyte is read in one go, however it is made', () => {
    const rules = kinds[0]!;
    const size = 1024 * 1024;
    const bodies: readonly (readonly [string, string])[] = [
      ['application/json', `"${'\\"'.repeat(size / 2)}"`],
      ['application/json', `[${'1,'.repeat(size / 2)}1]`],
      ['application/json', `{${'"a":1,'.repeat(size / 6)}"a":1}`],
      ['application/json', '['.repeat(size)],
      ['application/json', `"${'\\'.repeat(size)}"`],
      ['application/x-www-form-urlencoded', 'a=1;'.repeat(size / 4)],
      ['application/x-www-form-urlencoded', '&'.repeat(size)],
      ['multipart/form-data; boundary=X', `--X\r\n${'--X\r\n'.repeat(size / 5)}`],
      [`a/b${'; '.repeat(30_000)}!`, 'x'],
      [`a/b;${' '.repeat(60_000)}!`, 'x'],
    ];
    for (const [contentType, body] of bodies) {
      const run = () =>
        classifyRequest(
          { version: '1.1', method: 'POST', target: '/a', authority: 'a', fields: ['content-type', contentType] },
          '/a',
          Buffer.from(body),
          rules,
        );
      if (contentType.endsWith('!')) expect(run).toThrow(Refusal);
      else expect(run().actions).toEqual(['write']);
    }
  });
});
