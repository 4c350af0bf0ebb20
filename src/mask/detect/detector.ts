import {
  type CandidateFinder,
  CardRun,
  FirstBucket,
  lookahead,
  Nanp,
  Plus,
  positionMask,
  Ssn,
  windowSize,
} from './candidates.ts';
import { cardsIn } from './cards.ts';
import { Digit, is } from './characters.ts';
import { Hits } from './hits.ts';
import { type Bytes, type Kind, kinds } from './kinds.ts';
import { emailAt, ibanAt, internationalAt, nanpAt, ssnAt } from './people.ts';
import { regexpFinder } from './regexp.ts';
import { jwtAt, keyAt, passwordParameterAt, privateKeyAt, urlPasswordAt } from './secrets.ts';
import { simdFinder } from './simd.ts';

export interface DetectorOptions {
  /** What to look for; everything by default. */
  readonly kinds?: readonly Kind[];
  /** Leaves the last four digits of a card number. **A disclosure.** */
  readonly keepCardTail?: boolean;
  readonly finder?: CandidateFinder;
}

/**
 * Where the values are: pairs of start and end offsets, ascending, not overlapping. Asked only when something looks suspicious, so it may
 * take its time. Whatever is outside is never matched nor written to.
 */
export type ValuesOf = (bytes: Buffer) => ArrayLike<number>;

/** The whole is one value. */
export const oneValue: ValuesOf = (bytes) => [0, bytes.length];

/** What was found of one kind; `originals` are the hits, each after its length (u32, big endian), valid only during the call. */
export type Found = (kind: Kind, count: number, originals: Buffer) => void;

export interface Detector {
  readonly engine: CandidateFinder['name'];
  /**
   * Overwrites what it finds in `bytes` with `*`, byte for byte, so that no length changes. Hits lie within one value and cross no
   * control byte (line ends inside a PEM key excepted, which stay). Time is linear in the input, whatever it is. `ignores` is asked
   * per candidate and switches a kind off. Returns how many were found.
   */
  scrub(bytes: Buffer, values: ValuesOf, found?: Found, ignores?: (kind: Kind) => boolean): number;
}

export function createDetector(options: DetectorOptions = {}): Detector {
  const finder = options.finder ?? simdFinder() ?? regexpFinder();
  const wanted = new Set(options.kinds ?? kinds);
  const mask = flagsOf(wanted);
  return {
    engine: finder.name,
    scrub(bytes, values, found, ignores) {
      let search: Search | undefined;
      for (let from = 0; from < bytes.length; from += windowSize) {
        const to = Math.min(bytes.length, from + windowSize + lookahead);
        const count = finder.find(bytes, from, to);
        for (let i = 0; i < count; i++) {
          const candidate = finder.found[i]!;
          if ((candidate & mask) === 0 || (candidate & positionMask) >= windowSize) continue;
          search ??= new Search(bytes, values(bytes), wanted, ignores);
          search.look(from + (candidate & positionMask), candidate & mask);
        }
      }
      return search === undefined ? 0 : search.hits.overwrite(bytes, options.keepCardTail === true, found);
    },
  };
}

/** Checks candidates exactly, against bytes that nobody changes meanwhile. */
export class Search {
  readonly hits = new Hits();
  readonly #bytes: Bytes;
  readonly #values: ArrayLike<number>;
  readonly #wanted: ReadonlySet<Kind>;
  readonly #ignores: ((kind: Kind) => boolean) | undefined;
  #value = 0; // index of the pair that the last candidate fell into
  #runsSeen = 0; // runs of digits are looked at once, up to here

  constructor(bytes: Bytes, values: ArrayLike<number>, wanted: ReadonlySet<Kind>, ignores?: (kind: Kind) => boolean) {
    this.#bytes = bytes;
    this.#values = values;
    this.#wanted = wanted;
    this.#ignores = ignores;
  }

