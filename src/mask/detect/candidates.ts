/**
 * Where something might be. A finder may point at too many places, never at too few: every hit has a candidate whose flags name its
 * detector. It looks only for what a hit itself contains, never at what stands around it, because that may be another value.
 */
export interface CandidateFinder {
  readonly name: 'simd' | 'regexp';
  /** Looks at `bytes[from, to)`; returns how many of `found` it wrote: position − `from` in the low 20 bits, flags above. Positions may come out of order. */
  find(bytes: Buffer, from: number, to: number): number;
  readonly found: Uint32Array;
}

/** Most bytes that one `find` takes. */
export const windowSize = 65_536;
/** The longest piece of a hit that a finder looks at, so that neighbouring windows overlap by as much. */
export const lookahead = 64;

export const positionMask = 0xfffff;
/** The first of a run of digits with single separators, long enough for a card. */
export const CardRun = 1 << 20;
/** `ddd-dd-dddd` at its first digit (blanks count as hyphens). */
export const Ssn = 1 << 21;
/** A separator, three digits, a separator, four digits, at the first separator. */
export const Nanp = 1 << 22;
/** A plus before eight digits or separators. */
export const Plus = 1 << 23;
/** The lowest of eight flags, one per bucket of `trigrams`. */
export const FirstBucket = 1 << 24;

/** Three sets of bytes; a bucket holds where a byte of each follows the other. */
type Trigram = readonly [string, string, string];

const upper = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const digits = '0123456789';
const word = `${upper}${upper.toLowerCase()}${digits}`;

/**
 * The rarest three neighbouring bytes of each text pattern, in eight buckets. A bucket also holds the mixtures of its sets, so what
 * shares one is chosen to mix into nothing common.
 */
export const trigrams: readonly Trigram[] = [
  ['KSA', 'I', 'Az'], // aKIA, aSIA, AIza
  ['h', 'pousrf', '_'], // gHP_ and its kin, HF_
  ['pbk', 'm_', '_pl'], // nPM_, github_paT: "B_P", sK_Live, rK_Live
  ['sarw', 'ktd', '-='], // SK-, glpAT-, passwoRD=, pWD=
  ['ex', 'yo', 'Jx'], // EYJ, XOX
  ['S:-', 'G/-', './-'], // SG., ://, ---
  [`${word}._%+-`, '@', word],
  [upper, upper, digits], // IBAN
];
// Case of a password's name does not matter.
export const anyCase: ReadonlySet<number> = new Set([3]);
