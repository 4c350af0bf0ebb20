import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../../model/errors.ts';
import { type HttpAddress, parseHttpAddress } from '../settings.ts';
import { loadRoutes, readRoutes } from './openapi.ts';
import { Routes } from './routes.ts';

const address = (url: string) => parseHttpAddress(url) as HttpAddress;
const shop = address('https://shop.example');

function read(text: string, at = shop): Routes | string {
  try {
    return readRoutes(text, 'api.yaml', at);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

const head = 'openapi: 3.0.3\n';

describe('an OpenAPI document', () => {
  it.each([
    ['is no map', '- a', 'api.yaml:1: openapi: is not an OpenAPI document'],
    ['is empty', '', 'api.yaml:1: openapi: is not an OpenAPI document'],
    ['is no YAML', 'openapi: "3', 'api.yaml:1: openapi: '],
    ['is Swagger', 'swagger: "2.0"\npaths: {}', 'expected OpenAPI 3.0 or 3.1, got "2.0"'],
    ['is too new', '\nopenapi: 4.0.0', 'api.yaml:2: openapi: expected OpenAPI 3.0 or 3.1, got "4.0.0"'],
    ['has no paths', head, 'names no path'],
    ['has only extensions', `${head}paths:\n  x-a: {}`, 'names no path'],
    ['has a path without a slash', `${head}paths:\n  a: {}`, 'api.yaml:3: paths.a: a path begins with a slash'],
    ['has a path that is no map', `${head}paths:\n  /a: 7`, 'api.yaml:3: paths./a: expected a map'],
    ['has a wildcard', `${head}paths:\n  /a/{rest+}: {}`, 'has a parameter that is not {name}'],
    ['has a pattern', `${head}paths:\n  "/a/{id:[0-9]+}": {}`, 'has a parameter that is not {name}'],
    ['has a brace too many', `${head}paths:\n  "/a/{id": {}`, 'has a parameter that is not {name}'],
    ['has parameters side by side', `${head}paths:\n  "/a/{a}{b}": {}`, 'nothing between them'],
    ['names a parameter twice', `${head}paths:\n  "/{a}/{a}": {}`, 'names a parameter twice'],
    ['has a query in a path', `${head}paths:\n  "/a?b=1": {}`, 'characters that no plain path has'],
    ['has an encoded path', `${head}paths:\n  "/a%2Fb": {}`, 'characters that no plain path has'],
    ['has dots in a path', `${head}paths:\n  "/a/../b": {}`, 'segments of dots'],
    ['has empty segments', `${head}paths:\n  "/a//b": {}`, 'empty segments'],
    [
      'is ambiguous by names',
      `${head}paths:\n  /a/{id}: {}\n  /a/{name}: {}`,
      'api.yaml:4: paths./a/{name}: is ambiguous with /a/{id}',
    ],
    [
      'is ambiguous crosswise',
      `${head}paths:\n  /a/{x}: {}\n  /{y}/b: {}`,
      'api.yaml:4: paths./{y}/b: is ambiguous with /a/{x}',
    ],
    [
      'claims what is no action',
      `${head}paths:\n  /a:\n    get:\n      x-sallyport-action: reading`,
      'api.yaml:5: paths./a.get.x-sallyport-action: expected one or more of read,',
    ],
    [
      'claims nothing at all',
      `${head}paths:\n  /a:\n    get:\n      x-sallyport-action: []`,
      'expected one or more of read',
    ],
    [
      'refers to another document',
      `${head}paths:\n  /a:\n    $ref: other.yaml#/a`,
      'api.yaml:4: paths./a.$ref: leads nowhere in this document',
    ],
    ['refers to nothing', `${head}paths:\n  /a:\n    $ref: "#/components/x"`, 'leads nowhere'],
    [
      'refers round',
      `${head}paths:\n  /a:\n    $ref: "#/components/x"\ncomponents:\n  x:\n    $ref: "#/components/x"`,
      'round in a circle',
    ],
    [
      'has a server that is no URL',
      `${head}servers:\n  - url: "https://{host}/"\npaths:\n  /a: {}`,
      'api.yaml:3: servers.0.url: expected a URL whose variables have defaults',
    ],
    [
      'has aliases without end',
      `${head}a: &a [x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c]\ne: [*d, *d, *d, *d, *d, *d, *d, *d]`,
      'Excessive alias count',
    ],
  ])('that %s is refused with its line', (_, text, message) => {
    expect(read(text)).toContain(message);
  });

  it('that cannot be read says so with its name', () => {
    expect(() => loadRoutes('/nowhere/api.yaml', shop)).toThrow(/^\/nowhere\/api.yaml:1: openapi: cannot be read/);
  });

  it('can be JSON', () => {
    const routes = read(JSON.stringify({ openapi: '3.1.0', paths: { '/a/{b}': { get: {} } } })) as Routes;
    expect(routes.match('/a/7')?.template).toBe('/a/{b}');
  });

  it.each([
    ['https://shop.example', '/v1/a', '/v1/a'],
    ['https://shop.example/v1', '/a', '/a'],
    ['https://other.example', '/v1/a', '/v1/a'],
  ])('with a server at /v1 is found below %s', (url, path, template) => {
    const text = `${head}servers:\n  - url: https://shop.example/v1/\npaths:\n  /a: {}`;
    expect((read(text, address(url)) as Routes).match(path)?.template).toBe(template);
  });

  it('without servers begins where the address ends', () => {
    const routes = read(`${head}paths:\n  /a: {}`, address('https://shop.example/v9')) as Routes;
    expect(routes.match('/a')?.template).toBe('/a');
  });

  it('whose servers are elsewhere is refused', () => {
    const text = `${head}servers:\n  - url: /v2\npaths:\n  /a: {}`;
    expect(read(text, address('https://shop.example/v1'))).toContain(
      "cannot be reached: its servers (/v2) are not below the address's path /v1",
    );
  });

  it('knows several servers and those of one path', () => {
    const routes = read(
      `${head}servers: [{ url: /v1 }, { url: /v2 }]\npaths:\n  /a: {}\n  /b:\n    servers: [{ url: /x }]`,
    ) as Routes;
    expect(['/v1/a', '/v2/a', '/x/b', '/v1/b'].map((path) => routes.match(path)?.template)).toEqual([
      '/v1/a',
      '/v2/a',
      '/x/b',
      undefined,
    ]);
  });
});

describe('route templates', () => {
  const segment = fc.constantFrom('a', 'b', 'a.json', '{x}', '{y}', '{z}.json', 'a-{x}', '{x}-{y}');
  const template = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => `/${segments.join('/')}`);
  const path = fc
    .array(fc.constantFrom('a', 'b', 'c', 'a.json', 'a-b', 'a-b.json', '.json', '-'), { minLength: 1, maxLength: 4 })
    .map((segments) => `/${segments.join('/')}`);
  const pattern = (text: string) =>
    new RegExp(
      `^${text
        .split(/\{[^}]*\}/)
        .map((piece) => piece.replaceAll(/[.]/g, '\\.'))
        .join('[^/]+')}$`,
    );

  it('match exactly what they say, and the most concrete wins', () => {
    fc.assert(
      fc.property(fc.uniqueArray(template, { maxLength: 8 }), fc.array(path, { maxLength: 10 }), (templates, paths) => {
        const routes = new Routes();
        const added = templates.filter((text) => routes.add({ template: text, operations: new Map() }) === undefined);
        for (const one of paths) {
          const fitting = added.filter((text) => pattern(text).test(one));
          const found = routes.match(one)?.template;
          expect(found !== undefined).toBe(fitting.length > 0);
          if (found === undefined) continue;
          expect(fitting).toContain(found);
          const literal = (text: string) => text.split('/').map((piece) => !piece.includes('{'));
          for (const other of fitting)
            for (const [index, is] of literal(other).entries()) if (is) expect(literal(found)[index]).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('are found without going through all of them', () => {
    const routes = new Routes();
    for (let index = 0; index < 2000; index++)
      expect(routes.add({ template: `/a${index}/{id}/b/{c}`, operations: new Map() })).toBeUndefined();
    expect(routes.match('/a1999/7/b/8')?.template).toBe('/a1999/{id}/b/{c}');
    expect(routes.match(`/a7/${'x'.repeat(8000)}/b/8`)?.template).toBe('/a7/{id}/b/{c}');
  });
});
