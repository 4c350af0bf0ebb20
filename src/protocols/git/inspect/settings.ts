import { z } from 'zod';
import { parseDuration } from '../../../model/duration.ts';
import { defaultPushedObjects } from '../quarantine/quarantine.ts';
import { findingNames } from './findings.ts';

const glob = z.string().min(1).max(500);

const size = z
  .union([z.number(), z.string()], { error: 'expected a size such as 512KiB or 10MiB' })
  .transform((given, context) => {
    const match = /^(\d{1,12})(KiB|MiB|GiB)?$/.exec(String(given));
    if (match !== null) return Number(match[1]) * 1024 ** ['', 'KiB', 'MiB', 'GiB'].indexOf(match[2] ?? '');
    context.addIssue({ code: 'custom', message: 'expected a size such as 512KiB or 10MiB' });
    return z.NEVER;
  });

const duration = z.string().transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= 1000) return ms;
  context.addIssue({ code: 'custom', message: 'expected a duration of at least 1s, such as 30s or 5m' });
  return z.NEVER;
});

/** Paths that most repositories want a second look at. A setting of the same name replaces the list. */
export const defaultPaths: Readonly<Record<string, readonly string[]>> = {
  ci: [
    '.github/workflows/**',
    '.github/actions/**',
    '.gitlab-ci.yml',
    '.gitlab/ci/**',
    '**/.gitlab-ci.yml',
    '.gitea/workflows/**',
    '.forgejo/workflows/**',
    '.circleci/**',
    '.buildkite/**',
    '.drone.yml',
    '.woodpecker.yml',
    '.woodpecker/**',
    '.travis.yml',
    'azure-pipelines*.yml',
    '.azure-pipelines/**',
    'bitbucket-pipelines.yml',
    'appveyor.yml',
    'cloudbuild.yaml',
    '**/Jenkinsfile',
    '**/action.yml',
    '**/action.yaml',
  ],
  owners: ['**/CODEOWNERS', '**/OWNERS', '**/MAINTAINERS'],
  lock: [
    '**/package-lock.json',
    '**/npm-shrinkwrap.json',
    '**/yarn.lock',
    '**/pnpm-lock.yaml',
    '**/bun.lock',
    '**/bun.lockb',
    '**/deno.lock',
    '**/Cargo.lock',
    '**/go.sum',
    '**/poetry.lock',
    '**/uv.lock',
    '**/pdm.lock',
    '**/Pipfile.lock',
    '**/Gemfile.lock',
    '**/composer.lock',
    '**/mix.lock',
    '**/gradle.lockfile',
    '**/packages.lock.json',
    '**/Package.resolved',
    '**/Podfile.lock',
    '**/pubspec.lock',
    '**/flake.lock',
    '**/.terraform.lock.hcl',
  ],
};

const refusable = z.enum(Object.keys(findingNames) as [keyof typeof findingNames, ...(keyof typeof findingNames)[]]);

/** The `inspect:` section of a git target: what is looked for in a push. */
export const inspectSettings = z.strictObject({
  paths: z
    .record(z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, 'expected a short name such as ci'), z.array(glob).max(1000))
    .default({})
    .transform((given) => ({ ...defaultPaths, ...given }))
    .describe('path patterns by name; a change of a path that matches gives the finding path.NAME'),
  secrets: z
    .strictObject({
      ignore: z
        .array(z.string().regex(/^[0-9a-f]{64}$/, 'expected a fingerprint of 64 hex digits'))
        .default([])
        .describe('fingerprints of findings that are no secrets'),
      entropy: z
        .boolean()
        .default(true)
        .describe('look for random values behind names such as password and token, too'),
    })
    .prefault({}),
  authors: z
    .strictObject({
      claim: z.string().min(1).default('email').describe("the claim that holds the caller's e-mail address"),
      allow: z.array(glob).default([]).describe('further addresses, with * for any characters'),
    })
    .prefault({})
    .describe('whose commits a caller may bring'),
  signatures: z
    .strictObject({
      allowedSigners: z
        .string()
        .min(1)
        .meta({ path: true })
        .optional()
        .describe(
          "file of SSH keys whose signatures count (ssh-keygen's allowed_signers); without it a signature only has to be there",
        ),
    })
    .prefault({}),
  largeFile: size.default(10 * 1024 ** 2).describe('files from this size on give the finding file.large'),
  refuse: z
    .array(refusable)
    .default(['hidden', 'too-large-to-inspect', 'ref.invalid', 'ref.symref', 'ref.type'])
    .describe('findings that refuse a push without asking policy'),
  limits: z
    .strictObject({
      updates: z.int().min(1).max(10_000).default(1000),
      objects: z.int().min(1).max(2_000_000).default(defaultPushedObjects),
      commits: z.int().min(1).max(200_000).default(20_000),
      changes: z.int().min(1).max(1_000_000).default(200_000).describe('changed files, summed over all commits'),
      content: size.default(512 * 1024 ** 2).describe('bytes of file content that are searched'),
      diff: size.default(256 * 1024).describe('bytes of diff that an approver is shown'),
      time: duration.default(120_000),
    })
    .prefault({})
    .describe('bounds of an inspection; beyond one, the finding is too-large-to-inspect'),
});

export type InspectSettings = z.output<typeof inspectSettings>;
export type InspectSettingsInput = z.input<typeof inspectSettings>;
