import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { z } from 'zod';
import { type Config, configJsonSchema, configKeys, loadConfig, parseConfig, protocolSchemas } from '../config.ts';
import { ConfigError } from '../model/errors.ts';

const postgres = z.strictObject({
  address: z.string(),
  ca: z.string().meta({ path: true }).optional(),
  credential: z
    .union([z.strictObject({ env: z.string() }), z.strictObject({ file: z.string().meta({ path: true }) })])
    .optional(),
});
const protocols = protocolSchemas([
  { name: 'postgres', settings: postgres },
  { name: 'other', settings: z.object({ loose: z.string().optional() }) },
]);

const testdata = join(import.meta.dirname, 'testdata');
const folder = mkdtempSync(join(tmpdir(), 'sallyport-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Every message of a configuration that must not load. */
function complaints(text: string, file = 'sallyport.yaml'): readonly string[] {
  try {
    parseConfig(text, file, protocols);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

describe('a configuration with mistakes', () => {
  const cases = readdirSync(testdata).filter((file) => file.endsWith('.yaml'));

  it.each(cases)('%s is refused with every complaint at its line', async (file) => {
    const found = complaints(readFileSync(join(testdata, file), 'utf8'), file);
    expect(found).not.toEqual([]);
    for (const line of found) expect(line).toMatch(/^[\w-]+\.yaml:\d+: [^:]+(\[\d+\])?[^:]*: \S/);
    await expect(`${found.join('\n')}\n`).toMatchFileSnapshot(join(testdata, file.replace('.yaml', '.txt')));
  });

  it('says which file cannot be read', () => {
    expect(() => loadConfig(join(folder, 'absent.yaml'), protocols)).toThrow(ConfigError);
    expect(() => loadConfig(join(folder, 'absent.yaml'), protocols)).toThrow(
      /absent\.yaml:1: configuration: cannot be read/,
    );
  });

  it('never fails with anything but complaints, whatever is in the file', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ maxLength: 200 }),
          fc.object({ maxDepth: 4 }).map((value) => stringify(value)),
        ),
        (text) => {
          expect(complaints(text).length).toBeGreaterThan(0);
        },
      ),
      { numRuns: 150 },
    );
  });
});

const full = {
  listen: { api: '127.0.0.1:8443', postgres: '127.0.0.1:6432' },
  data: './data',
  origin: 'gateway.example/audit',
  externalUrl: 'https://gateway.example/',
  tls: { certificate: './tls/cert.pem', key: './tls/key.pem' },
  issuers: [
    {
      name: 'corp',
      issuer: 'https://id.example',
      audience: 'sallyport',
      algorithms: ['ES256'],
      type: 'at+jwt',
      maxTokenAgeSeconds: 600,
      require: { tenant: 'ours' },
      principal: { subject: 'sub', kind: 'human' },
      groups: { claims: 'groups', prefix: 'corp-', only: ['dba'] },
    },
  ],
  login: { issuer: 'corp', clientId: 'sallyport' },
  tickets: { maxTtl: '5m', maxLive: 3 },
  targets: {
    orders: {
      protocol: 'postgres',
      labels: { env: 'prod' },
      hold: '8s',
      address: 'db:5432',
      ca: './ca.pem',
      credential: { file: './password' },
    },
  },
  policies: './policies',
  approvals: { ttl: '10m' },
  limits: { login: '5s', commandBytes: '64KiB', connections: 10 },
  plaintext: { loopback: false },
};
full.login.clientId = 'sallyport';

describe('a configuration', () => {
  it('comes with absolute paths, ms and bytes', () => {
    const file = join(folder, 'sallyport.yaml');
    writeFileSync(file, stringify(full));
    const config = loadConfig(file, protocols);
    expect(config).toMatchObject({
      file,
      listen: { api: { host: '127.0.0.1', port: 8443 } },
      data: join(folder, 'data'),
      policies: join(folder, 'policies'),
      tls: { certificate: join(folder, 'tls/cert.pem'), key: join(folder, 'tls/key.pem') },
      externalUrl: 'https://gateway.example',
      tickets: { maxTtlMinutes: 5, maxLive: 3 },
      approvals: { ttlMs: 600_000 },
      limits: { loginMs: 5000, sessionMs: 43_200_000, restMs: 60_000, commandBytes: 65_536, connections: 10 },
    });
    expect(config.targets.get('orders')).toEqual({
      name: 'orders',
      protocol: 'postgres',
      labels: { env: 'prod' },
      holdMs: 8000,
      settings: { address: 'db:5432', ca: join(folder, 'ca.pem'), credential: { file: join(folder, 'password') } },
    });
    expect(config.listen.protocols.get('postgres')).toEqual({ host: '127.0.0.1', port: 6432 });
  });

  it('has careful defaults', () => {
    const { listen, issuers } = full;
    const config = parseConfig(stringify({ listen, issuers }), join(folder, 'sallyport.yaml'), protocols);
    expect(config).toMatchObject({
      data: join(folder, 'data'),
      policies: join(folder, 'policies'),
      origin: hostname(),
      externalUrl: 'https://127.0.0.1:8443',
      tls: 'development',
      tickets: { maxTtlMinutes: 60, maxLive: 100 },
      plaintext: { loopback: false },
    });
    expect(config.login).toBeUndefined();
    expect(config.targets.size).toBe(0);
  });

  it('takes IPv6 addresses, and lets others reach it only with a certificate named', () => {
    const { issuers } = full;
    const api = (address: string, more = {}) => complaints(stringify({ listen: { api: address }, issuers, ...more }));
    expect(api('[::1]:8443')).toEqual([]);
    for (const address of [
      '0.0.0.0:8443',
      '[::]:8443',
      'gateway.example:8443',
      '10.0.0.1:8443',
      '127.0.0.1.evil.example:8443',
    ]) {
      expect(api(address)).toEqual([expect.stringContaining('listen.api: others can reach this address')]);
      expect(api(address, { tls: full.tls })).toEqual([]);
    }
  });
});

