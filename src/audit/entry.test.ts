import { mkdirSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { LogClock } from './clock.ts';
import { FrameError, frameHeaderBytes, maxEntryBytes, segmentHeaderBytes } from './frame.ts';
import { readFrames } from './frames.ts';
import { entryTargetBytes, Group } from './group.ts';
import { joinLargeEvent, splitLargeEvent } from './large.ts';
import { lastEvent, parseEntry, walkEntry } from './lines.ts';
import { intentFields, outcomeFields, Scratch } from './log.fixture.ts';
import { segmentPath, segmentsDir } from './segment.ts';

const scratch = new Scratch();
afterEach(() => scratch.clean());

/** A directory with one segment that holds these bytes behind its header. */
function segment(bytes: Buffer): string {
  const dir = scratch.dir();
  mkdirSync(segmentsDir(dir));
  writeFileSync(segmentPath(dir, 0), Buffer.concat([Buffer.alloc(segmentHeaderBytes), bytes, Buffer.alloc(100)]));
  return dir;
}

const start = { segment: 0, offset: segmentHeaderBytes };

describe('a group', () => {
  it('puts the lines of a turn into as few entries as hold them, in order', () => {
    const lines = fc.array(fc.string({ unit: 'grapheme', maxLength: 30_000, minLength: 1 }), {
      minLength: 1,
      maxLength: 30,
    });
    fc.assert(
      fc.property(lines, (texts) => {
        const group = new Group();
        const written = texts.map((text) => `${JSON.stringify(text).slice(0, 18_000)}\n`);
        for (const line of written) group.add(line);
        const dir = segment(Buffer.from(group.seal().bytes));
        const payloads = [...readFrames(dir, start)].map(({ payload }) => payload.toString('utf8'));
        expect(payloads.join('')).toBe(written.join(''));
        for (const payload of payloads) expect(Buffer.byteLength(payload)).toBeLessThanOrEqual(maxEntryBytes);
        for (let i = 1; i < payloads.length; i++) {
          const first = (payloads[i] as string).split('\n')[0] as string;
          expect(Buffer.byteLength(payloads[i - 1] as string) + Buffer.byteLength(first) + 1).toBeGreaterThan(
            entryTargetBytes,
          );
        }
      }),
      { numRuns: 20 },
    );
  });
});

describe('frames', () => {
  const group = new Group();
  for (let i = 0; i < 5; i++) group.add(`${'x'.repeat(40_000)}\n`);
  const { bytes, ends } = group.seal();
  const whole = Buffer.from(bytes);

  it('end where the zeros begin', () => {
    expect([...readFrames(segment(whole), start)].length).toBe(5);
  });

  it('are refused from the first one that any byte of was changed', () => {
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Buffer.from(whole);
        changed[at] = (changed[at] as number) ^ flip;
        const good = ends.filter((end) => end <= at).length;
        let seen = 0;
        expect(() => {
          for (const _ of readFrames(segment(changed), start, {
            segment: 0,
            offset: segmentHeaderBytes + whole.length,
          }))
            seen++;
        }).toThrow(FrameError);
        expect(seen).toBe(good);
      }),
      { numRuns: 40 },
    );
  });

  it('are refused when cut short anywhere', () => {
    for (const length of [1, frameHeaderBytes - 1, frameHeaderBytes, 100, whole.length - 1]) {
      const dir = segment(whole.subarray(0, length));
      expect(
        () => [...readFrames(dir, start, { segment: 0, offset: segmentHeaderBytes + whole.length })],
        String(length),
      ).toThrow(FrameError);
    }
  });
});

