import { createHash, type Hash } from 'node:crypto';

/** Everything that a yes is bound to. Change any of it and the yes is for something else. */
export interface Bound {
  /** Principal id. */
  readonly principal: string;
  readonly target: string;
  readonly protocol: string;
  /** Exactly what was asked. */
  readonly text: string;
  /** Absent, empty, null and "" are four different things. */
  readonly parameters?: readonly (string | null)[];
  readonly scope?: string;
  readonly policyVersion: string;
}

const domain = 'sallyport approval v1';

/**
 * SHA-256 over the parts in fixed order, as 64 hex digits. Each part is a tag, a length (u32, big endian) and that many bytes, so
 * no byte can move from one part into the next without changing the digest; the domain comes first, so the digest means nothing elsewhere.
 */
export function digest(bound: Bound): string {
  const hash = createHash('sha256');
  const { principal, target, protocol, text, parameters, scope, policyVersion } = bound;
  for (const part of [domain, principal, target, protocol, text, scope, policyVersion]) add(hash, part);
  if (parameters === undefined) {
    hash.update(head(tags.absent, 0));
  } else {
    hash.update(head(tags.list, parameters.length));
    for (const parameter of parameters) add(hash, parameter);
  }
  return hash.digest('hex');
}

const tags = { absent: 0, null: 1, utf8: 2, utf16: 3, list: 4 };

function add(hash: Hash, part: string | null | undefined): void {
  if (part === undefined) {
    hash.update(head(tags.absent, 0));
  } else if (part === null) {
    hash.update(head(tags.null, 0));
  } else {
    // UTF-8 would turn every lone surrogate into the same replacement character, and different texts into one digest.
    const wellFormed = part.isWellFormed();
    const bytes = Buffer.from(part, wellFormed ? 'utf8' : 'utf16le');
    hash.update(head(wellFormed ? tags.utf8 : tags.utf16, bytes.length));
    hash.update(bytes);
  }
}

function head(tag: number, length: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt8(tag, 0);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}
