import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import type { JWKS } from 'oidc-provider';
import { z } from 'zod';

const schema = z.strictObject({
  jwks: z.strictObject({ keys: z.array(z.looseObject({ kty: z.string(), alg: z.string(), kid: z.string() })).min(1) }),
  cookieKeys: z.array(z.string().min(32)).min(1),
  clientSecrets: z.record(z.string(), z.string().min(32)),
});

export interface IdpSecrets {
  readonly jwks: JWKS;
  readonly cookieKeys: readonly string[];
  readonly clientSecrets: Readonly<Record<string, string>>;
}

/** What the development provider must remember: `dataDir`/idp.json, made when it is missing, completed when an agent is new. Owner-readable only. Throws when the file is not ours. */
export async function idpSecrets(dataDir: string, agents: readonly string[]): Promise<IdpSecrets> {
  mkdirSync(dataDir, { recursive: true });
  const file = join(dataDir, 'idp.json');
  const before = existsSync(file) ? schema.parse(JSON.parse(readFileSync(file, 'utf8'))) : undefined;
  const kept = before ?? {
    jwks: { keys: await Promise.all([signingKey('ES256'), signingKey('RS256')]) },
    cookieKeys: [randomText()],
    clientSecrets: {},
  };
  const missing = agents.filter((agent) => !Object.hasOwn(kept.clientSecrets, agent));
  const clientSecrets = { ...kept.clientSecrets, ...Object.fromEntries(missing.map((agent) => [agent, randomText()])) };
  const all = { ...kept, clientSecrets };
  if (before === undefined || missing.length > 0) {
    writeFileSync(`${file}.new`, JSON.stringify(all, null, 2), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
  return all as IdpSecrets;
}

function randomText(): string {
  return randomBytes(32).toString('hex');
}

async function signingKey(alg: 'ES256' | 'RS256'): Promise<JWK & { kty: string; alg: string; kid: string }> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, kty: jwk.kty!, alg, use: 'sig', kid: `${alg.toLowerCase()}-${randomBytes(6).toString('hex')}` };
}
