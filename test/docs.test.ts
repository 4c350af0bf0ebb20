import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { apiErrors, problemFor } from '../src/api/problem.ts';
import { createProgram } from '../src/cli/program.ts';
import { processTerminal } from '../src/cli/terminal.ts';
import { type Config, configJsonSchema, configKeys, loadConfig, parseConfig, protocolSchemas } from '../src/config.ts';
import { parseDuration } from '../src/model/duration.ts';
import { Refusal, type RefusalName, refusals } from '../src/model/errors.ts';
import { eventTypes } from '../src/model/event.ts';
import { checkPolicies } from '../src/policy/check.ts';
import { testPolicies } from '../src/policy/run-cases.ts';
import { createProtocols } from '../src/protocols/index.ts';
import { parseReport } from '../src/protocols/postgres/codec.ts';
import { refusalReport } from '../src/protocols/postgres/refusals.ts';
import { commandLines, leaves, wrongWith } from './support/command-lines.ts';
import { codeIn, type Page, readPage, tablesOf } from './support/markdown.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const notOurs = new Set(['node_modules', '.git', 'dist', 'data', 'demo-data', 'coverage', 'scratch']);

const files = walk(root);
const pages = new Map(files.filter((file) => file.endsWith('.md')).map((file) => [file, readPage(read(file))]));
const examples = files.filter((file) => file.startsWith('examples/'));
const protocols = protocolSchemas(createProtocols());
const program = createProgram(processTerminal());

function walk(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (notOurs.has(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : [relative(root, path).replaceAll('\\', '/')];
  });
}

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

function page(file: string): Page {
  const found = pages.get(file);
  if (found === undefined) throw new Error(`${file} is missing`);
  return found;
}

/** One complaint for each thing in any page that `check` finds something wrong with. */
function complaints(check: (page: Page, file: string) => readonly string[]): readonly string[] {
  return [...pages].flatMap(([file, found]) => check(found, file).map((problem) => `${file}: ${problem}`));
}

describe('every page', () => {
  it('was seen', () => {
    expect(pages.size).toBeGreaterThan(20);
    expect([...pages.values()].flatMap(({ links }) => links).length).toBeGreaterThan(80);
    for (const file of ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'])
      expect(pages.has(file), file).toBe(true);
  });

  it('links to what is there, headings included', () => {
    const broken = complaints((found, file) =>
      found.links.filter((link) => {
        if (/^(https?:|mailto:)/.test(link)) return false;
        const [path = '', anchor] = link.split('#');
        const target = path === '' ? file : relative(root, resolve(root, dirname(file), decodeURIComponent(path)));
        if (!existsSync(join(root, target))) return true;
        return anchor !== undefined && pages.get(target)?.anchors.has(anchor) !== true;
      }),
    );
    expect(broken).toEqual([]);
  });

  it('names files that are there', () => {
    const named = /^\.?(?:src|test|docs|examples|policies|scripts|bench|bin|ci)\/[\w./-]+$|^[A-Z]{4,}\.md$/;
    const missing = complaints((found) => {
      const inBlocks = found.blocks
        .filter(({ language }) => shell.has(language))
        .flatMap(({ text }) => text.match(/(?<![\w/.-])(?:scripts|bin|examples|src|test)\/[\w./-]*\w/g) ?? []);
      return [...found.inline.filter((code) => named.test(code)), ...inBlocks].filter(
        (path) => !existsSync(join(root, path)),
      );
    });
    expect(missing).toEqual([]);
  });

  it('under docs is linked from another', () => {
    const linked = new Set(
      [...pages].flatMap(([file, { links }]) =>
        links.map((link) => relative(root, resolve(root, dirname(file), link.split('#')[0]!))),
      ),
    );
    expect([...pages.keys()].filter((file) => file.startsWith('docs/') && !linked.has(file))).toEqual([]);
  });

  it('names no path of the machine that it was written on', () => {
    const private_ = /(?<![\w.])\/(?:work|root|home\/\w+|Users\/\w+|tmp\/\w+)\//g;
    const found = [...pages.keys(), ...examples].flatMap((file) =>
      [...read(file).matchAll(private_)].map(([path]) => `${file}: ${path}`),
    );
    expect(found).toEqual([]);
  });

  it('quotes tests that exist', () => {
    let quoted = 0;
    const wrong = complaints(({ prose }, page) =>
      prose.flatMap((line) =>
        [...line.matchAll(/`([\w./-]+\.test\.ts)`((?:,? “[^”]+”)*)/g)].flatMap(([, named, titles]) => {
          // From the root, or beside the page.
          const file = [named!, join(dirname(page), named!)].find((path) => existsSync(join(root, path)));
          if (file === undefined) return [`${named} is missing`];
          const text = read(file);
          return [...titles!.matchAll(/“([^”]+)”/g)].flatMap(([, title]) => {
            quoted += 1;
            return text.includes(title!) ? [] : [`${file} has no test “${title}”`];
          });
        }),
      ),
    );
    expect(wrong).toEqual([]);
    expect(quoted).toBeGreaterThan(20);
  });
});

describe('the pages on the code', () => {
  it('have the table of who may import whom as the test has it', () => {
    const [, text = ''] = /const allowed[^=]*= \{\n(.*?)\n\};/s.exec(read('test/architecture.test.ts')) ?? [];
    const entries = [...text.matchAll(/^ {2}'?([\w.]+)'?: \[([^\]]*)\]/gm)];
    const actual = entries.map(([, room, list]) => [
      room,
      [...list!.matchAll(/'([^']+)'/g)].map(([, to]) => to).toSorted(),
    ]);
    const table = tablesOf(page('ARCHITECTURE.md')).find(({ head }) => head[0] === 'Room');
    const said = table!.rows.flatMap(([rooms = '', list = '']) =>
      codeIn(rooms).map((room) => [room, codeIn(list).toSorted()]),
    );
    expect(actual.length).toBeGreaterThan(15);
    expect(Object.fromEntries(said)).toEqual(Object.fromEntries(actual));
  });

  it('name files of their folder that are there', () => {
    const wrong = complaints((found, file) => {
      if (!file.startsWith('src/')) return [];
      const inText = [...found.inline, ...found.blocks.flatMap(({ text }) => text.match(/[\w-]+\.ts\b/g) ?? [])];
      const there = new Set(
        readdirSync(join(root, dirname(file)), { recursive: true, encoding: 'utf8' }).map((path) => basename(path)),
      );
      return inText.filter((name) => /^[\w-]+\.ts$/.test(name) && !there.has(name));
    });
    expect(wrong).toEqual([]);
  });
});

