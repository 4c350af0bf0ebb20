import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { type Document, LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { type Complaint, complaintsOf, lineOf, pathText, suggestion } from './config/complaint.ts';
import {
  configJsonSchema,
  jsonSchema,
  knownKeys,
  listenKeys,
  type ProtocolSchemas,
  resolvePaths,
  targetSchema,
} from './config/json-schema.ts';
import { type Address, frame, listenSchema, targetFrame, targetName } from './config/schema.ts';
import type { IssuerConfig, TicketsConfig } from './identity/config.ts';
import { ConfigError } from './model/errors.ts';
import type { Target } from './model/target.ts';
import type { SinkConfig } from './shipping/config.ts';

export { configJsonSchema, configKeys, type ProtocolSchemas, protocolSchemas } from './config/json-schema.ts';
export type { Address } from './config/schema.ts';

/** sallyport.yaml, checked and complete. Paths are absolute, durations in ms. */
export interface Config {
  readonly file: string;
  readonly listen: { readonly api: Address; readonly protocols: ReadonlyMap<string, Address> };
  readonly data: string;
  /** The audit log's name in its checkpoints. */
  readonly origin: string;
  /** Without a slash at its end. */
  readonly externalUrl: string;
  readonly tls: 'development' | { readonly certificate: string; readonly key: string };
  readonly issuers: readonly IssuerConfig[];
  readonly login?: {
    readonly issuer: string;
    readonly clientId: string;
    readonly scope: string;
    readonly resource?: string;
    readonly token: 'id_token' | 'access_token';
  };
  readonly tickets: TicketsConfig;
  readonly targets: ReadonlyMap<string, Target>;
  readonly policies: string;
  readonly approvals: { readonly ttlMs: number };
  readonly limits: {
    readonly loginMs: number;
    readonly sessionMs: number;
    readonly restMs: number;
    readonly commandBytes: number;
    readonly connections: number;
  };
  readonly plaintext: { readonly loopback: boolean };
  readonly shipping: readonly SinkConfig[];
}

/** Reads and checks a configuration. Throws ConfigError with every problem it has, one a line: `file:line: path: message`. */
export function loadConfig(file: string, protocols: ProtocolSchemas): Config {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError(
      `${file}:1: configuration: cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
  return parseConfig(text, file, protocols);
}

/** As loadConfig, from text; relative paths are relative to `file`'s folder. */
export function parseConfig(text: string, file: string, protocols: ProtocolSchemas): Config {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, stringKeys: true });
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) {
    const lines = broken.map(
      (error) => `${file}:${Math.max(1, counter.linePos(error.pos[0]).line)}: configuration: ${error.message.trim()}`,
    );
    throw new ConfigError(lines.join('\n'));
  }
  const raw = readValue(document, file);
  const base = dirname(resolve(file));
  const complaints: Complaint[] = [];
  const given = resolvePaths(configJsonSchema(protocols), raw, (path) => resolve(base, path));

  const parsed = frame.extend({ listen: listenSchema(listenKeys(protocols)) }).safeParse(given, { reportInput: true });
  const schema = configJsonSchema(protocols);
  if (!parsed.success) complaints.push(...complaintsOf(parsed.error.issues, (path) => knownKeys(schema, path)));
  const targets = readTargets(section(given, 'targets'), protocols, complaints);
  if (parsed.success) complaints.push(...contradictions(parsed.data, targets, protocols));

  if (complaints.length > 0 || !parsed.success) {
    const placed = complaints
      .map((complaint) => ({ complaint, line: lineOf(document, counter, complaint) }))
      .toSorted((a, b) => a.line - b.line);
    throw new ConfigError(
      placed
        .map(({ complaint, line }) => `${file}:${line}: ${pathText(complaint.path)}: ${complaint.message}`)
        .join('\n'),
    );
  }
  return toConfig(parsed.data, resolve(file), targets);
}

function readValue(document: Document, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 }) as unknown;
  } catch (error) {
    throw new ConfigError(`${file}:1: configuration: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

function section(value: unknown, key: string): Readonly<Record<string, unknown>> {
  const found = isRecord(value) ? value[key] : undefined;
  return isRecord(found) ? found : {};
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Each target's own keys go to the frame, the rest to its protocol. */
function readTargets(
  sections: Readonly<Record<string, unknown>>,
  protocols: ProtocolSchemas,
  complaints: Complaint[],
): Map<string, Target> {
  const targets = new Map<string, Target>();
  for (const [name, given] of Object.entries(sections)) {
    const path = ['targets', name];
    const named = targetName.safeParse(name);
    if (!named.success) complaints.push(...named.error.issues.map(({ message }) => ({ path, atKey: true, message })));
    if (!isRecord(given)) {
      complaints.push({ path, message: 'expected a map' });
      continue;
    }
    const own = targetFrame.safeParse(given, { reportInput: true });
    if (!own.success) complaints.push(...complaintsOf(own.error.issues, () => [], path));
    const protocol = typeof given.protocol === 'string' ? given.protocol : undefined;
    if (protocol === undefined) continue;
    const settings = protocols.get(protocol)?.settings;
    if (settings === undefined) {
      complaints.push({
        path: [...path, 'protocol'],
        message: `unknown protocol ${JSON.stringify(protocol)}${suggestion(protocol, [...protocols.keys()])}`,
      });
      continue;
    }
    const rest = Object.fromEntries(Object.entries(given).filter(([key]) => !Object.hasOwn(targetFrame.shape, key)));
    const theirs = settings.safeParse(rest, { reportInput: true });
    const keys = targetSchema(protocol, settings);
    if (!theirs.success)
      complaints.push(...complaintsOf(theirs.error.issues, (at) => knownKeys(keys, at.slice(2)), path));
    else complaints.push(...strangers(rest, settings, keys, path));
    if (own.success && theirs.success)
      targets.set(name, { name, protocol, labels: own.data.labels, holdMs: own.data.hold, settings: theirs.data });
  }
  return targets;
}

/** A protocol's schema that is not strict would drop a misspelt key without a word. */
function strangers(
  rest: Readonly<Record<string, unknown>>,
  settings: z.ZodType,
  keys: ReturnType<typeof jsonSchema>,
  path: readonly PropertyKey[],
): Complaint[] {
  const known = knownKeys(jsonSchema(settings), []);
  if (known.length === 0) return [];
  return Object.keys(rest)
    .filter((key) => !known.includes(key))
    .map((key) => ({
      path: [...path, key],
      atKey: true,
      message: `unknown key${suggestion(key, knownKeys(keys, []))}`,
    }));
}

type Frame = z.output<typeof frame> & {
  readonly listen: Readonly<Record<string, Address | undefined>> & { readonly api: Address };
};

/** What no single key can know. */
function contradictions(config: Frame, targets: ReadonlyMap<string, Target>, protocols: ProtocolSchemas): Complaint[] {
  const complaints: Complaint[] = [];
  const taken = new Map<string, string>();
  for (const [key, address] of Object.entries(config.listen)) {
    if (address === undefined) continue;
    const { host, port } = address;
    const other = taken.get(`${host}:${port}`);
    if (other !== undefined && port !== 0)
      complaints.push({ path: ['listen', key], message: `the same address as listen.${other}` });
    taken.set(`${host}:${port}`, key);
    if (config.tls === undefined && !isLoopbackHost(host)) {
      complaints.push({
        path: ['listen', key],
        message:
          'others can reach this address, so tls must say with which certificate (or tls: development, to try things out)',
      });
    }
  }
  for (const { name, protocol } of targets.values()) {
    const listens = protocols.get(protocol)?.listens ?? protocol;
    if (config.listen[listens] === undefined)
      complaints.push({
        path: ['targets', name, 'protocol'],
        message: `nobody could connect: listen.${listens} is missing`,
      });
    // Protocols that share a listener are told apart by the beginning of a path.
    const other = protocols.get(name);
    if (other !== undefined && other.listens === listens && other.listens !== name)
      complaints.push({
        path: ['targets', name],
        atKey: true,
        message: `the name stands for the protocol ${name} in paths`,
      });
  }
  const { login } = config;
  const issuer = config.issuers.find(({ name }) => name === login?.issuer);
  if (login !== undefined && issuer === undefined) {
    const names = config.issuers.map(({ name }) => name);
    complaints.push({
      path: ['login', 'issuer'],
      message: `there is no issuer named ${JSON.stringify(login.issuer)}${suggestion(login.issuer, names)}`,
    });
  } else if (login?.token === 'id_token' && ![issuer?.audience].flat().includes(login.clientId)) {
    complaints.push({
      path: ['login', 'clientId'],
      message: "nobody could log in: an ID token is for its client, and the issuer's audience does not name this one",
    });
  }
  return complaints;
}

function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

function toConfig(parsed: Frame, file: string, targets: ReadonlyMap<string, Target>): Config {
  const { api, ...rest } = parsed.listen;
  const host = api.host.includes(':') ? `[${api.host}]` : api.host;
  return {
    file,
    listen: {
      api,
      protocols: new Map(
        Object.entries(rest).flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const])),
      ),
    },
    data: resolve(dirname(file), parsed.data),
    origin: parsed.origin ?? hostname(),
    externalUrl: (parsed.externalUrl ?? `https://${host}:${api.port}`).replace(/\/+$/, ''),
    tls: parsed.tls ?? 'development',
    issuers: parsed.issuers,
    ...(parsed.login === undefined ? {} : { login: parsed.login }),
    tickets: { maxTtlMinutes: Math.floor(parsed.tickets.maxTtl / 60_000), maxLive: parsed.tickets.maxLive },
    targets,
    policies: resolve(dirname(file), parsed.policies),
    approvals: { ttlMs: parsed.approvals.ttl },
    limits: {
      loginMs: parsed.limits.login,
      sessionMs: parsed.limits.session,
      restMs: parsed.limits.rest,
      commandBytes: parsed.limits.commandBytes,
      connections: parsed.limits.connections,
    },
    plaintext: parsed.plaintext,
    shipping: parsed.shipping,
  };
}