  look(at: number, flags: number): void {
    if ((flags & CardRun) !== 0) this.#cards(at);
    if (!this.#seek(at)) return;
    const lo = this.#values[this.#value]!;
    const hi = this.#values[this.#value + 1]!;
    const bytes = this.#bytes;
    if ((flags & Ssn) !== 0 && this.#on('ssn')) this.hits.add('ssn', ssnAt(bytes, at, lo, hi));
    if ((flags & Nanp) !== 0 && this.#on('phone')) this.hits.add('phone', nanpAt(bytes, at, lo, hi));
    if ((flags & Plus) !== 0 && this.#on('phone')) this.hits.add('phone', internationalAt(bytes, at, lo, hi));
    const buckets = flags >>> 24;
    if (buckets !== 0) this.#text(at, buckets, lo, hi);
  }

  /** `at` is where a bucket's trigram starts; a pattern may start before it. See `trigrams`. */
  #text(at: number, buckets: number, lo: number, hi: number): void {
    const bytes = this.#bytes;
    const { hits } = this;
    if ((buckets & 0b0010_1111) !== 0 || (buckets & 0b0001_0000) !== 0) {
      const start = at - prefixBefore(bytes, at);
      if (this.#on('api-key')) hits.add('api-key', keyAt(bytes, start, lo, hi));
    }
    if ((buckets & 0b1000) !== 0 && this.#on('password')) hits.add('password', passwordParameterAt(bytes, at, lo, hi));
    if ((buckets & 0b1_0000) !== 0 && this.#on('jwt')) hits.add('jwt', jwtAt(bytes, at, lo, hi));
    if ((buckets & 0b10_0000) !== 0) {
      if (bytes[at] === 0x3a && this.#on('password')) hits.add('password', urlPasswordAt(bytes, at, lo, hi));
      if (bytes[at] === 0x2d && this.#on('private-key')) hits.add('private-key', privateKeyAt(bytes, at, lo, hi));
    }
    if ((buckets & 0b100_0000) !== 0 && this.#on('email')) hits.add('email', emailAt(bytes, at + 1, lo, hi));
    if ((buckets & 0b1000_0000) !== 0 && this.#on('iban')) hits.add('iban', ibanAt(bytes, at, lo, hi));
  }

  /** A run may begin in bytes that belong to no value, and go on in the next one. */
  #cards(at: number): void {
    if (at < this.#runsSeen || !this.#on('card')) return;
    const bytes = this.#bytes;
    let end = at;
    while (end < bytes.length && (is(bytes[end]!, Digit) || bytes[end] === 0x20 || bytes[end] === 0x2d)) {
      if (!is(bytes[end]!, Digit) && !(end + 1 < bytes.length && is(bytes[end + 1]!, Digit))) break;
      end += 1;
    }
    this.#runsSeen = end;
    this.#seek(at);
    for (let value = this.#value; value < this.#values.length && this.#values[value]! < end; value += 2) {
      const lo = this.#values[value]!;
      const hi = this.#values[value + 1]!;
      for (const span of cardsIn(bytes, Math.max(lo, at), Math.min(hi, end), lo, hi)) this.hits.add('card', span);
    }
  }

  #on(kind: Kind): boolean {
    return this.#wanted.has(kind) && this.#ignores?.(kind) !== true;
  }

  /** Makes `#value` the first value that ends after `at`; says whether `at` is in it. */
  #seek(at: number): boolean {
    const values = this.#values;
    let low = 0;
    let high = values.length / 2;
    const here = this.#value;
    if (here < values.length && at >= (here === 0 ? 0 : values[here - 1]!)) {
      if (at < values[here + 1]!) return at >= values[here]!;
      low = here / 2 + 1;
    }
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (values[middle * 2 + 1]! <= at) low = middle + 1;
      else high = middle;
    }
    this.#value = low * 2;
    return this.#value < values.length && at >= values[this.#value]!;
  }
}

/** How far before its trigram a key's prefix starts. */
function prefixBefore(bytes: Bytes, at: number): number {
  switch (bytes[at]) {
    case 0x62: // githuB_Pat_
      return 5;
    case 0x61: // glpAT-
      return 3;
    case 0x4b: // aKIA
    case 0x68: // gHp_, but HF_
    case 0x70: // nPM_
    case 0x6b: // sK_Live
      return bytes[at + 1] === 0x66 ? 0 : 1;
    case 0x53: // aSIA, but SG.
      return bytes[at + 1] === 0x49 ? 1 : 0;
    default: // AIza, sk-, xox
      return 0;
  }
}

function flagsOf(wanted: ReadonlySet<Kind>): number {
  const buckets: Readonly<Record<Kind, number>> = {
    card: CardRun,
    ssn: Ssn,
    phone: Nanp | Plus,
    'api-key': 0b11_1111 * FirstBucket,
    password: 0b10_1000 * FirstBucket,
    jwt: 0b1_0000 * FirstBucket,
    'private-key': 0b10_0000 * FirstBucket,
    email: 0b100_0000 * FirstBucket,
    iban: 0b1000_0000 * FirstBucket,
  };
  let flags = 0;
  for (const kind of wanted) flags |= buckets[kind];
  return flags;
}