const shell = new Set(['', 'sh', 'bash', 'console']);

describe('commands', () => {
  it('of sallyport exist, with their options', () => {
    let seen = 0;
    const wrong = complaints(({ blocks, inline }) => {
      const inBlocks = blocks.filter(({ language }) => shell.has(language)).flatMap(({ text }) => commandLines(text));
      const inText = inline.filter((code) => code.startsWith('sallyport ')).flatMap(commandLines);
      seen += inBlocks.length + inText.length;
      return [
        ...inBlocks.map((line) => wrongWith(program, line, true)),
        ...inText.map((line) => wrongWith(program, line, false)),
      ].filter((problem) => problem !== undefined);
    });
    expect(wrong).toEqual([]);
    expect(seen).toBeGreaterThan(60);
  });

  it('of npm exist, and what they pass on does', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Readonly<Record<string, string>> };
    const wrong = complaints(({ blocks, inline }) =>
      [...blocks.map(({ text }) => text), ...inline].flatMap((text) =>
        [...text.matchAll(/npm run ([\w:-]+)(?: -- ([^\n#`]*))?/g)].flatMap(([, script, rest]) => {
          if (scripts[script!] === undefined) return [`there is no script ${script}`];
          return script === 'demo' && rest !== undefined ? (wrongWith(program, `demo ${rest}`, true) ?? []) : [];
        }),
      ),
    );
    expect(wrong).toEqual([]);
  });

  it('are all in the reference, with all their options', () => {
    const rows = new Map(
      tablesOf(page('docs/reference/cli.md')).flatMap(({ rows }) =>
        rows.map(([command = '', options = '']) => [command, options] as const),
      ),
    );
    const documented = [...rows].flatMap(([command, options]) => {
      const [line = ''] = codeIn(command).filter((code) => code.startsWith('sallyport '));
      return line === '' ? [] : [{ path: line.replace(/ (?:\[?[A-Z]+\]?)$/, ''), options }];
    });
    const actual = leaves(program).map(({ path, command }) => ({
      path: `sallyport ${path}`,
      options: command.options.map(({ long }) => long!).toSorted(),
    }));
    const said = documented.map(({ path, options }) => ({
      path,
      options: codeIn(options).map((code) => code.split(' ')[0]!).toSorted(), // biome-ignore format: as above
    }));
    const byPath = (a: { path: string }, b: { path: string }) => a.path.localeCompare(b.path);
    expect(said.toSorted(byPath)).toEqual(actual.toSorted(byPath));
  });
});

describe('the errors reference', () => {
  const [table] = tablesOf(page('docs/reference/errors.md'));
  const rows = new Map(table!.rows.map(([code = '', ...rest]) => [/SP\d{4}/.exec(code)?.[0] ?? code, rest]));

  it('has every code of a refusal, with its name, SQLSTATE, status and whether to retry', () => {
    for (const [name, { code, retry }] of Object.entries(refusals)) {
      const refusal = new Refusal(name as RefusalName, 'no');
      const report = refusalReport(refusal);
      const { sqlstate } = parseReport(report, 0, report.length);
      const status = String(problemFor(refusal)?.status);
      expect(rows.get(code), code).toEqual([name, sqlstate, status, retry ? 'yes' : 'no']);
    }
  });

  it('has every code that only the API has', () => {
    for (const [name, { code, status }] of Object.entries(apiErrors))
      expect(rows.get(code), code).toEqual([name, '–', String(status), 'no']);
  });

  it('has no other, and says what to do about each', () => {
    const codes = [...Object.values(refusals), ...Object.values(apiErrors)].map(({ code }) => code).toSorted();
    expect([...rows.keys()].toSorted()).toEqual(codes);
    const headings = page('docs/reference/errors.md').headings.filter(({ level }) => level === 3);
    expect(headings.map(({ text }) => text).toSorted()).toEqual(codes);
  });

  it('is right wherever a page names a code', () => {
    const known = new Set([...rows.keys()]);
    expect(
      complaints(({ prose }) => (prose.join('\n').match(/\bSP\d{4}\b/g) ?? []).filter((code) => !known.has(code))),
    ).toEqual([]);
  });
});

describe('the events reference', () => {
  const found = page('docs/reference/events.md');

  it('has every type of event, once, and no other', () => {
    const types = found.headings.filter(({ level }) => level === 3).map(({ text }) => text.replaceAll('`', ''));
    expect(types.toSorted()).toEqual([...eventTypes].toSorted());
  });

  it('is right wherever a page names a type', () => {
    const families = [...new Set(eventTypes.map((type) => type.split('.')[0]))].join('|');
    const like = new RegExp(`^(?:${families})\\.[a-z]+$`);
    const known = new Set<string>([...eventTypes, ...configKeys(protocols)]);
    const wrong = complaints((one, file) => {
      // These two speak of the code, where session.ts is a file and gateway.login a function.
      if (file.startsWith('src/') || file === 'docs/adding-a-protocol.md') return [];
      const asked = one.blocks.flatMap(({ text }) => [...text.matchAll(/--type (\S+)/g)].map(([, type]) => type!));
      return [...one.inline.filter((code) => like.test(code)), ...asked].filter((type) => !known.has(type));
    });
    expect(wrong).toEqual([]);
  });
});

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly required?: readonly string[];
  readonly default?: unknown;
}

