import { z } from 'zod';
import { parseDuration } from '../../model/duration.ts';
import { credentialSchema } from '../../secrets/credential.ts';
import { type Address, parseAddress, staysHere } from './address.ts';

const text = z
  .string()
  .min(1)
  .max(4096)
  .refine((value) => !value.includes('\0'), 'cannot hold a zero byte');

const address = text.transform((value, context): Address => {
  const parsed = parseAddress(value);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: 'custom', message: 'expected host:port, [ipv6]:port or the path of a socket' });
  return z.NEVER;
});

const duration = text.transform((value, context): number => {
  const ms = parseDuration(value);
  if (ms !== undefined) return ms;
  context.addIssue({ code: 'custom', message: 'expected a duration such as 30s or 5m' });
  return z.NEVER;
});

export const tlsModes = ['verify-full', 'verify-ca', 'require', 'disable'] as const;
export type TlsMode = (typeof tlsModes)[number];

const file = text.meta({ path: true });

const tls = z
  .strictObject({
    mode: z
      .enum(tlsModes)
      .default('verify-full')
      .describe(
        "verify-full checks the certificate's chain and name, verify-ca its chain, require nothing: whoever answers is believed",
      ),
    ca: file.optional().describe('file with the certificates to trust; the usual public ones where absent'),
    serverName: text.optional().describe("the name that the certificate must bear, when it is not the address's"),
    certificate: file.optional().describe('file with a client certificate (PEM)'),
    key: file.optional().describe('file with its private key (PEM)'),
    direct: z
      .boolean()
      .default(false)
      .describe('start with TLS at once (PostgreSQL 17 and newer) instead of asking for it'),
  })
  .refine(
    (value) => (value.certificate === undefined) === (value.key === undefined),
    'certificate and key go together',
  );

/** `schema.table.column`, each as the catalog spells it; a part with a dot or capitals may stand in double quotes, doubled inside. */
export interface ColumnName {
  readonly schema: string;
  readonly table: string;
  readonly column: string;
}

/**
 * Reads `public.customers.ssn` or `public."Weird.Table".id`. Names are compared with the catalog as they are written here:
 * nothing is folded to lower case, quotes only keep dots together. Undefined when it is not three parts.
 */
export function parseColumnName(name: string): ColumnName | undefined {
  const part = '("(?:[^"]|"")+"|[^".]+)';
  const match = new RegExp(`^${part}\\.${part}\\.${part}$`, 'su').exec(name);
  if (match === null) return undefined;
  const [schema, table, column] = match
    .slice(1)
    .map((piece) => (piece.startsWith('"') ? piece.slice(1, -1).replaceAll('""', '"') : piece));
  return schema === undefined || table === undefined || column === undefined ? undefined : { schema, table, column };
}

const classification = z
  .string()
  .regex(/^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$/, 'expected a classification such as pii.email')
  .max(100);

const classify = z.record(
  text.refine(
    (name) => parseColumnName(name) !== undefined,
    'expected schema.table.column; put a name that holds a dot in double quotes',
  ),
  classification,
);

/** A target's section of the configuration, without the keys that every protocol has. */
export const postgresSettings = z
  .strictObject({
    address: address.describe('host:port, or the path of a Unix socket'),
    database: text.describe("the database's name there"),
    credential: credentialSchema.optional().describe('who the gateway is to the database'),
    tls: tls.prefault({}).describe('how the connection to the database is secured'),
    insecure: z
      .boolean()
      .default(false)
      .describe('allow tls.mode: disable over a network; everything, passwords too, can be read on the way'),
    classify: classify
      .default({})
      .describe('classified columns: schema.table.column, as the catalog spells it, and its classification'),
    detectors: z
      .boolean()
      .default(true)
      .describe('look for card numbers and the like in every text value, whatever its column'),
    masking: z
      .enum(['rewrite', 'plain'])
      .default('rewrite')
      .describe(
        'what becomes of statements that use hidden columns other than as plain output: rewritten so that they meet masks, and certified by the server; or refused',
      ),
    statementTimeout: duration.optional().describe('the server ends statements that run longer'),
    allowFunctions: z
      .array(text)
      .default([])
      .describe("functions of the database's own, schema.name, that statements near classified data may call"),
    maxConnections: z.int().min(1).max(10_000).default(100).describe('how many sessions may be open at once'),
  })
  .superRefine((value, context) => {
    if (value.tls.mode !== 'disable' || value.insecure || staysHere(value.address)) return;
    const message = 'TLS can be switched off only on this machine; set insecure: true to send everything in the clear';
    context.addIssue({ code: 'custom', path: ['tls', 'mode'], message });
  });

export type PostgresSettings = z.output<typeof postgresSettings>;
export type PostgresSettingsInput = z.input<typeof postgresSettings>;
