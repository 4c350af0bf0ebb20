import { z } from 'zod';
import { credentialSchema } from '../../secrets/credential.ts';

const text = z
  .string()
  .min(1)
  .max(4096)
  .refine((value) => !value.includes('\0'), 'cannot hold a zero byte');

const file = text.meta({ path: true });

/** Where a target is: an origin, and what stands before every path. */
export interface HttpAddress {
  readonly scheme: 'http' | 'https';
  /** Lower case; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** As `Host` names it: the port only where it is not the scheme's own. */
  readonly authority: string;
  /** `/v2`; empty for none. Never ends in a slash. */
  readonly basePath: string;
}

/** Reads `https://api.internal:8443/v2`. A message says what is wrong with it otherwise. */
export function parseHttpAddress(value: string): HttpAddress | string {
  const url = URL.parse(value);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    return 'expected a URL such as https://api.internal:8443 or https://api.internal/v2';
  if (url.username !== '' || url.password !== '') return 'cannot hold a user or password: use credential';
  if (/[?#]/.test(value)) return 'cannot have a query or a fragment';
  const scheme = url.protocol === 'https:' ? 'https' : 'http';
  const written = /^[a-z]+:\/\/[^/]*(.*)$/is.exec(value)?.[1] ?? '';
  const basePath = written.replace(/\/$/, '');
  if (!/^(?:\/[A-Za-z0-9._~!$&'()*+,=:@-]+)*$/.test(basePath) || /\/\.{1,2}(?=\/|$)/.test(basePath))
    return 'its path must be plain: segments of letters, digits and -._~ between single slashes';
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port === '' ? (scheme === 'https' ? 443 : 80) : Number(url.port);
  return { scheme, host, port, authority: url.host.toLowerCase(), basePath };
}

const address = text.transform((value, context): HttpAddress => {
  const parsed = parseHttpAddress(value);
  if (typeof parsed !== 'string') return parsed;
  context.addIssue({ code: 'custom', message: parsed });
  return z.NEVER;
});

const hostName = text
  .regex(
    /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i,
    'expected a host name without a port, such as shop-api.gateway.example',
  )
  .transform((name) => name.toLowerCase());

const bodyBytes = z.union([z.number(), z.string()]).transform((given, context): number => {
  const match = /^(\d{1,9})(KiB|MiB)?$/.exec(String(given));
  const size = Number(match?.[1] ?? Number.NaN) * 1024 ** ['', 'KiB', 'MiB'].indexOf(match?.[2] ?? '');
  if (size <= 1024 ** 2) return size;
  context.addIssue({ code: 'custom', message: 'expected a size up to 1MiB, such as 65536 or 64KiB' });
  return z.NEVER;
});

const tls = z
  .strictObject({
    ca: file.optional().describe('file with the certificates to trust; the usual public ones where absent'),
    serverName: hostName.optional().describe("the name that the certificate must bear, when it is not the address's"),
    certificate: file.optional().describe('file with a client certificate (PEM), for targets that ask for one'),
    key: file.optional().describe('file with its private key (PEM)'),
  })
  .refine(
    (value) => (value.certificate === undefined) === (value.key === undefined),
    'certificate and key go together',
  );

const headerName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9!#$%&'*+.^_`|~-]{0,99}$/, 'expected the name of a header field, such as X-Api-Key')
  .refine(
    (name) => !['host', 'cookie', 'connection', 'content-length', 'transfer-encoding'].includes(name.toLowerCase()),
    'this header field cannot carry a credential',
  )
  .transform((name) => name.toLowerCase());

const awsName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'expected a name such as eu-central-1');

const google = z
  .strictObject({
    scopes: z
      .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'expected a scope without blanks'))
      .min(1)
      .max(50)
      .optional()
      .describe('scopes of the access token that the service account asks for'),
    audience: text.optional().describe('asks for an ID token for this audience instead of an access token'),
  })
  .refine(
    (value) => (value.scopes === undefined) !== (value.audience === undefined),
    'give either scopes or an audience',
  );

const kind = z.union([
  z.literal('bearer'),
  z.literal('basic'),
  z.strictObject({
    header: headerName.describe('puts the secret, as it is, into the header field of this name'),
    prefix: z
      .string()
      .regex(/^[\x21-\x7e]{1,64}$/, 'expected one word')
      .optional()
      .describe('one word that stands before the secret in that field, such as Token'),
  }),
  z.strictObject({
    query: z
      .string()
      .regex(/^[A-Za-z0-9_.~-]{1,100}$/, 'expected the name of a query parameter, such as api_key')
      .describe('puts the secret into the query parameter of this name'),
  }),
  z.strictObject({
    aws: z
      .strictObject({
        region: awsName.describe('the region that signatures are for'),
        service: awsName.describe('the service that signatures are for, such as s3'),
      })
      .describe(
        'signs each request with AWS Signature Version 4; user is the access key id, or the secret is the JSON that aws configure export-credentials prints',
      ),
  }),
  z.strictObject({
    google: google.describe("exchanges a service account's key (the secret is its JSON file) for a token"),
  }),
]);

/** How a target's secret is put into requests. */
export type CredentialKind = z.output<typeof kind>;

const credential = credentialSchema
  .safeExtend({
    as: kind.describe(
      'how the secret is put into requests: bearer, basic, { header: X-Api-Key }, { query: api_key }, { aws: … } or { google: … }',
    ),
  })
  .superRefine((value, context) => {
    const complain = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
    if (value.certificate !== undefined || value.key !== undefined)
      complain('certificate', 'an HTTP target has its client certificate under tls');
    const secret = value.env !== undefined || value.file !== undefined || value.command !== undefined;
    if (!secret) complain('as', 'there is no secret to put into requests: give one of env, file and command');
    if (value.as === 'basic' && value.user === undefined) complain('user', 'required: basic has a user');
    if (value.user?.includes(':')) complain('user', 'cannot hold a colon');
  });

/**
 * Spellings of a path that servers read differently, and that a target's settings can let through nevertheless. Each way of reading
 * is then decided on, and two ways that lead to two routes are refused. What is dangerous is a server with a way of its own that is
 * not among those: let through only what the target's clients need.
 */
const relaxations = {
  'encoded-slash': 'a%2Fb: one segment to some servers, two to others',
  'encoded-backslash': 'a%5Cb: a slash to servers on Windows',
  'encoded-percent': 'a%2541: servers that decode twice see %41, and so a letter that no rule saw',
  'encoded-delimiter':
    'a%3Fb, a%23b, a%3Bb: a query, a fragment or parameters to servers that decode before they split',
  'encoded-unreserved': '%61dmin: admin to most servers, not to rules and caches that compare bytes',
  'empty-segment': 'a//b: a/b to servers that merge slashes, another name to object stores',
  parameters: 'a;v=1/b: a/b to Java servers, another segment to others',
} as const;
export type PathRelaxation = keyof typeof relaxations;
export const pathRelaxations = Object.keys(relaxations) as [PathRelaxation, ...PathRelaxation[]];

const paths = z.union([
  z.literal('strict').transform(() => ({ allow: [] as PathRelaxation[], ignoreCase: false })),
  z.strictObject({
    allow: z
      .array(z.enum(pathRelaxations))
      .default([])
      .describe(
        `path spellings that are let through although servers read them differently, each decided on in every reading: ${pathRelaxations.join(', ')}`,
      ),
    ignoreCase: z
      .boolean()
      .default(false)
      .describe('the server takes /Admin and /admin for the same: policy is asked about both'),
  }),
]);

const classification = z
  .string()
  .regex(/^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$/, 'expected a classification such as pii.email')
  .max(100);

/** Where in replies something classified stands. */
export interface ClassifiedField {
  /** Replies to these only; any where absent. */
  readonly method?: string;
  /** Route template or path; `*` stands for one segment, `**` at the end for any rest. */
  readonly route?: string;
  /** `$.customers[*].ssn`; a form's or table's field stands at `$.name`. */
  readonly path: string;
}

const jsonPath = String.raw`\$(?:\.\.?(?:\*|[\p{L}_][\p{L}\p{N}_-]*)|\.{0,2}\[(?:\*|\d{1,9}|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\])*`;
const fieldName = new RegExp(`^(?:(?:([A-Z]+)\\s+)?(/\\S*)\\s+)?(${jsonPath})$`, 'u');

/** Reads `$.customers[*].ssn`, `/v1/customers $.data[*].email` or `GET /v1/customers $.data[*].email`. */
export function parseClassifiedField(name: string): ClassifiedField | undefined {
  const match = fieldName.exec(name);
  if (match === null) return undefined;
  const [, method, route, path] = match;
  return {
    ...(method === undefined ? {} : { method }),
    ...(route === undefined ? {} : { route }),
    path: path as string,
  };
}

const classify = z.record(
  text.refine(
    (name) => parseClassifiedField(name) !== undefined,
    'expected a JSON path such as $.customers[*].ssn, with a route before it where it is for some replies only: GET /v1/customers $.data[*].email',
  ),
  classification,
);

const graphqlPath = text.regex(/^\/[A-Za-z0-9._~/-]*$/, 'expected a path such as /graphql');

/** A target's section of the configuration, without the keys that every protocol has. */
export const httpSettings = z
  .strictObject({
    address: address.describe('URL of the target; a path in it stands before every path that is asked for'),
    hosts: z
      .array(hostName)
      .max(100)
      .default([])
      .describe('host names by which callers reach the target, besides /<target>/…'),
    tls: tls.prefault({}).describe('how the connection to the target is secured'),
    insecure: z
      .boolean()
      .default(false)
      .describe('allow an http:// address; everything, the credential too, can be read on the way'),
    http: z
      .enum(['auto', '1.1', '2'])
      .default('auto')
      .describe('which HTTP the target is spoken to in; auto lets TLS settle it, and is 1.1 without TLS'),
    internal: z
      .boolean()
      .default(false)
      .describe('the address may lead to private and loopback addresses; otherwise such a connection is refused'),
    credential: credential
      .optional()
      .describe('who the gateway is to the target; nothing is put into requests where absent'),
    openapi: file
      .optional()
      .describe('OpenAPI 3.0 or 3.1 document (YAML or JSON) whose paths are the routes that policies name'),
    graphql: z
      .array(graphqlPath)
      .max(20)
      .default([])
      .describe('paths that take GraphQL: every root field of what would run is an object for policies'),
    classify: classify
      .default({})
      .describe('classified fields of replies: a JSON path, after a route where it is for that route only'),
    detectors: z.boolean().default(true).describe('look for card numbers and the like in every reply that holds text'),
    paths: paths.prefault('strict').describe('how strictly paths are read; strict is safe with any server'),
    messages: z
      .enum(['recorded', 'commands'])
      .default('recorded')
      .describe(
        'what WebSocket messages are: recorded along with their connection, or commands that policy decides on one by one',
      ),
    cookies: z
      .enum(['drop', 'pass'])
      .default('drop')
      .describe(
        "drop: callers' cookies do not reach the target and its Set-Cookie does not reach callers, since cookies are credentials; pass lets both through",
      ),
    inspectBytes: bodyBytes
      .default(64 * 1024)
      .describe('how much of a request body is held to look inside, at most 1MiB; a larger one counts as unseen'),
  })
  .superRefine((value, context) => {
    const complain = (path: PropertyKey[], message: string) => context.addIssue({ code: 'custom', path, message });
    const { scheme, host } = value.address;
    const here = host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
    if (scheme === 'http') {
      if (!here && !value.insecure)
        complain(['address'], 'http:// is for this machine only; set insecure: true to send everything in the clear');
      for (const key of Object.keys(value.tls)) complain(['tls', key], 'there is no TLS on an http:// address');
    }
    if (here && !value.internal) complain(['internal'], 'the address is on this machine: set internal: true');
    if (new Set(value.hosts).size < value.hosts.length) complain(['hosts'], 'names a host twice');
  });

export type HttpSettings = z.output<typeof httpSettings>;
export type HttpSettingsInput = z.input<typeof httpSettings>;
