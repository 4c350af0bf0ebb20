import { z } from 'zod';

/** Relative ones start at the configuration's folder. */
const path = z.string().min(1).max(4096).meta({ path: true });

/**
 * A target's `credential:`. Where its secret comes from (one of `env`, `file`, `command`, or none), the user it belongs to, and the files of a client certificate.
 * The secret itself is never written in the configuration.
 */
export const credentialSchema = z
  .strictObject({
    user: z.string().min(1).max(255).optional(),
    /** Name of an environment variable of the gateway. */
    env: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable')
      .optional(),
    /** Path of a file that holds the secret; one newline at its end is dropped. */
    file: path.optional(),
    /** Program and arguments; the secret is what it prints, without one newline at its end. No shell is involved. */
    command: z
      .array(z.string().max(4096))
      .min(1)
      .refine(([program]) => program !== '', 'must begin with a program')
      .optional(),
    /** How long `command` may take. */
    timeoutMs: z.number().int().min(100).max(60_000).default(10_000),
    /** PEM file with our client certificate, for targets that ask for one. */
    certificate: path.optional(),
    /** PEM file with its private key. */
    key: path.optional(),
  })
  .superRefine((credential, context) => {
    const complain = (message: string) => context.addIssue({ code: 'custom', message });
    const sources = [credential.env, credential.file, credential.command].filter((source) => source !== undefined);
    if (sources.length > 1) complain('give only one of env, file and command');
    if (sources.length === 0 && credential.certificate === undefined && credential.user === undefined) {
      complain('give one of env, file and command, or a user, or a certificate');
    }
    if ((credential.certificate === undefined) !== (credential.key === undefined))
      complain('certificate and key go together');
  });

export type Credential = z.infer<typeof credentialSchema>;