/** Key → whether it is required and what its default is, by the schema. */
function factsOf(schema: JsonSchema, prefix = '', facts = new Map<string, { required: boolean; preset: unknown }>()) {
  for (const [key, child] of Object.entries(schema.properties ?? {})) {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    facts.set(path, { required: schema.required?.includes(key) === true, preset: child.default });
    factsOf(child, path, facts);
  }
  if (typeof schema.additionalProperties === 'object') factsOf(schema.additionalProperties, `${prefix}.*`, facts);
  if (schema.items !== undefined) factsOf(schema.items, `${prefix}[]`, facts);
  for (const branch of [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]) factsOf(branch, prefix, facts);
  return facts;
}

describe('the configuration reference', () => {
  const tables = tablesOf(page('docs/reference/configuration.md')).filter(({ head }) => head[0] === 'Key');
  const defaults = new Map(
    tables.filter(({ head }) => head[2] === 'Default').flatMap(({ rows }) => rows.map((row) => [codeIn(row[0]!)[0]!, row[2]!] as const)), // biome-ignore format: one pipeline
  );

  it('has every key, once, and no other', () => {
    const keys = tables.flatMap(({ rows }) => rows.flatMap(([key = '']) => codeIn(key)));
    expect(keys.toSorted()).toEqual(configKeys(protocols));
  });

  it('says which keys are required, and the defaults of the others', () => {
    const facts = factsOf(configJsonSchema(protocols) as JsonSchema);
    let compared = 0;
    for (const [key, said] of defaults) {
      const { required, preset } = facts.get(key)!;
      expect(said.includes('**required**'), `${key} is ${required ? '' : 'not '}required`).toBe(required);
      if (preset === undefined || (typeof preset === 'object' && !Array.isArray(preset))) continue;
      const text = Array.isArray(preset) ? `[${preset.join(', ')}]` : preset === '' ? '""' : String(preset);
      expect(codeIn(said), `the default of ${key}`).toContain(text);
      compared += 1;
    }
    expect(compared).toBeGreaterThan(15);
  });

  it('says the defaults that are durations and sizes', () => {
    const least = load({ targets: { shop: leastTarget } });
    const ms = (key: string) => parseDuration(codeIn(defaults.get(key)!)[0]!);
    expect(ms('approvals.ttl')).toBe(least.approvals.ttlMs);
    expect(ms('tickets.maxTtl')).toBe(least.tickets.maxTtlMinutes * 60_000);
    expect(ms('limits.login')).toBe(least.limits.loginMs);
    expect(ms('limits.session')).toBe(least.limits.sessionMs);
    expect(ms('targets.*.hold')).toBe(least.targets.get('shop')?.holdMs);
    expect(codeIn(defaults.get('limits.commandBytes')!)).toEqual([`${least.limits.commandBytes / 1024}KiB`]);
  });

  it('and other pages show configurations that load', () => {
    let seen = 0;
    for (const [file, { blocks }] of pages)
      for (const { language, text } of blocks) {
        if (language !== 'yaml') continue;
        seen += 1;
        const value: unknown = parseYaml(text);
        const part = Array.isArray(value) ? { issuers: value } : (value as object);
        expect(() => load(part), `${file}:\n${text}`).not.toThrow();
      }
    expect(seen).toBeGreaterThan(5);
  });
});

