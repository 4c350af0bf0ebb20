import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { JSONWebKeySet } from 'jose';
import { ConfigError } from '../model/errors.ts';
import type { Conditions } from './claims.ts';
import type { IssuerConfig } from './config.ts';
import { type FetchLimits, fetchJson } from './fetchJson.ts';
import { IssuerKeys } from './issuerKeys.ts';
import { requirements } from './sharedIssuers.ts';

/** An issuer that is trusted, with its keys. */
export interface Issuer {
  readonly config: IssuerConfig;
  readonly requirements: Conditions;
  readonly keys: IssuerKeys;
}

/** Issuers by the exact text of `iss`. Fetches nothing yet. `baseDir` is where relative `ca` paths start. Throws ConfigError. */
export function trustedIssuers(
  configs: readonly IssuerConfig[],
  baseDir: string,
  now: () => number,
): ReadonlyMap<string, Issuer> {
  return new Map(
    configs.map((config) => {
      const limits = { timeoutMs: 5000, maxBytes: 256 * 1024, ...certificateAuthorities(config, baseDir) };
      const keys = new IssuerKeys(() => fetchKeys(config, limits), now);
      return [
        config.issuer,
        { config, keys, requirements: requirements(config.issuer, (config.require ?? {}) as Conditions) },
      ];
    }),
  );
}

function certificateAuthorities({ name, ca }: IssuerConfig, baseDir: string): { ca?: string } {
  if (ca === undefined) return {};
  try {
    return { ca: readFileSync(resolve(baseDir, ca), 'utf8') };
  } catch (error) {
    throw new ConfigError(`issuers: ${name}: ca: ${(error as Error).message}`);
  }
}

/** OpenID Connect Discovery 1.0, section 4. */
async function fetchKeys(config: IssuerConfig, limits: FetchLimits): Promise<JSONWebKeySet> {
  const uri = config.jwksUri ?? (await discover(config.issuer, limits));
  // A document fetched over https must not send us to something weaker; fetchJson keeps http on this machine besides.
  if (config.issuer.startsWith('https:') && !uri.startsWith('https:')) throw new Error('jwks_uri is not https');
  return (await fetchJson(new URL(uri), limits)) as JSONWebKeySet;
}

async function discover(issuer: string, limits: FetchLimits): Promise<string> {
  const url = new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
  const document = (await fetchJson(url, limits)) as { issuer?: unknown; jwks_uri?: unknown } | null;
  if (document?.issuer !== issuer) throw new Error('the discovery document is of another issuer');
  if (typeof document.jwks_uri !== 'string' || !URL.canParse(document.jwks_uri))
    throw new Error('the discovery document names no keys');
  return document.jwks_uri;
}
