import type { RecordedEvent } from '../../model/event.ts';
import { ecsRecord } from './ecs.ts';
import { nativeRecord } from './native.ts';
import { ocsfRecord } from './ocsf.ts';
import type { Place, RecordFormat } from './place.ts';

export { type Place, type RecordFormat, recordFormats, recordId } from './place.ts';

/** An event as a record of the named format. Pure; the same event at the same place gives the same record. */
export type Formatter = (event: RecordedEvent, place: Place) => Readonly<Record<string, unknown>>;

export const formatters: Readonly<Record<RecordFormat, Formatter>> = {
  native: nativeRecord,
  ocsf: ocsfRecord,
  ecs: ecsRecord,
};
