import { createHash } from 'node:crypto';
import type { RecordedEvent } from '../model/event.ts';
import { formatters, type Place, type RecordFormat, recordId } from './formats/formats.ts';

/** One event on its way to a receiver. */
export interface ShippedRecord {
  /** The same for every copy: receivers tell duplicates by it. */
  readonly id: string;
  readonly log: string;
  readonly event: RecordedEvent;
  /** `seq` of the record before it in this sink's stream. */
  readonly after: number;
  /** The record in the sink's format, as one line of JSON without its newline. */
  readonly json: string;
}

/** How large a record's JSON may be, and whether it may have anything but ASCII. */
export interface RecordLimits {
  readonly recordBytes: number;
  readonly ascii?: boolean;
}

/**
 * A record of an event. Where its JSON would be too large, its largest fields are left out and say so, one after the other; where that
 * is not enough, all but those that tell whose it is.
 */
export function recordOf(
  event: RecordedEvent,
  format: RecordFormat,
  place: Required<Place>,
  { recordBytes, ascii = false }: RecordLimits,
): ShippedRecord {
  const write = (one: RecordedEvent): string => {
    const json = JSON.stringify(formatters[format](one, place));
    return ascii ? asciiJson(json) : json;
  };
  let fitted = event;
  let json = write(fitted);
  while (Buffer.byteLength(json) > recordBytes) {
    const smaller = withoutLargest(fitted);
    fitted = smaller ?? bare(event);
    json = write(fitted);
    if (smaller === undefined) break;
  }
  return { id: recordId(event, place.log), log: place.log, event: fitted, after: place.after, json };
}

/** The same JSON value in ASCII: what is beyond is escaped. */
function asciiJson(json: string): string {
  return json.replaceAll(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** What stands for a field that was left out. The log has the whole of it. */
interface LeftOut {
  readonly leftOut: { readonly bytes: number; readonly sha256: string; readonly start: string };
}

const kept = new Set(['seq', 'time', 'type', 'session', 'principal', 'target']);
const startLength = 64;

/** The event without its largest field; undefined where no field is worth leaving out. */
function withoutLargest(event: RecordedEvent): RecordedEvent | undefined {
  let largest: { readonly field: string; readonly json: string } | undefined;
  for (const [field, value] of Object.entries(event)) {
    if (kept.has(field) || isLeftOut(value)) continue;
    const json = JSON.stringify(value);
    if (json !== undefined && json.length > (largest?.json.length ?? 4 * startLength)) largest = { field, json };
  }
  if (largest === undefined) return undefined;
  return { ...event, [largest.field]: leftOut(largest.json) };
}

function bare(event: RecordedEvent): RecordedEvent {
  const own = Object.entries(event).filter(([field]) => kept.has(field));
  return { ...(Object.fromEntries(own) as unknown as RecordedEvent), ...leftOut(JSON.stringify(event)) };
}

function leftOut(json: string): LeftOut {
  const sha256 = createHash('sha256').update(json).digest('hex');
  return { leftOut: { bytes: Buffer.byteLength(json), sha256, start: json.slice(0, startLength) } };
}

function isLeftOut(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'leftOut' in value;
}
