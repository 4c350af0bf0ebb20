import type { Carried } from './carried.ts';

/** A form with more is not gone through to its end. */
const mostPairs = 2000;

/** Decodes `application/x-www-form-urlencoded` text (WHATWG URL §5.1); undefined where an encoding is broken or is not UTF-8. */
export function decodeFormText(text: string): string | undefined {
  if (!/[%+]/.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

/** Each pair's name and value, decoded; undefined for what cannot be decoded. */
export function* formPairs(text: string, separators = '&'): Generator<readonly [string, string] | undefined> {
  for (const piece of pieces(text, separators)) {
    const equals = piece.indexOf('=');
    const name = decodeFormText(equals < 0 ? piece : piece.slice(0, equals));
    const value = equals < 0 ? '' : decodeFormText(piece.slice(equals + 1));
    yield name === undefined || value === undefined ? undefined : [name, value];
  }
}

function pieces(text: string, separators: string): readonly string[] {
  const all = separators === '&' ? text.split('&') : text.split(/[&;]/);
  return all.filter((piece) => piece !== '');
}

/**
 * Gathers a query's or form's pairs. What servers read differently is a finding: a name that comes twice (first, last or both may
 * count), undecodable bytes. A `;` parts pairs for some servers, so those pairs are gathered as well.
 */
export function carryForm(text: string, part: 'query' | 'body', carried: Carried): void {
  const seen = new Set<string>();
  let left = mostPairs;
  for (const pair of formPairs(text)) {
    if (carried.full || left-- === 0) {
      carried.skipped(part);
      return;
    }
    if (pair === undefined) {
      carried.skipped(part);
      continue;
    }
    const [name, value] = pair;
    const folded = name.toLowerCase();
    // `a[]` is a list by its spelling: that it comes again is what it is for.
    if (seen.has(folded) && !name.endsWith('[]'))
      carried.found(part === 'query' ? 'query.duplicate' : 'body.duplicate-keys');
    seen.add(folded);
    carried.value(part, formName(name), value);
  }
  if (!text.includes(';')) return;
  for (const pair of formPairs(text, '&;')) {
    if (carried.full || left-- === 0) {
      carried.skipped(part);
      return;
    }
    if (pair === undefined) carried.skipped(part);
    else carried.value(part, formName(pair[0]), pair[1]);
  }
}

/** `a=b` with the value `c` is not `a` with the value `b=c`: such a name is quoted. */
function formName(name: string): string {
  return /[="]|^\[/.test(name) ? `[${JSON.stringify(name)}]` : name;
}