type Path = readonly (string | number)[];

/** Every key of a configuration, deepest last. */
function pathsOf(value: unknown, at: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, child]) => {
    const path = [...at, Array.isArray(value) ? Number(key) : key];
    return [path, ...pathsOf(child, path)];
  });
}

function without(value: unknown, path: Path): unknown {
  const [key, ...rest] = path;
  const copy: unknown = structuredClone(value);
  const inner = copy as Record<string | number, unknown>;
  if (key === undefined || inner[key] === undefined) return copy;
  if (rest.length > 0) inner[key] = without(inner[key], rest);
  else if (Array.isArray(copy)) copy.splice(Number(key), 1);
  else delete inner[key];
  return copy;
}

function emptied(value: unknown, path: Path): unknown {
  const copy = structuredClone(value) as Record<string | number, unknown>;
  let at = copy;
  for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, unknown>;
  at[path.at(-1) ?? ''] = null;
  return copy;
}

/** What the configuration lets happen, so that "no wider" can be asked of it. */
function assertNoWider(config: Config, before: Config): void {
  expect(config.plaintext.loopback && !before.plaintext.loopback).toBe(false);
  for (const issuer of config.issuers) {
    const same = before.issuers.find(({ name }) => name === issuer.name);
    expect(same).toBeDefined();
    expect(issuer.issuer).toBe(same?.issuer);
    expect(issuer.audience).toEqual(same?.audience);
    expect(issuer.algorithms).not.toContain('none');
    for (const algorithm of issuer.algorithms) expect(algorithm).not.toMatch(/^HS/);
    expect(issuer.principal.kind).toEqual(same?.principal.kind);
    expect(issuer.otherAudiences).toEqual(same?.otherAudiences);
  }
  // Where a bound is not written, the documented one holds: there is always one.
  expect(config.tickets.maxTtlMinutes).toBeLessThanOrEqual(Math.max(before.tickets.maxTtlMinutes, 60));
  expect(config.tickets.maxLive).toBeLessThanOrEqual(Math.max(before.tickets.maxLive, 100));
  expect(config.approvals.ttlMs).toBeLessThanOrEqual(Math.max(before.approvals.ttlMs, 900_000));
  expect(config.limits.commandBytes).toBeLessThanOrEqual(Math.max(before.limits.commandBytes, 256 * 1024));
  expect(config.limits.loginMs).toBeLessThanOrEqual(Math.max(before.limits.loginMs, 10_000));
  // A key that policies go by cannot vanish with the section it is in.
  for (const target of config.targets.values()) expect(target.labels).toBeTypeOf('object');
  const outside = [config.listen.api, ...config.listen.protocols.values()].some(({ host }) => !host.startsWith('127.'));
  expect(outside && config.tls === 'development').toBe(false);
}

describe('a key that is missing or empty', () => {
  const before = parseConfig(stringify(full), 'sallyport.yaml', protocols);
  const paths = pathsOf(full);

  it('never widens access: the configuration is refused, or grants no more', () => {
    for (const path of paths) {
      for (const changed of [without(full, path), emptied(full, path)]) {
        let config: Config;
        try {
          config = parseConfig(stringify(changed), 'sallyport.yaml', protocols);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          continue;
        }
        assertNoWider(config, before);
      }
    }
  });

  it('never widens access together with others', () => {
    fc.assert(
      fc.property(fc.subarray(paths, { minLength: 1, maxLength: 12 }), (dropped) => {
        const changed = dropped.toSorted((a, b) => b.length - a.length).reduce<unknown>(without, full);
        let config: Config;
        try {
          config = parseConfig(stringify(changed), 'sallyport.yaml', protocols);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          return;
        }
        assertNoWider(config, before);
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    ['issuers'],
    ['issuers', 0, 'audience'],
    ['issuers', 0, 'issuer'],
    ['issuers', 0, 'principal'],
    ['targets', 'orders', 'labels'],
    ['targets', 'orders', 'protocol'],
    ['tls', 'key'],
    ['listen'],
  ] as Path[])('is refused where there is no safe default: %s', (...path) => {
    const found = complaints(
      stringify(
        without(
          full,
          path.filter((part) => part !== undefined),
        ),
      ),
    );
    expect(found.length).toBeGreaterThan(0);
  });
});

describe('the reference', () => {
  it('lists every key, the protocols’ own included', () => {
    const keys = configKeys(protocols);
    for (const key of [
      'listen.api',
      'listen.postgres',
      'issuers[].audience',
      'targets.*.labels',
      'targets.*.credential.file',
      'limits.commandBytes',
      'limits.session',
      'plaintext.loopback',
      'login.clientId',
    ]) {
      expect(keys).toContain(key);
    }
    expect(keys).toEqual(keys.toSorted());
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('comes as JSON Schema that knows each protocol’s settings', () => {
    const schema = configJsonSchema(protocols) as {
      properties: Record<string, { additionalProperties?: { oneOf: { properties: Record<string, unknown> }[] } }>;
    };
    const targets = schema.properties.targets?.additionalProperties?.oneOf ?? [];
    expect(targets.map((target) => target.properties.protocol)).toEqual([
      expect.objectContaining({ const: 'postgres' }),
      expect.objectContaining({ const: 'other' }),
    ]);
    expect(Object.keys(targets[0]?.properties ?? {})).toContain('address');
    expect(JSON.parse(JSON.stringify(schema))).toEqual(schema);
  });
});
