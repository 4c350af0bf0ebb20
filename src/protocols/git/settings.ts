import { z } from 'zod';
import { credentialSchema } from '../../secrets/credential.ts';
import { type GitAddress, parseGitAddress } from './address.ts';
import { inspectSettings } from './inspect/settings.ts';

const text = z
  .string()
  .min(1)
  .max(4096)
  .refine((value) => !value.includes('\0'), 'cannot hold a zero byte');
const file = text.meta({ path: true });

const address = text.transform((value, context): GitAddress => {
  const parsed = parseGitAddress(value);
  if (typeof parsed !== 'string') return parsed;
  context.addIssue({ code: 'custom', message: parsed });
  return z.NEVER;
});

const size = z
  .union([z.number(), z.string()], { error: 'expected a size such as 512MiB or 2GiB' })
  .transform((given, context) => {
    const match = /^(\d{1,15})(KiB|MiB|GiB)?$/.exec(String(given));
    if (match !== null) return Number(match[1]) * 1024 ** ['', 'KiB', 'MiB', 'GiB'].indexOf(match[2] ?? '');
    context.addIssue({ code: 'custom', message: 'expected a size such as 512MiB or 2GiB' });
    return z.NEVER;
  });

const githubApp = z.strictObject({
  app: text.describe("the App's client id or number"),
  installation: z
    .string()
    .regex(/^\d{1,20}$/, 'expected a number')
    .describe('the number of its installation'),
  api: z
    .url({ protocol: /^https?$/ })
    .default('https://api.github.com')
    .describe('where the tokens are made'),
});

/** A target's section of the configuration, without the keys that every protocol has. */
export const gitSettings = z
  .strictObject({
    address: address.describe('where the git server is: https://host[:port][/path]'),
    credential: credentialSchema
      .optional()
      .describe('who the gateway is to the server: a token or password, or the private key of a GitHub App'),
    authentication: z
      .enum(['basic', 'bearer', 'githubApp'])
      .default('basic')
      .describe(
        'how the credential is shown: as the password of Basic (of user x-access-token where credential names none), as a Bearer token, or exchanged for an installation token',
      ),
    githubApp: githubApp.optional().describe('whose installation tokens are used, where authentication is githubApp'),
    tls: z
      .strictObject({
        ca: file.optional().describe('file with the certificates to trust; the usual public ones where absent'),
        serverName: text.optional().describe("the name that the certificate must bear, when it is not the address's"),
      })
      .prefault({})
      .describe('how the connection to the server is secured'),
    http: z
      .enum(['1.1', '2', 'auto'])
      .default('auto')
      .describe('which HTTP is spoken; auto takes what the server offers'),
    internal: z.boolean().default(false).describe('the name of the server may lead to a private address'),
    insecure: z
      .boolean()
      .default(false)
      .describe('allow http:// over a network; everything, credentials too, can be read on the way'),
    caseSensitive: z
      .boolean()
      .default(false)
      .describe('repositories whose names differ in case are different ones; otherwise names are folded to lower case'),
    inspect: inspectSettings.prefault({}).describe('what is looked for in a push'),
    lfsStorage: z
      .array(
        text.regex(
          /^https:\/\/[a-z0-9.-]+(?::\d{1,5})?$/,
          'expected an origin such as https://objects.example, in lower case',
        ),
      )
      .max(100)
      .default([])
      .describe('where else the server may keep LFS objects: origins that its answers may point to'),
    maxPackBytes: size.default(2 * 1024 ** 3).describe('the largest pack that a push may bring'),
    maxRequestBytes: size.default(32 * 1024 ** 2).describe('the largest other request'),
    maxObjectBytes: size.default(5 * 1024 ** 3).describe('the largest LFS object'),
  })
  .superRefine((value, context) => {
    const complain = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if ((value.githubApp !== undefined) !== (value.authentication === 'githubApp')) {
      complain('githubApp', 'githubApp and authentication: githubApp go together');
    }
    if (value.authentication !== 'basic' && value.credential === undefined) {
      complain('authentication', 'needs a credential');
    }
    const here = /^(?:localhost|127\.\d+\.\d+\.\d+|::1)$/.test(value.address.host);
    if (value.address.scheme === 'http' && !value.insecure && !here) {
      complain(
        'address',
        'http:// is possible only on this machine; set insecure: true to send everything in the clear',
      );
    }
  });

export type GitSettings = z.output<typeof gitSettings>;
