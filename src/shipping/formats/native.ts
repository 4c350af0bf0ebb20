import type { RecordedEvent } from '../../model/event.ts';
import { type Place, recordId } from './place.ts';

/** Raised when a field of `sallyport` changes its meaning or goes away. Fields may be added without. */
export const nativeSchema = 1;

/** The event as the log has it, and in `sallyport` where it comes from. No event has a field of that name. */
export function nativeRecord(event: RecordedEvent, { log, after }: Place): Record<string, unknown> {
  return {
    sallyport: { schema: nativeSchema, id: recordId(event, log), log, ...(after === undefined ? {} : { after }) },
    ...event,
  };
}