const leastTarget = { protocol: 'postgres', address: '127.0.0.1:5432', database: 'shop', labels: {} };
const base = {
  listen: { api: '127.0.0.1:8443', postgres: '127.0.0.1:6432', http: '127.0.0.1:8444' },
  issuers: [
    { name: 'corp', issuer: 'https://id.example.com', audience: 'sallyport', principal: { kind: 'human' } },
  ], // biome-ignore format: short
};

function load(part: object): Config {
  return parseConfig(JSON.stringify({ ...base, ...part }), join(root, 'page.yaml'), protocols);
}

describe('the examples', () => {
  const config = () => loadConfig(join(root, 'examples/sallyport.yaml'), protocols);

  it('have a configuration that loads, and README shows exactly that one', () => {
    expect([...config().targets.keys()]).toEqual(['orders']);
    const shown = page('README.md').blocks.filter(({ language }) => language === 'yaml');
    expect(shown.map(({ text }) => text)).toEqual([read('examples/sallyport.yaml')]);
  });

  it('have policies that are valid, and whose cases hold', async () => {
    const { policies } = config();
    expect(await checkPolicies(policies)).toEqual([]);
    const results = await testPolicies(policies);
    expect(results.length).toBeGreaterThan(5);
    expect(results.filter(({ problem }) => problem !== undefined)).toEqual([]);
  });

  it('have a GitHub Actions job that fits the configuration', () => {
    const text = read('examples/github-actions.yml');
    const job = parseYaml(text) as { permissions: Record<string, string>; env: Record<string, string> };
    const { listen, targets, issuers, externalUrl, tickets } = config();
    expect(job.permissions).toMatchObject({ 'id-token': 'write', contents: 'read' });
    expect(externalUrl).toBe(`https://${job.env.GATEWAY}:${listen.api.port}`);
    expect(text).toContain(`https://$GATEWAY:${listen.api.port}/v1/tickets`);
    expect(text).toContain(`audience=${issuers.find(({ name }) => name === 'github')?.audience}"`);
    const asked = JSON.parse(/-d '([^']+)'/.exec(text)![1]!) as { targets: readonly string[]; ttlMs: number };
    expect(asked.targets.every((name) => targets.has(name))).toBe(true);
    expect(asked.ttlMs).toBeLessThanOrEqual(tickets.maxTtlMinutes * 60_000);
    expect(text).toContain(`port=${listen.protocols.get('postgres')?.port} dbname=${asked.targets[0]} `);
  });

  it('have a systemd unit that starts what there is', () => {
    const lines = commandLines(read('examples/sallyport.service').replaceAll(/^Exec\w+=/gm, ''));
    expect(lines.map((line) => wrongWith(program, line, true))).toEqual([undefined, undefined]);
  });
});
