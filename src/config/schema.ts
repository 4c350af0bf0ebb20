import { z } from 'zod';
import { issuersSchema } from '../identity/config.ts';
import { parseDuration } from '../model/duration.ts';
import { shippingSchema } from '../shipping/config.ts';

/**
 * sallyport.yaml, key by key. A string marked `path: true` is a file name relative to the configuration; a protocol's own
 * settings can use the same mark.
 */

const file = z.string().min(1, 'expected a path').meta({ path: true });

export const duration = z.string({ error: 'expected a duration such as 30s, 5m or 8h' }).transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  context.addIssue({
    code: 'custom',
    message: `expected a duration such as 30s, 5m or 8h, got ${JSON.stringify(text)}`,
  });
  return z.NEVER;
});

const bytes = z
  .union([z.number(), z.string()], { error: 'expected a size such as 65536, 64KiB or 1MiB' })
  .transform((given, context) => {
    const match = /^(\d{1,12})(KiB|MiB|GiB)?$/.exec(String(given));
    const size = Number(match?.[1] ?? 0) * 1024 ** ['', 'KiB', 'MiB', 'GiB'].indexOf(match?.[2] ?? '');
    if (size >= 1024 && size <= 1024 ** 3) return size;
    context.addIssue({ code: 'custom', message: `expected a size from 1KiB to 1GiB, got ${JSON.stringify(given)}` });
    return z.NEVER;
  });

export interface Address {
  readonly host: string;
  readonly port: number;
}

const address = z.string({ error: 'expected host:port' }).transform((text, context): Address => {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/@]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3] ?? Number.NaN);
  const host = match?.[1] ?? match?.[2];
  if (host !== undefined && port <= 65535) return { host, port };
  context.addIssue({
    code: 'custom',
    message: `expected host:port, such as 127.0.0.1:8443 or [::1]:8443, got ${JSON.stringify(text)}`,
  });
  return z.NEVER;
});

export const targetName = z
  .string()
  .regex(
    /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/,
    'expected a name of letters, digits, dots, dashes and underscores, at most 63 of them',
  );

const externalUrl = z.string().refine((text) => {
  const url = URL.parse(text);
  return (
    url !== null &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.username === '' &&
    url.search === '' &&
    url.hash === ''
  );
}, 'expected an http(s) URL without user, query and fragment');

/** What every target's section has; the rest belongs to its protocol. */
export const targetFrame = z.object({
  protocol: z.string({ error: 'required: the protocol that the target speaks' }).describe('one of the protocols'),
  labels: z
    .record(
      z.string().regex(/^[a-zA-Z][a-zA-Z0-9_]{0,62}$/, 'expected a label name of letters, digits and underscores'),
      z.string(),
      {
        error: 'required, because policies go by them: labels such as { env: prod }, or {} for none',
      },
    )
    .describe('facts about the target that policies go by'),
  hold: duration.default(25_000).describe('how long a held command waits before its caller is told to come back'),
});

/** Where the API and each protocol listen. */
export function listenSchema(protocols: readonly string[]) {
  const others = Object.fromEntries(
    protocols.map((protocol) => [protocol, address.optional().describe(`host:port of ${protocol}`)]),
  );
  return z
    .strictObject(
      { api: address.describe('host:port of the API'), ...others },
      {
        error: (issue) =>
          issue.code === 'invalid_type'
            ? 'required: addresses such as { api: 127.0.0.1:8443, postgres: 127.0.0.1:6432 }'
            : undefined,
      },
    )
    .describe('where the API and each protocol listen');
}

/** Everything but the protocols' parts. */
export const frame = z.strictObject({
  data: file.default('./data').describe('the folder for the audit log, recordings and the store'),
  origin: z
    .string()
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9._/-]{0,252}$/, 'expected a host name or a name like it')
    .optional()
    .describe('the name of the audit log in its checkpoints; the host name where absent'),
  externalUrl: externalUrl
    .optional()
    .describe('where people and agents reach the API; the address it listens on where absent'),
  tls: z
    .union([z.literal('development'), z.strictObject({ certificate: file, key: file })], {
      error: 'expected { certificate: …, key: … }, or development for a certificate of its own making',
    })
    .optional()
    .describe('the certificate of all listeners; development (made at first start) is the default on loopback only'),
  issuers: issuersSchema
    .min(1, 'at least one identity provider is needed: nobody could log in')
    .describe('the identity providers that are trusted'),
  login: z
    .strictObject({
      issuer: z.string().describe('the name of one of the issuers'),
      clientId: z
        .string()
        .min(1)
        .describe('the OAuth client of `sallyport login`: a public one that may use the device authorization flow'),
      scope: z.string().default('openid profile').describe('scopes to ask for'),
      resource: z
        .string()
        .min(1)
        .exactOptional()
        .describe('the resource to ask an access token for (RFC 8707), where the issuer needs one named'),
      token: z
        .enum(['id_token', 'access_token'])
        .default('id_token')
        .describe('which of the tokens it gets is for this gateway'),
    })
    .optional()
    .describe('how people log in; without it they bring their own token'),
  tickets: z
    .strictObject({
      maxTtl: duration
        .refine((ms) => ms >= 60_000 && ms <= 86_400_000, 'expected a duration from 1m to 24h')
        .default(3_600_000)
        .describe('the longest life of a ticket'),
      maxLive: z.number().int().min(1).max(10_000).default(100).describe('live tickets that one principal may have'),
    })
    .prefault({}),
  targets: z
    .record(z.string(), z.unknown(), { error: 'expected a map of targets by name' })
    .default({})
    .describe('what is behind the gateway, by name'),
  policies: file.default('./policies').describe('the folder of Cedar policies'),
  approvals: z
    .strictObject({
      ttl: duration.default(900_000).describe('how long a request can be answered, and its yes be used'),
    })
    .prefault({}),
  limits: z
    .strictObject({
      login: duration.default(10_000).describe('from accepting a connection to the end of its login'),
      session: duration.default(43_200_000).describe('the longest that a session may last'),
      rest: duration
        .default(60_000)
        .describe('how long a session of single requests (HTTP, git) outlives its last one'),
      commandBytes: bytes.default(256 * 1024).describe('the largest command'),
      connections: z.number().int().min(1).max(100_000).default(2000).describe('open connections per listener'),
    })
    .prefault({}),
  shipping: shippingSchema,
  plaintext: z
    .strictObject({
      loopback: z.boolean().default(false).describe('let clients on this very machine connect without TLS'),
    })
    .prefault({}),
});
