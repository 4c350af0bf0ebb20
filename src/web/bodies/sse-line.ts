/** One line of an event stream (HTML standard, section 9.2.5). */
export interface Line {
  readonly start: number;
  /** Before the line end. */
  readonly end: number;
  readonly next: number;
}

/** The line that begins at `start`; its end is searched from `from` on. Undefined where that has not come: a CR may have an LF behind it. */
export function lineAt(bytes: Buffer, start: number, from: number, complete: boolean): Line | undefined {
  for (let i = from; i < bytes.length; i++) {
    if (bytes[i] === 0x0a) return { start, end: i, next: i + 1 };
    if (bytes[i] !== 0x0d) continue;
    if (i + 1 === bytes.length && !complete) return undefined;
    return { start, end: i, next: bytes[i + 1] === 0x0a ? i + 2 : i + 1 };
  }
  return complete ? { start, end: bytes.length, next: bytes.length } : undefined;
}

export function isData(bytes: Buffer, line: Line): boolean {
  const at = nameStart(bytes, line);
  const size = line.end - at;
  if (size < 4 || bytes[at] !== 0x64 || bytes[at + 1] !== 0x61 || bytes[at + 2] !== 0x74 || bytes[at + 3] !== 0x61)
    return false;
  return size === 4 || bytes[at + 4] === 0x3a;
}

/** Behind the colon, and one blank. */
export function payloadStart(bytes: Buffer, line: Line): number {
  const at = Math.min(nameStart(bytes, line) + 5, line.end);
  return at < line.end && bytes[at] === 0x20 ? at + 1 : at;
}

/** Behind a byte order mark, which only the first line can have; a later one is taken for one too, and so masked rather than not. */
function nameStart(bytes: Buffer, { start }: Line): number {
  return bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf ? start + 3 : start;
}
