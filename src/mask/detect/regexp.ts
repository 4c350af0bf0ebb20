import { type CandidateFinder, CardRun, FirstBucket, lookahead, Nanp, Plus, Ssn, windowSize } from './candidates.ts';

const everyBucket = 255 * FirstBucket;

/** The finder for engines without SIMD: the text as latin1, so that characters are bytes, and regular expressions without repetition that could nest. */
export function regexpFinder(): CandidateFinder {
  const found = new Uint32Array(2 * (windowSize + lookahead));
  // Each is tried again one character after a match, so overlapping candidates are all seen; a run of digits is passed as a whole.
  const patterns = [
    {
      pattern: /[KS]IA|AIz|h[pousrf]_|pm_|b_p|k_l|sk-|at-|[rw]d=|eyJ|xox|SG\.|:\/\/|---|[\w.%+-]@[a-z0-9]|[A-Z]{2}\d/gi,
      flags: everyBucket,
    },
    { pattern: /(?:\d[ -]?){12}\d+(?:[ -]\d+)*/g, flags: CardRun },
    { pattern: /\d{3}-\d{2}-\d{4}/g, flags: Ssn },
    { pattern: /[-. )]\d{3}[-. ]\d{4}/g, flags: Nanp },
    { pattern: /\+\d[\d -]{7}/g, flags: Plus },
  ];
  return {
    name: 'regexp',
    found,
    find(bytes, from, to) {
      const text = bytes.toString('latin1', from, to);
      let count = 0;
      for (const { pattern, flags } of patterns) {
        pattern.lastIndex = 0;
        for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
          found[count++] = match.index + flags;
          if (flags !== CardRun) pattern.lastIndex = match.index + 1;
        }
      }
      return count;
    },
  };
}
