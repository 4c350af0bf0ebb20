import { z } from 'zod';
import { parseDuration } from '../model/duration.ts';
import { credentialSchema } from '../secrets/credential.ts';
import { recordFormats } from './formats/place.ts';

/** `shipping:` in sallyport.yaml: where the audit log is sent. Strings marked `path: true` are relative to the configuration. */

const file = z.string().min(1, 'expected a path').meta({ path: true });

const duration = (least: number, most: number) =>
  z.string({ error: 'expected a duration such as 30s or 5m' }).transform((text, context) => {
    const ms = parseDuration(text);
    if (ms !== undefined && ms >= least && ms <= most) return ms;
    context.addIssue({
      code: 'custom',
      message: `expected a duration from ${least / 1000}s to ${most / 1000}s, got ${JSON.stringify(text)}`,
    });
    return z.NEVER;
  });

const size = (least: number, most: number) =>
  z.union([z.number(), z.string()], { error: 'expected a size such as 8192 or 64MiB' }).transform((given, context) => {
    const match = /^(\d{1,12})(KiB|MiB|GiB)?$/.exec(String(given));
    const bytes = Number(match?.[1] ?? 0) * 1024 ** ['', 'KiB', 'MiB', 'GiB'].indexOf(match?.[2] ?? '');
    if (bytes >= least && bytes <= most) return bytes;
    context.addIssue({
      code: 'custom',
      message: `expected a size from ${least} to ${most} bytes, got ${JSON.stringify(given)}`,
    });
    return z.NEVER;
  });

const loopback = new Set(['localhost', '127.0.0.1', '[::1]', '::1']);

const url = z.string({ error: 'expected an https URL' }).refine((text) => {
  const parsed = URL.parse(text);
  if (parsed === null || parsed.username !== '' || parsed.password !== '' || parsed.hash !== '') return false;
  return parsed.protocol === 'https:' || (parsed.protocol === 'http:' && loopback.has(parsed.hostname));
}, 'expected an https URL without user and fragment (http on loopback only)');

const hostPort = z.string({ error: 'expected host:port' }).transform((text, context) => {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/@]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3] ?? 0);
  const host = match?.[1] ?? match?.[2];
  if (host !== undefined && port >= 1 && port <= 65_535) return { host, port };
  context.addIssue({ code: 'custom', message: `expected host:port, got ${JSON.stringify(text)}` });
  return z.NEVER;
});

const headerName = z.string().regex(/^[a-z][a-z0-9-]{0,63}$/, 'expected the name of a header field, in lower case');
const word = z.string().regex(/^[\x21-\x7e]{1,255}$/, 'expected 1–255 printable characters without spaces');

const tls = z
  .strictObject({
    ca: file.optional().describe('PEM: authorities to trust, in place of the public ones'),
    serverName: z
      .string()
      .min(1)
      .max(253)
      .optional()
      .describe("the name that the certificate must bear; the address's where absent"),
  })
  .prefault({})
  .describe('how the receiver is verified');

/** What every sink has. */
const every = {
  name: z
    .string({ error: 'required: a name of its own' })
    .regex(
      /^[a-z0-9][a-z0-9_-]{0,39}$/,
      'expected a name of lower-case letters, digits, dashes and underscores, at most 40',
    )
    .describe('the sink’s name; its cursor goes by it'),
  format: z.enum(recordFormats).default('native').describe('how records look'),
  from: z.enum(['beginning', 'now']).default('beginning').describe('where a new sink begins in the log'),
  timeout: duration(100, 600_000).default(30_000).describe('for one try'),
};
const credential = credentialSchema.describe('who we are to the receiver');
const withSecret = credentialSchema.refine(({ env, file, command }) => (env ?? file ?? command) !== undefined, {
  message: 'the receiver wants a secret: give one of env, file and command',
});
const secretCredential = withSecret.describe('the secret that the receiver knows us by');
const secret = { url: url.describe('where the receiver is'), tls };

