import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { createProtocols } from '../src/protocols/index.ts';

const src = resolve(dirname(fileURLToPath(import.meta.url)), '../src');

/**
 * Who may import whom. A room may always import itself and `model`. An entry names a room, or one file of it.
 * `main.ts` composes everything and `demo` starts everything; nobody imports those two but the command line.
 */
const allowed: Readonly<Record<string, readonly string[]>> = {
  model: [],
  wire: [],
  mask: [],
  sql: [],
  gateway: ['audit/permit.ts'],
  policy: ['gateway'],
  audit: ['gateway'],
  recording: ['gateway'],
  storage: [],
  approvals: ['gateway', 'storage/store.ts'],
  identity: ['gateway', 'storage/store.ts', 'config/complaint.ts'],
  secrets: ['gateway'],
  // The log's reader as types: what comes is events.
  shipping: ['gateway', 'audit/reader.ts', 'secrets/credential.ts'],
  // The log's formats and its verification, all offline; never the log itself.
  evidence: [
    'audit/lines.ts',
    'audit/note.ts',
    'audit/source.ts',
    'audit/tar.ts',
    'audit/tiles.ts',
    'audit/tree.ts',
    'audit/verify.ts',
  ],
  client: [],
  api: ['gateway', 'client', 'config.ts'],
  config: ['identity/config.ts', 'config.ts', 'shipping/config.ts'],
  'config.ts': ['config', 'identity/config.ts', 'shipping/config.ts'],
  // Offline commands verify and check without a gateway; the rest of the command line knows only the client.
  cli: [
    'client',
    'audit/verify.ts',
    'audit/source.ts',
    'evidence',
    'policy',
    'sql',
    'config.ts',
    'main.ts',
    'demo',
    'protocols/index.ts',
  ],
  // HTTP as every protocol of its family speaks it: connections, sessions per credential, bodies.
  web: ['gateway', 'wire', 'audit/permit.ts'],
  protocols: ['gateway', 'wire', 'web', 'sql', 'secrets/credential.ts', 'audit/permit.ts'],
};
const composers = new Set(['main.ts', 'demo', 'logger.ts']);

interface Import {
  readonly from: string;
  readonly to: string;
  readonly name: string;
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replaceAll('\\', '/'));
const product = files.filter(
  (file) => !/\.(test|contract|child|samples|fixture)\.ts$/.test(file) && !file.includes('/testdata/'),
);

const imports: readonly Import[] = product.flatMap((from) => {
  const text = readFileSync(join(src, from), 'utf8');
  return [...text.matchAll(/(?:from|import\()\s*'([^']+)'/g)].map(([, name]) => ({
    from,
    name: name!,
    to: name!.startsWith('.') ? relative(src, resolve(src, dirname(from), name!)).replaceAll('\\', '/') : name!,
  }));
});

function room(file: string): string {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : file;
}

describe('the rooms', () => {
  it('were all seen', () => {
    const seen = new Set(product.map(room));
    expect([...seen].filter((name) => !(name in allowed) && !composers.has(name))).toEqual([]);
    expect([...Object.keys(allowed)].filter((name) => !seen.has(name))).toEqual([]);
    expect(product.length).toBeGreaterThan(100);
    expect(imports.length).toBeGreaterThan(300);
  });

  it('import only what the table lets them', () => {
    const wrong = imports.filter(({ from, to, name }) => {
      const own = room(from);
      if (!name.startsWith('.') || composers.has(own)) return false;
      const theirs = room(to);
      if (theirs === own || theirs === 'model') return false;
      return !(allowed[own] ?? []).some((entry) => entry === theirs || entry === to);
    });
    expect(wrong.map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
  });

  it('keep protocols apart from each other', () => {
    const wrong = imports.filter(({ from, to }) => {
      if (!from.startsWith('protocols/') || !to.startsWith('protocols/') || from === 'protocols/index.ts') return false;
      return from.split('/')[1] !== to.split('/')[1];
    });
    expect(wrong).toEqual([]);
  });

  it('do no I/O where they are pure', () => {
    const pure = new Set(['model', 'mask', 'sql']);
    const wrong = imports.filter(
      ({ from, name }) =>
        pure.has(room(from)) && /^node:(fs|net|tls|http|https|dns|child_process|worker_threads|sqlite)/.test(name),
    );
    expect(wrong.map(({ from, name }) => `${from} imports ${name}`)).toEqual([]);
  });
});

describe('the permit', () => {
  it('is issued by the audit log alone', () => {
    const issuers = product.filter((file) => readFileSync(join(src, file), 'utf8').includes('Permit.issue('));
    expect(issuers.length).toBeGreaterThan(0);
    expect(issuers.filter((file) => room(file) !== 'audit')).toEqual([]);
  });
});

describe('the core', () => {
  it('knows no protocol by name', () => {
    const core = product.filter((file) =>
      ['gateway', 'approvals', 'audit', 'recording', 'identity', 'storage', 'api'].includes(room(file)),
    );
    expect(core.length).toBeGreaterThan(40);
    const names = createProtocols().map(({ name }) => name);
    expect(names).toContain('postgres');
    const literal = new RegExp(`['"\`](${names.join('|')})['"\`]`);
    const wrong = core.filter(
      // OpenAPI's word for a scheme of tokens is no protocol of ours.
      (file) =>
        !/fake|fixture/.test(file) &&
        literal.test(readFileSync(join(src, file), 'utf8').replace("type: 'http', scheme:", '')),
    );
    expect(wrong).toEqual([]);
  });
});
