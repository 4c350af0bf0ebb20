import type { IssuerInfo } from '../client/schema.ts';
import type { Config } from '../config.ts';

/** What a person's client has to know before it can log in: `GET /v1/issuers`. Says nothing of what is asked of tokens. */
export function issuersOf({ issuers, login }: Pick<Config, 'issuers' | 'login'>): readonly IssuerInfo[] {
  return issuers.map(({ name, issuer }) => {
    if (login?.issuer !== name) return { name, issuer };
    const { clientId, scope, token, resource } = login;
    return { name, issuer, login: { clientId, scope, token, ...(resource === undefined ? {} : { resource }) } };
  });
}
