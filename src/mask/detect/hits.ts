import type { Found } from './detector.ts';
import { type Kind, kinds, type Span } from './kinds.ts';

interface Hit extends Span {
  readonly kind: Kind;
}

/** What one search found. Hits may overlap; the union is overwritten, and one that lies inside another is not counted. */
export class Hits {
  readonly #hits: Hit[] = [];

  add(kind: Kind, span: Span | undefined): void {
    if (span !== undefined) this.#hits.push({ kind, start: span.start, end: span.end });
  }

  /** In order of place; without hits inside others. */
  settled(): readonly Hit[] {
    const order = (hit: Hit) => kinds.indexOf(hit.kind);
    this.#hits.sort((a, b) => a.start - b.start || b.end - a.end || order(a) - order(b));
    // What looks like an address around the @ that ends a URL's password is that password.
    const passwordEnds = new Set(this.#hits.filter((hit) => hit.kind === 'password').map((hit) => hit.end));
    const settled: Hit[] = [];
    let covered = 0;
    for (const hit of this.#hits) {
      if (hit.end <= covered || (hit.kind === 'email' && includesOne(passwordEnds, hit))) continue;
      settled.push(hit);
      covered = hit.end;
    }
    return settled;
  }

  overwrite(bytes: Buffer, keepCardTail: boolean, found: Found | undefined): number {
    const settled = this.settled();
    if (found !== undefined) report(settled, bytes, found);
    let done = 0; // a kept tail stays only where nothing else was found
    for (const hit of settled) {
      const end = hit.kind === 'card' && keepCardTail ? tail(bytes, hit) : hit.end;
      for (let i = Math.max(hit.start, done); i < end; i++) {
        const byte = bytes[i]!;
        if (byte !== 0x0a && byte !== 0x0d) bytes[i] = 0x2a;
      }
      done = Math.max(done, end);
    }
    return settled.length;
  }
}

function includesOne(offsets: ReadonlySet<number>, { start, end }: Span): boolean {
  if (offsets.size > 0) for (let at = start; at < end; at++) if (offsets.has(at)) return true;
  return false;
}

function report(hits: readonly Hit[], bytes: Buffer, found: Found): void {
  for (const kind of kinds) {
    const parts: Buffer[] = [];
    for (const hit of hits) {
      if (hit.kind !== kind) continue;
      const length = Buffer.allocUnsafe(4);
      length.writeUInt32BE(hit.end - hit.start);
      parts.push(length, bytes.subarray(hit.start, hit.end));
    }
    if (parts.length > 0) found(kind, parts.length / 2, Buffer.concat(parts));
  }
}

/** Where the last four digits of a card begin. */
function tail(bytes: Buffer, hit: Hit): number {
  let at = hit.end;
  for (let digits = 0; digits < 4; ) {
    at -= 1;
    if (bytes[at]! >= 0x30 && bytes[at]! <= 0x39) digits += 1;
  }
  return at;
}
