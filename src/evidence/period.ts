/** A span of time: `from` is in it, `to` is not. RFC 3339, UTC, ms, as the log writes times. */
export interface Period {
  readonly from: string;
  readonly to: string;
}

/** `2026-01-01` (midnight, UTC) or an RFC 3339 time. A day as `to` means its end, so that `2026-12-31` closes a year. Throws RangeError. */
export function parsePeriod(from: string, to: string): Period {
  const period = { from: instantOf(from, 0), to: instantOf(to, 1) };
  if (period.from >= period.to)
    throw new RangeError(`the period ends (${period.to}) before it begins (${period.from})`);
  if (Date.parse(period.to) - Date.parse(period.from) > longestMs)
    throw new RangeError('a period has ten years at most');
  return period;
}

const longestMs = 3660 * 86_400_000;

function instantOf(text: string, daysAfter: number): string {
  const day = /^\d{4}-\d\d-\d\d$/.test(text);
  if (!day && !/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/.test(text))
    throw new RangeError(`${JSON.stringify(text)} is neither a day (2026-01-31) nor a time (2026-01-31T12:00:00Z)`);
  const ms = Date.parse(day ? `${text}T00:00:00Z` : text);
  // 31 February parses, as March.
  if (Number.isNaN(ms) || (day && new Date(ms).toISOString().slice(0, 10) !== text))
    throw new RangeError(`there is no ${JSON.stringify(text)}`);
  return new Date(ms + (day ? daysAfter * 86_400_000 : 0)).toISOString();
}
