import { hash } from 'node:crypto';
import { entryTargetBytes } from './group.ts';

/** A field that is larger than this leaves an event that is too large for an entry. JSON characters. */
const fieldLimit = 1024;
/** UTF-16 units of a field's JSON in one part: at most 3 bytes each in UTF-8, or 2 where escaped again, so a part fits an entry. */
const partLength = 16 * 1024;

/**
 * What stands in an event for a field that was moved out. The event lists such fields in `large`; the JSON text of field f is the
 * concatenated `data` of the `audit.part` events `from` … `from + parts - 1`.
 */
export interface LargeField {
  readonly from: number;
  readonly parts: number;
  /** Of the field's JSON text in UTF-8. */
  readonly bytes: number;
  readonly sha256: string;
  /** How the field's JSON begins, for people. */
  readonly start: string;
}

/**
 * Splits an event that does not fit an entry into events that do: first the parts of its large fields, then itself with references in
 * their place. Nothing is lost, and since the event comes last, nobody gets a permit before all of it is durable.
 * `seq` is the number of the first of them.
 */
export function splitLargeEvent(fields: string, seq: number): readonly string[] {
  const event = JSON.parse(`{${fields}}`) as Record<string, unknown>;
  const lines: string[] = [];
  const large: string[] = [];
  for (const [field, value] of Object.entries(event)) {
    const json = JSON.stringify(value);
    if (json.length <= fieldLimit) continue;
    const parts = partsOf(json);
    const from = seq + lines.length;
    parts.forEach((data, part) => {
      lines.push(`"type":"audit.part","field":${JSON.stringify(field)},"part":${part},"data":${JSON.stringify(data)}`);
    });
    large.push(field);
    event[field] = {
      from,
      parts: parts.length,
      bytes: Buffer.byteLength(json),
      sha256: hash('sha256', json),
      start: json.slice(0, 200),
    } satisfies LargeField;
  }
  const rest = JSON.stringify({ ...event, large }).slice(1, -1);
  if (Buffer.byteLength(rest) > entryTargetBytes - 100)
    throw new RangeError('the event has too many fields for one entry of the log');
  lines.push(rest);
  return lines;
}

function partsOf(json: string): readonly string[] {
  const parts: string[] = [];
  for (let i = 0; i < json.length; i += partLength) parts.push(json.slice(i, i + partLength));
  return parts;
}

/** The event as it was before it was split. `data(seq)` is the `data` of the part with that number. Throws when a part is not the one it was. */
export function joinLargeEvent(
  event: Readonly<Record<string, unknown>>,
  data: (seq: number) => string,
): Record<string, unknown> {
  const { large, ...rest } = event;
  const whole: Record<string, unknown> = rest;
  for (const field of large as readonly string[]) {
    const reference = whole[field] as LargeField;
    const parts: string[] = [];
    for (let i = 0; i < reference.parts; i++) parts.push(data(reference.from + i));
    const json = parts.join('');
    if (hash('sha256', json) !== reference.sha256)
      throw new Error(`the parts of field ${field} are not those that were written`);
    whole[field] = JSON.parse(json);
  }
  return whole;
}
