import { BadMessage } from './bad-message.ts';
import { colon, cr, lf, space, tab, tokenClass, valueClass } from './characters.ts';
import { meaning, meaningOf } from './hop-by-hop.ts';

/** The fields of one head, with those apart that are the connection's. */
export class HeadFields {
  /** Name, value, name, value, …; names in lower case. What goes on to the other end. */
  passed: string[] = [];
  host: string | undefined;
  /** Value of the only Content-Length. */
  length: string | undefined;
  /** Value of the only Transfer-Encoding. */
  coding: string | undefined;
  /** All Connection fields, joined by commas. */
  connection: string | undefined;
  upgrade: string | undefined;
  expect: string | undefined;
}

/**
 * Reads field lines (RFC 9112 §5) from `from` to `to` in `bytes`, where the blank line begins. `text` is the same as latin1, beginning at
 * `base` in `bytes`. Throws BadMessage for everything that two readers could read in two ways: folded lines, blanks before the
 * colon, other line ends, control characters, and a second Host, Content-Length or Transfer-Encoding.
 */
export function readFields(
  bytes: Buffer,
  text: string,
  base: number,
  from: number,
  to: number,
  mostFields: number,
): HeadFields {
  const fields = new HeadFields();
  let position = from;
  let count = 0;
  while (position < to) {
    if (++count > mostFields) throw new BadMessage('too many header fields', 431);
    const nameStart = position;
    let upper = 0;
    let kind = tokenClass[bytes[position] as number] as number;
    while (kind > 0) {
      upper |= kind;
      kind = tokenClass[bytes[++position] as number] as number;
    }
    if (position === nameStart || bytes[position] !== colon)
      throw new BadMessage('a header line without a proper name');
    let name = text.substring(nameStart - base, position - base);
    if ((upper & 2) !== 0) name = name.toLowerCase();
    position++;
    while (bytes[position] === space || bytes[position] === tab) position++;
    const valueStart = position;
    while (valueClass[bytes[position] as number] === 1) position++;
    let valueEnd = position;
    if (bytes[position] !== cr || bytes[position + 1] !== lf) throw new BadMessage('a control character in a field');
    while (valueEnd > valueStart && isBlank(bytes[valueEnd - 1])) valueEnd--;
    const value = text.substring(valueStart - base, valueEnd - base);
    position += 2;
    const what = meaningOf(name);
    if (what === meaning.endToEnd) fields.passed.push(name, value);
    else if (what !== meaning.dropped) note(fields, what, value);
  }
  return fields;
}

function isBlank(code: number | undefined): boolean {
  return code === space || code === tab;
}

function note(fields: HeadFields, what: number, value: string): void {
  switch (what) {
    case meaning.host:
      if (fields.host !== undefined) throw new BadMessage('several Host fields');
      fields.host = value;
      break;
    case meaning.length:
      if (fields.length !== undefined) throw new BadMessage('several Content-Length fields');
      fields.length = value;
      break;
    case meaning.coding:
      if (fields.coding !== undefined) throw new BadMessage('several Transfer-Encoding fields');
      fields.coding = value;
      break;
    case meaning.connection:
      fields.connection = fields.connection === undefined ? value : `${fields.connection},${value}`;
      break;
    case meaning.upgrade:
      fields.upgrade = fields.upgrade === undefined ? value : `${fields.upgrade},${value}`;
      break;
    default:
      fields.expect = fields.expect === undefined ? value : `${fields.expect},${value}`;
  }
}

/** Bytes that a Content-Length names. Throws BadMessage unless it is one number, written in the one way. */
export function contentLength(value: string): number {
  if (!/^(?:0|[1-9][0-9]{0,14})$/.test(value)) throw new BadMessage('a Content-Length that is not one number');
  return Number(value);
}
