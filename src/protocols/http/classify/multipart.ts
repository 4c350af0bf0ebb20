import type { Carried } from './carried.ts';
import { utf8 } from './json.ts';

const mostParts = 1000;

/**
 * Gathers the fields of a multipart/form-data body (RFC 7578): names, values of those that are short text, `body.file` for files.
 * False where it is not exactly that: preambles, missing ends, odd heads, as servers differ on them.
 */
export function carryMultipart(body: Buffer, boundary: string, carried: Carried): boolean {
  if (!/^[A-Za-z0-9'()+_,./:=?-]{1,70}$/.test(boundary)) return false;
  const opening = Buffer.from(`--${boundary}\r\n`, 'latin1');
  if (!body.subarray(0, opening.length).equals(opening)) return false;
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  const seen = new Set<string>();
  let at = opening.length;
  for (let parts = 0; parts < mostParts; parts++) {
    const end = body.indexOf(delimiter, at);
    const headEnd = body.indexOf('\r\n\r\n', at, 'latin1');
    if (end < 0 || headEnd < 0 || headEnd > end) return false;
    const name = partName(body.toString('latin1', at, headEnd), carried);
    if (name === undefined) return false;
    const folded = name.toLowerCase();
    if (seen.has(folded) && !name.endsWith('[]')) carried.found('body.duplicate-keys');
    seen.add(folded);
    const content = utf8(body.subarray(headEnd + 4, end));
    if (content === undefined) carried.field('body', name);
    else carried.value('body', name, content);
    const after = body.toString('latin1', end + delimiter.length, end + delimiter.length + 4);
    if (after === '--' || after === '--\r\n') return true;
    if (!after.startsWith('\r\n')) return false;
    at = end + delimiter.length + 2;
  }
  return false;
}

/** The name in a part's Content-Disposition, read only where there is one way to read it. */
function partName(head: string, carried: Carried): string | undefined {
  const lines = head.split('\r\n');
  // Which encodings are undone, servers do not agree on (RFC 7578 §4.7).
  if (lines.some((line) => /^content-transfer-encoding/i.test(line))) return undefined;
  const dispositions = lines.filter((line) => /^content-disposition\s*:/i.test(line));
  if (dispositions.length !== 1 || lines.some((line) => !/^[A-Za-z-]+: ?[\x20-\x7e\x80-\xff]*$/.test(line)))
    return undefined;
  const match = /^content-disposition: ?form-data; name="([^"\\]*)"(; filename="[^"]*")?$/i.exec(
    dispositions[0] as string,
  );
  if (match === null) return undefined;
  if (match[2] !== undefined) carried.found('body.file');
  const name = utf8(Buffer.from(match[1] as string, 'latin1'));
  return name === undefined || name.includes('=') ? undefined : name;
}