describe('an event too large for an entry', () => {
  it('is split into events that fit, and comes back as it was', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 500 }),
      fc.constantFrom('\u0001', '"', '€', '\ud83d', '😀', '\\').map((c) => c.repeat(70_000)),
    );
    fc.assert(
      fc.property(text, text, (one, two) => {
        const event = { type: 'command.intent', session: 's', text: one, parameters: [two, null], exchange: 3 };
        const lines = splitLargeEvent(JSON.stringify(event).slice(1, -1), 10);
        for (const line of lines) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(entryTargetBytes - 100);
        const events = lines.map((line) => JSON.parse(`{${line}}`) as Record<string, unknown>);
        const joined = joinLargeEvent(events.at(-1) as Record<string, unknown>, (seq) =>
          String(events[seq - 10]?.data),
        );
        expect(joined).toEqual(JSON.parse(JSON.stringify(event)));
      }),
      { numRuns: 8 },
    );
  });

  it('is not put together from parts that were changed', () => {
    const lines = splitLargeEvent(`"type":"command.intent","text":${JSON.stringify('a'.repeat(50_000))}`, 1);
    const events = lines.map((line) => JSON.parse(`{${line}}`) as Record<string, unknown>);
    expect(() =>
      joinLargeEvent(events.at(-1) as Record<string, unknown>, (seq) => `${events[seq - 1]?.data}`.replace('a', 'b')),
    ).toThrow('parts of field text');
  });

  it('is refused when it is many small fields', () => {
    const fields = Array.from({ length: 200 }, (_, i) => `"f${i}":"${'x'.repeat(900)}"`).join(',');
    expect(() => splitLargeEvent(`"type":"command.intent",${fields}`, 1)).toThrow('too many fields');
  });
});

describe('the lines of an entry', () => {
  const line = (seq: number, fields: string): string => `{"seq":${seq},"time":"2026-01-02T03:04:05.006Z",${fields}}\n`;

  it('are told apart without parsing those of commands', () => {
    const hostile = intentFields('s-1', 2, 'x","type":"command.outcome","exchange":9,"prepareOnly":true,\n{"seq":5');
    const payload = Buffer.from(
      line(1, intentFields('s-1', 1)) +
        line(2, outcomeFields('s-1', 1)) +
        line(3, hostile) +
        line(4, '"type":"session.ended","session":"s-1","reason":"ü"'),
    );
    const commands: unknown[] = [];
    const others: unknown[] = [];
    walkEntry(
      payload,
      (one) => commands.push(one),
      (event) => others.push(event),
    );
    expect(commands).toEqual([
      { intent: true, session: 's-1', exchange: '1', seq: 1, prepareOnly: false },
      { intent: false, session: 's-1', exchange: '1', seq: 2, prepareOnly: false },
      { intent: true, session: 's-1', exchange: '2', seq: 3, prepareOnly: false },
    ]);
    expect(others).toEqual([
      { seq: 4, time: '2026-01-02T03:04:05.006Z', type: 'session.ended', session: 's-1', reason: 'ü' },
    ]);
    expect(parseEntry(payload).map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect(lastEvent(payload)).toEqual({ seq: 4, time: Date.parse('2026-01-02T03:04:05.006Z') });
  });

  it('know a command that is only prepared', () => {
    const prepared =
      '"type":"command.intent","session":"s","principal":"p \\" ü","target":"t","exchange":7,"verb":"SELECT","prepareOnly":true,"text":"select 1"';
    const seen: boolean[] = [];
    walkEntry(
      Buffer.from(line(1, prepared)),
      (one) => seen.push(one.prepareOnly),
      () => seen.push(false),
    );
    expect(seen).toEqual([true]);
  });

  it('are refused without their end', () => {
    expect(() => parseEntry(Buffer.from(line(1, '"type":"x"').slice(0, -1)))).toThrow(SyntaxError);
  });
});

describe('the clock', () => {
  it('never runs backwards', () => {
    let now = 1000;
    const clock = new LogClock(() => now, 2000);
    expect(clock.time()).toBe('1970-01-01T00:00:02.000Z');
    now = 3000;
    expect(clock.time()).toBe('1970-01-01T00:00:03.000Z');
    now = 2500;
    expect(clock.time()).toBe('1970-01-01T00:00:03.000Z');
  });
});
