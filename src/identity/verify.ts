import { decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose';
import type { ClaimSet } from './claims.ts';
import { isUnknownKey, type Keys } from './issuerKeys.ts';
import type { Issuer } from './issuers.ts';
import { forLog, Rejection } from './rejection.ts';

export interface VerifiedToken {
  readonly claims: ClaimSet;
  readonly issuer: Issuer;
  /** By `exp` or the greatest age allowed, whichever is first; ms since the epoch, without the clock skew. */
  readonly expiresAt: number;
  /** Of the keys that verified it. */
  readonly generation: number;
}

/**
 * Verifies a signed JWT (RFC 7519, RFC 8725) of one of the trusted issuers. The key comes from the issuer's own key set and from nowhere else:
 * `jku`, `x5u`, `x5c` and `jwk` in the header are ignored, and `kid` only chooses among the keys of the set.
 * The caller bounds the token's size. Throws Rejection.
 */
export async function verifyToken(
  token: string,
  issuers: ReadonlyMap<string, Issuer>,
  now: number,
): Promise<VerifiedToken> {
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) throw new Rejection('neither a ticket nor a signed JWT');
  const issuer = claimedIssuer(token, issuers);
  try {
    return await verifyWith(token, issuer, now, await issuer.keys.current());
  } catch (error) {
    if (!isUnknownKey(error)) throw explained(error, issuer);
  }
  try {
    return await verifyWith(token, issuer, now, await issuer.keys.newer());
  } catch (error) {
    throw explained(error, issuer);
  }
}

function claimedIssuer(token: string, issuers: ReadonlyMap<string, Issuer>): Issuer {
  let iss: unknown;
  try {
    iss = decodeJwt(token).iss;
  } catch {
    throw new Rejection('neither a ticket nor a signed JWT');
  }
  const issuer = typeof iss === 'string' ? issuers.get(iss) : undefined;
  if (issuer === undefined) throw new Rejection(`no issuer is configured as ${forLog(String(iss))}`);
  return issuer;
}

async function verifyWith(token: string, issuer: Issuer, now: number, keys: Keys): Promise<VerifiedToken> {
  const { config } = issuer;
  const { payload } = await jwtVerify(token, keys.resolve, {
    algorithms: config.algorithms,
    issuer: config.issuer,
    audience: config.audience,
    clockTolerance: config.clockSkewSeconds,
    currentDate: new Date(now),
    requiredClaims: ['exp'],
    ...(config.maxTokenAgeSeconds === undefined ? {} : { maxTokenAge: config.maxTokenAgeSeconds }),
    ...(config.type === undefined ? {} : { typ: config.type }),
  });
  checkAudiences(payload, issuer);
  // jose looks at iat only together with a maximal age.
  if (payload.iat !== undefined && payload.iat > now / 1000 + config.clockSkewSeconds)
    throw new Rejection('issued in the future');
  const tooOld =
    config.maxTokenAgeSeconds === undefined ? Number.POSITIVE_INFINITY : payload.iat! + config.maxTokenAgeSeconds;
  return { claims: payload, issuer, expiresAt: Math.min(payload.exp!, tooOld) * 1000, generation: keys.generation };
}

/** OpenID Connect Core 3.1.3.7, step 3: no audience that is not trusted may share the token. */
function checkAudiences({ aud }: JWTPayload, { config }: Issuer): void {
  const known = [config.audience, config.otherAudiences].flat();
  const stranger = [aud ?? []].flat().find((audience) => !known.includes(audience));
  if (stranger !== undefined) throw new Rejection('the token is for another audience too');
}

/** What was wrong, in our words: a reason for the audit log, with nothing of the token in it. */
function explained(error: unknown, { config }: Issuer): Rejection {
  return new Rejection(reason(error), config.name);
}

function reason(error: unknown): string {
  if (error instanceof Rejection) return error.message;
  if (error instanceof errors.JWTExpired) return `the token has expired (${error.claim})`;
  if (error instanceof errors.JWTClaimValidationFailed) return `claim ${error.claim} is not accepted (${error.reason})`;
  if (error instanceof errors.JOSEAlgNotAllowed) return 'the signature algorithm is not allowed for this issuer';
  if (error instanceof errors.JWKSNoMatchingKey) return 'the issuer has no such key for this algorithm';
  if (error instanceof errors.JWKSMultipleMatchingKeys) return 'the token does not say which of several keys signed it';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'the signature does not verify';
  if (error instanceof errors.JOSEError) return `the token is malformed (${error.code})`;
  return 'the token cannot be verified with the issuer’s key';
}
