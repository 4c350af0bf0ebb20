import { Refusal } from '../../../model/errors.ts';
import type { PathRelaxation } from '../settings.ts';

export interface PathRules {
  readonly allow: readonly PathRelaxation[];
  readonly ignoreCase: boolean;
}

/** Longer than any honest path; bounds what reading one costs. */
const longestPath = 8192;
/** A path that can be read in one way only. */
const plainPath = /^(?:\/|(?:\/(?!\.+(?:\/|$))[A-Za-z0-9._~!$&'()*+,=:@-]+)+\/?)$/;
/** Spellings can be combined; a path that has more readings than this is nobody's honest path. */
const mostReadings = 64;

/**
 * Reads a path (without its query) and returns every reading that a server could make of it, the one as it was sent first, with the
 * hexadecimal digits of percent-encodings in capitals (RFC 3986 §6.2.2.1). Policy decides on all of them, and the bytes go upstream
 * as they came. Throws Refusal UNPARSABLE for what servers are known to read differently, unless `rules` lets it through.
 */
export function readPath(path: string, rules: PathRules): readonly string[] {
  if (plainPath.test(path) && path.length <= longestPath && !rules.ignoreCase) return [path];
  checkCharacters(path);
  const sent = path.replace(/%[0-9a-f]{2}/gi, (triple) => triple.toUpperCase());
  for (const [relaxation, found, why] of spellings) {
    if (!rules.allow.includes(relaxation) && found.test(sent)) throw refusal(path, why);
  }
  const readings = allReadings(sent, rules.ignoreCase);
  if (readings === undefined) throw refusal(path, 'can be read in too many ways: encode each character once');
  for (const reading of readings) checkReading(path, reading);
  return readings;
}

function refusal(path: string, why: string): Refusal {
  const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path;
  return new Refusal('UNPARSABLE', `the path ${JSON.stringify(shown)} ${why}`, {
    advice: 'servers read such paths differently, so it is not clear what would be asked for; write it plainly',
  });
}

/** What no setting lets through. RFC 3986 §3.3 says which characters a path has. */
function checkCharacters(path: string): void {
  if (path.length > longestPath) throw refusal(path, `is longer than ${longestPath} bytes`);
  if (!path.startsWith('/')) throw refusal(path, 'does not begin with a slash');
  if (path.includes('#')) throw refusal(path, 'has a fragment: leave out # and what follows it');
  if (path.includes('\\')) throw refusal(path, 'has a backslash: write / between segments');
  const odd = /[^A-Za-z0-9._~!$&'()*+,;=:@/%-]/.exec(path)?.[0];
  if (odd !== undefined)
    throw refusal(path, `has ${JSON.stringify(odd)} in it: write ${encodeURIComponent(odd) || 'it percent-encoded'}`);
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) throw refusal(path, 'has a % that begins no percent-encoding: write %25');
}

/** Each: the setting that lets it through, how it looks, and what to write instead. */
const spellings: readonly (readonly [PathRelaxation, RegExp, string])[] = [
  ['encoded-slash', /%2F/, 'has an encoded slash (%2F): write / where segments are parted'],
  ['encoded-backslash', /%5C/, 'has an encoded backslash (%5C): write / where segments are parted'],
  ['encoded-percent', /%25/, 'has an encoded percent sign (%25): encode each character once'],
  ['encoded-delimiter', /%3F|%23|%3B/, 'has an encoded ?, # or ; (%3F, %23, %3B): leave it out'],
  [
    'encoded-unreserved',
    /%(?:2D|2E|5F|7E|3[0-9]|[46][1-9A-F]|[57][0-9A])/,
    'has a letter, digit or one of -._~ encoded: write it as it is',
  ],
  ['empty-segment', /\/\//, 'has two slashes in a row: write one'],
  ['parameters', /;/, 'has a ; in it: leave out such parameters, or put them into the query'],
];

const triples = /%([0-9A-F]{2})/g;

/** `%41` is `A`, `%40` is `@`: letters, digits, -._~ and sub-delimiters but `;` (RFC 3986 §2.3, §2.2). */
const plain = (text: string) =>
  text.replace(triples, (triple, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return /[A-Za-z0-9._~!$&'()*+,=:@-]/.test(character) ? character : triple;
  });

/** What servers, proxies and frameworks do to a path before they route it, one thing at a time. */
const habits: readonly ((path: string) => string)[] = [
  plain,
  (path) => path.replaceAll('%2F', '/'),
  (path) => path.replaceAll('%5C', '/'),
  // Decoded twice: `%252F` becomes `%2F`, which the other habits take further.
  (path) =>
    path.replaceAll(/%25(?=([0-9A-Fa-f]{2})?)/g, '%').replace(/%[0-9a-f]{2}/gi, (triple) => triple.toUpperCase()),
  (path) => path.replaceAll('%3B', ';'),
  (path) => path.replace(/%(?:3F|23).*$/s, ''),
  (path) => path.replaceAll(/;[^/]*/g, ''),
  (path) => path.replaceAll(/\/{2,}/g, '/'),
];

function allReadings(sent: string, ignoreCase: boolean): readonly string[] | undefined {
  const readings = new Set([sent]);
  const applied = ignoreCase ? [...habits, (path: string) => path.replace(/[A-Z]+|%[0-9A-F]{2}/g, lower)] : habits;
  // A set is iterated in the order of insertion, what is added meanwhile included: this is the closure under all habits in any order.
  for (const reading of readings) {
    for (const habit of applied) readings.add(habit(reading));
    if (readings.size > mostReadings) return undefined;
  }
  return [...readings];
}

function lower(piece: string): string {
  return piece.startsWith('%') ? piece : piece.toLowerCase();
}

function checkReading(path: string, reading: string): void {
  const decoded = decode(reading);
  if (decoded === undefined) throw refusal(path, 'has percent-encoded bytes that are not UTF-8: encode text as UTF-8');
  if (!decoded.startsWith('/')) throw refusal(path, 'does not begin with a slash in every reading');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if (/[\0-\x1f\x7f-\x9f\u2028\u2029\ufeff]/.test(decoded))
    throw refusal(path, 'has a control character: leave it out');
  if (decoded.split('/').some((segment) => /^\.+(?:;|$)/.test(segment)))
    throw refusal(path, 'has a segment of dots only: write the path that is meant');
  // Servers that fold letters to their plain forms make `／` a slash and `．．` two dots (Unicode NFKC).
  if (/[/\\.%;?#]/.test(foldedStrangers(decoded)))
    throw refusal(path, 'has a letter that some servers take for one of / \\ . % ; ? #: leave it out');
}

function decode(reading: string): string | undefined {
  if (!reading.includes('%')) return reading;
  const bytes = Buffer.from(
    reading.replace(triples, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function foldedStrangers(decoded: string): string {
  const strangers = decoded.replaceAll(/[\0-\x7f]+/g, '');
  // Division slash, fraction slash, big solidus and the like have no compatibility form, but best-fit tables map them to ASCII.
  return strangers.normalize('NFKC').replaceAll(/[\u2044\u2215\u29f8\u29f5\u2216\u2024]/gu, '/');
}
