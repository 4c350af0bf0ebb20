import type { Carried } from './carried.ts';

/** Decodes `application/x-www-form-urlencoded` text (WHATWG URL §5.1); undefined where an encoding is broken or is not UTF-8. */
export function decodeFormText(text: string): string | undefined {
  if (!/[%+]/.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

/** Name and value of each pair, decoded; undefined for what cannot be decoded. */
export function formPairs(text: string, separator: RegExp = /&/): readonly (readonly [string, string] | undefined)[] {
  const pieces = text.split(separator).filter((piece) => piece !== '');
  return pieces.map((piece) => {
    const equals = piece.indexOf('=');
    const name = decodeFormText(equals < 0 ? piece : piece.slice(0, equals));
    const value = equals < 0 ? '' : decodeFormText(piece.slice(equals + 1));
    return name === undefined || value === undefined ? undefined : [name, value];
  });
}

/**
 * Gathers a query's or form's pairs. What servers read differently is a finding: a name that comes twice (first, last or both may
 * count), undecodable bytes. A `;` parts pairs for some servers, so those pairs are gathered as well.
 */
export function carryForm(text: string, part: 'query' | 'body', carried: Carried): void {
  const seen = new Set<string>();
  for (const pair of formPairs(text)) {
    if (pair === undefined) {
      carried.found(`${part}.unseen`);
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
  for (const pair of formPairs(text, /[&;]/)) {
    if (pair === undefined) carried.found(`${part}.unseen`);
    else carried.value(part, formName(pair[0]), pair[1]);
  }
}

/** `a=b` with the value `c` is not `a` with the value `b=c`: such a name is quoted. */
function formName(name: string): string {
  return /[="]|^\[/.test(name) ? `[${JSON.stringify(name)}]` : name;
}
