import type { RecordedEvent } from '../../model/event.ts';

/** Where a record stands: in which log, and behind which one it comes in this stream. */
export interface Place {
  /** The audit log's origin. */
  readonly log: string;
  /** `seq` of the record before; 0 before the first. Absent where records are not sent in order. */
  readonly after?: number;
}

export const recordFormats = ['native', 'ocsf', 'ecs'] as const;
export type RecordFormat = (typeof recordFormats)[number];

/** The same for every copy of a record that is ever sent, and for no other: receivers tell duplicates by it. */
export function recordId(event: RecordedEvent, log: string): string {
  return `${log}#${event.seq}`;
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Without the members that are undefined. */
export function present<T extends Readonly<Record<string, unknown>>>(
  members: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never;
}