export const sinkSchema = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({
      ...every,
      kind: z.literal('file'),
      path: file.describe('the file of JSON lines'),
      rotate: size(64 * 1024, 4 * 1024 ** 3)
        .default(128 * 1024 ** 2)
        .describe('the size from which on it is renamed'),
      keep: z.number().int().min(0).max(100_000).default(0).describe('how many renamed files are kept; 0 for all'),
    }),
    z.strictObject({ ...every, kind: z.literal('stdout') }),
    z
      .strictObject({
        ...every,
        kind: z.literal('syslog'),
        address: hostPort.describe('host:port of the receiver'),
        transport: z.enum(['tls', 'tcp', 'udp']).default('tls').describe('tcp and udp on loopback only'),
        tls,
        credential: credential.optional(),
        facility: z.number().int().min(0).max(23).default(13).describe('13 is log audit'),
        structuredData: z
          .string()
          .regex(/^[a-zA-Z][a-zA-Z0-9_-]{0,20}@\d{1,10}(\.\d{1,10})*$/, 'expected name@enterprise-number')
          .default('sallyport@32473')
          .describe('the name of our structured data; 32473 stands for an example (RFC 5612)'),
        messageBytes: size(2048, 1024 ** 2)
          .default(8192)
          .describe('the largest message'),
      })
      .refine(({ transport, address }) => transport === 'tls' || isLoopback(address.host), {
        path: ['transport'],
        message: 'everything could be read and changed on the way: tcp and udp are for receivers on this machine only',
      }),
    z.strictObject({
      ...every,
      ...secret,
      kind: z.literal('otlp'),
      credential: credential.optional(),
      header: headerName.optional().describe('the header field for the secret'),
    }),
    z.strictObject({
      ...every,
      ...secret,
      kind: z.literal('splunk'),
      credential: secretCredential,
      index: word.optional().describe('the index'),
      sourcetype: word.default('sallyport:audit').describe('the source type'),
      acknowledgement: z.boolean().default(false).describe('wait until a batch is indexed'),
    }),
    z.strictObject({
      ...every,
      ...secret,
      kind: z.literal('elastic'),
      credential: credential.optional(),
      index: word.default('sallyport-audit').describe('the index or data stream'),
    }),
    z.strictObject({
      ...every,
      ...secret,
      kind: z.literal('webhook'),
      credential: secretCredential,
      previous: withSecret.optional().describe('a second secret to sign with, while they are being replaced'),
    }),
    z.strictObject({
      ...every,
      ...secret,
      kind: z.literal('s3'),
      credential: withSecret
        .refine(({ user }) => user !== undefined, { path: ['user'], message: 'required: the access key id' })
        .describe('the access key'),
      region: word.default('us-east-1').describe('the region that signatures are for'),
      prefix: z.string().max(512).default('').describe('what the names of objects begin with'),
      objectBytes: size(64 * 1024, 64 * 1024 ** 2)
        .default(4 * 1024 ** 2)
        .describe('the size at which an object is put'),
      gather: duration(1000, 3_600_000).default(60_000).describe('the time after which it is put anyway'),
    }),
  ],
  {
    error: (issue) =>
      issue.code === 'invalid_union'
        ? `expected one of the kinds file, stdout, syslog, otlp, splunk, elastic, webhook, s3`
        : undefined,
  },
);

export type SinkConfig = z.output<typeof sinkSchema>;

export const shippingSchema = z
  .array(sinkSchema)
  .max(32)
  .default([])
  .superRefine((sinks, context) => {
    const names = new Set<string>();
    sinks.forEach(({ name }, i) => {
      if (names.has(name))
        context.addIssue({ code: 'custom', path: [i, 'name'], message: 'another sink has this name' });
      names.add(name);
    });
  })
  .describe('where the audit log is sent');

function isLoopback(host: string): boolean {
  return loopback.has(host) || /^127(\.\d{1,3}){3}$/.test(host);
}
