import type { ObjectFormat } from '../push.ts';

/** Digits of a full id: SHA-1 or SHA-256. */
export function idLength(format: ObjectFormat): number {
  return format === 'sha256' ? 64 : 40;
}

/** Whether the text is a full object id in lower-case hex: the only thing of a caller's that git's children get as an argument. */
export function isObjectId(format: ObjectFormat, text: string): boolean {
  return text.length === idLength(format) && /^[0-9a-f]+$/.test(text);
}

/** The ids, each checked. Throws TypeError, as unchecked ids never come this far. */
export function checkedIds(format: ObjectFormat, ids: Iterable<string>): string[] {
  const unique = new Set(ids);
  for (const id of unique) if (!isObjectId(format, id)) throw new TypeError('not an object id');
  return [...unique];
}
