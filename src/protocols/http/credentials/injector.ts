import { Refusal } from '../../../model/errors.ts';
import type { TargetCredential } from '../../../model/target.ts';
import type { CredentialKind } from '../settings.ts';
import { GoogleTokens, type TokenDeps } from './google.ts';
import type { AwsKey, Injection } from './injection.ts';

/** Makes a target's credential ready to be put into requests. Keeps what was exchanged for it until shortly before it expires. */
export interface Injector {
  /** A promise where it may have to be exchanged. Refusal UPSTREAM_UNAVAILABLE where it cannot be, or is not of its kind. */
  prepare(credential: TargetCredential): Injection | Promise<Injection>;
}

/** `kind` is the target's `credential.as`; undefined where it has no credential. */
export function createInjector(kind: CredentialKind | undefined, deps: TokenDeps): Injector {
  const google = typeof kind === 'object' && 'google' in kind ? new GoogleTokens(kind.google, deps) : undefined;
  return {
    prepare({ user, secret }) {
      if (kind === undefined) return { kind: 'none' };
      if (secret === undefined) throw unusable('is missing');
      if (google !== undefined)
        return google.token(secret).then((token) => header('authorization', `Bearer ${token}`, [token]));
      if (kind === 'bearer') return header('authorization', `Bearer ${secret}`, [secret]);
      if (kind === 'basic') {
        const pair = Buffer.from(`${user ?? ''}:${secret}`).toString('base64');
        return header('authorization', `Basic ${pair}`, [secret, pair]);
      }
      if ('header' in kind)
        return header(kind.header, kind.prefix === undefined ? secret : `${kind.prefix} ${secret}`, [secret]);
      if ('query' in kind) return { kind: 'query', name: kind.query, value: secret, secrets: [secret] };
      if ('aws' in kind) return aws(awsKey(user, secret, kind.aws));
      throw unusable('is of an unknown kind');
    },
  };
}

function header(name: string, value: string, secrets: readonly string[]): Injection {
  // What a field can hold (RFC 9110 §5.5); a line break in a secret would begin another field.
  if (!/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value))
    throw unusable('has characters that no header field can hold');
  return { kind: 'header', name, value, secrets };
}

function aws(key: AwsKey): Injection {
  return { kind: 'aws', key, secrets: key.sessionToken === undefined ? [key.secret] : [key.secret, key.sessionToken] };
}

/** An access key as user and secret, or as the JSON of AWS's process credentials, temporary ones too. */
function awsKey(
  user: string | undefined,
  secret: string,
  scope: { readonly region: string; readonly service: string },
): AwsKey {
  if (!secret.trimStart().startsWith('{')) {
    if (user === undefined) throw unusable('names no user, which is the access key id');
    return { id: user, secret, ...scope };
  }
  const given = parsed(secret);
  const { AccessKeyId: id, SecretAccessKey: key, SessionToken: sessionToken } = given;
  if (typeof id !== 'string' || typeof key !== 'string') throw unusable('has no AccessKeyId and SecretAccessKey');
  return { id, secret: key, ...scope, ...(typeof sessionToken === 'string' ? { sessionToken } : {}) };
}

function parsed(json: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>;
  } catch {
    // The parser's message quotes the secret.
  }
  throw unusable('is not the JSON that it should be');
}

function unusable(what: string): Refusal {
  return new Refusal('UPSTREAM_UNAVAILABLE', `the gateway's credential for the target ${what}`, {
    advice: 'whoever runs the gateway has to set it right',
  });
}
