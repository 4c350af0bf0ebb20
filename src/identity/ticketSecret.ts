import { createHash, timingSafeEqual } from 'node:crypto';

const prefix = 'spt_';
const randomLength = 32;

/** `spt_` and 32 random bytes in base64url: 47 characters, found by secret scanners, and no dot in it, so never taken for a JWT. */
export function ticketSecret(random: (bytes: number) => Buffer): string {
  return prefix + random(randomLength).toString('base64url');
}

export function isTicketSecret(credential: string): boolean {
  return /^spt_[\w-]{43}$/.test(credential);
}

/** True for what was meant as a ticket, whole or not. */
export function looksLikeTicket(credential: string): boolean {
  return credential.startsWith(prefix);
}

/** SHA-256, hex. A plain hash is enough for 256 random bits: there is nothing to guess. */
export function ticketHash(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** Constant in time for hashes of equal length. */
export function sameHash(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
