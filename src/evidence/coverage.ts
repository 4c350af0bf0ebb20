import type { RecordedEvent } from '../model/event.ts';
import type { Period } from './period.ts';

/** A time in which the log does not show the gateway at work. */
export interface Gap {
  /** The event behind it; 0 where the log does not go on. */
  readonly seq: number;
  readonly from: string;
  readonly to: string;
  readonly seconds: number;
  readonly cause: 'stopped' | 'broke off' | 'silent' | 'before the log' | 'after the log';
}

export interface Day {
  readonly day: string;
  readonly seconds: number;
  readonly covered: number;
  readonly heartbeats: number;
  readonly events: number;
}

/**
 * Watches the times of all events: the gateway writes a heartbeat each minute, so a longer silence is a time in which it did not run or
 * could not write. It fails closed: what is not in the log did not pass through it.
 */
export class Coverage {
  readonly #period: Period;
  readonly #longest: number;
  readonly #days = new Map<string, { covered: number; heartbeats: number; events: number }>();
  readonly #gap: (gap: Gap) => void;
  #open: Pick<Gap, 'seq' | 'from' | 'to'> | undefined;
  #last: string | undefined;
  #stopped = false;
  events = 0;
  heartbeats = 0;
  /** Events whose time is before that of the event ahead of them. The log does not let that happen. */
  backwards = 0;
  /** ms between two heartbeats: how regular the clock and the process were. */
  longestBeat = 0;
  #lastBeat: { readonly time: number; readonly uptime: number } | undefined;
  /** The most that wall clock and uptime of one process have drifted apart between two heartbeats, s. A clock that was set shows here. */
  longestDrift = 0;

  constructor(period: Period, longestSilenceSeconds: number, gap: (gap: Gap) => void) {
    this.#period = period;
    this.#longest = longestSilenceSeconds * 1000;
    this.#gap = gap;
  }

  /** Whatever the log has before the period. */
  before({ type, time }: RecordedEvent): void {
    this.#last = time;
    this.#stopped = type === 'gateway.stopped';
  }

  add({ type, seq, time, uptime }: RecordedEvent): void {
    this.#silence(seq, time);
    this.#last = time;
    this.#stopped = type === 'gateway.stopped';
    this.events++;
    const day = this.#day(time.slice(0, 10));
    day.events++;
    if (type === 'gateway.started' || type === 'gateway.recovered') {
      this.#lastBeat = undefined;
      this.#settle('broke off');
    }
    if (type !== 'audit.heartbeat') return;
    this.#settle('silent');
    this.heartbeats++;
    day.heartbeats++;
    const beat = { time: Date.parse(time), uptime: typeof uptime === 'number' ? uptime : 0 };
    if (this.#lastBeat !== undefined) {
      const passed = beat.time - this.#lastBeat.time;
      this.longestBeat = Math.max(this.longestBeat, passed);
      // `uptime` is in whole seconds.
      const drift = Math.abs(passed / 1000 - (beat.uptime - this.#lastBeat.uptime));
      if (drift > 1) this.longestDrift = Math.max(this.longestDrift, drift);
    }
    this.#lastBeat = beat;
  }

  /** `complete`: the log goes on behind the period, so that its silence to the period's end is one. */
  end(complete: boolean): void {
    const { to } = this.#period;
    if (this.#last === undefined) this.#missing(0, this.#period.from, to, 'after the log');
    else this.#silence(0, to, complete ? 'silent' : 'after the log');
    this.#settle('silent');
  }

  #silence(seq: number, time: string, behind: Gap['cause'] = 'silent'): void {
    const { from } = this.#period;
    if (this.#last === time) return;
    if (this.#last === undefined) {
      if (time > from) this.#missing(seq, from, time, 'before the log');
      return;
    }
    if (time < this.#last) this.backwards++;
    const start = this.#last < from ? from : this.#last;
    const passed = Date.parse(time) - Date.parse(this.#last);
    if (this.#stopped) this.#missing(seq, start, time, 'stopped');
    else if (passed <= this.#longest) this.#cover(start, time);
    else if (behind === 'after the log') this.#missing(seq, start, time, behind);
    else this.#open = { seq, from: start, to: time };
  }

  /** What came behind a silence says what it was: a new process, or the same one going on. */
  #settle(cause: 'broke off' | 'silent'): void {
    if (this.#open !== undefined) this.#missing(this.#open.seq, this.#open.from, this.#open.to, cause);
    this.#open = undefined;
  }

  #missing(seq: number, from: string, to: string, cause: Gap['cause']): void {
    const seconds = (Date.parse(to) - Date.parse(from)) / 1000;
    if (seconds > 0) this.#gap({ seq, from, to, seconds, cause });
  }

  #cover(from: string, to: string): void {
    if (from.slice(0, 10) === to.slice(0, 10)) {
      this.#day(from.slice(0, 10)).covered += Date.parse(to) - Date.parse(from);
      return;
    }
    let start = Date.parse(from);
    const end = Date.parse(to);
    // A silence that is no gap lasts minutes at most: it meets one midnight, seldom two.
    while (start < end) {
      const midnight = (Math.floor(start / 86_400_000) + 1) * 86_400_000;
      const stop = Math.min(end, midnight);
      this.#day(new Date(start).toISOString().slice(0, 10)).covered += stop - start;
      start = stop;
    }
  }

  #day(day: string) {
    let found = this.#days.get(day);
    if (found === undefined) {
      found = { covered: 0, heartbeats: 0, events: 0 };
      this.#days.set(day, found);
    }
    return found;
  }

  /** Every day of the period, in order, those without events too. */
  *days(): Generator<Day> {
    const end = Date.parse(this.#period.to);
    for (let at = Date.parse(this.#period.from); at < end; ) {
      const next = Math.min(end, (Math.floor(at / 86_400_000) + 1) * 86_400_000);
      const day = new Date(at).toISOString().slice(0, 10);
      const { covered = 0, heartbeats = 0, events = 0 } = this.#days.get(day) ?? {};
      yield { day, seconds: (next - at) / 1000, covered: covered / 1000, heartbeats, events };
      at = next;
    }
  }

  get lastTime(): string | undefined {
    return this.#last;
  }
}
