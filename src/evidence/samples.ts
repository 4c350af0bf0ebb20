import { leafHash } from '../audit/tree.ts';
import type { RecordedEvent } from '../model/event.ts';
import { withParts } from './context.ts';
import { type Entry, eventsOf } from './entry-files.ts';
import { jsonText } from './json.ts';
import { type Sink, writeText } from './sink.ts';
import { storyOf } from './story.ts';
import type { Tables } from './tables.ts';
import type { Sampled } from './write-population.ts';

/** The inclusion proof (base64) of an entry that a sample's file names. `leaf` is its leaf hash. */
export type ProofOf = (file: string, entry: number, leaf: Buffer) => readonly string[];

interface Told {
  readonly event: RecordedEvent;
  readonly entry: number;
  readonly file: string;
  readonly leaf: Buffer;
}

/** Writes each sample with its story: all of the events that belong to it, each with the proof that it is in the log. */
export function writeSamples(
  tables: Tables,
  sampled: readonly Sampled[],
  entries: () => Iterable<Entry>,
  proofOf: ProofOf,
  sink: Sink,
): Told[] | undefined {
  const stories = sampled.flatMap(({ population, drawn }) =>
    drawn.map(({ rank, row }, i) => ({ population, rank, row, number: i + 1, seqs: storyOf(tables, population, row) })),
  );
  const told = collect(new Set(stories.flatMap(({ seqs }) => seqs)), entries);
  let example: Told[] | undefined;
  for (const { population, rank, row, number, seqs } of stories) {
    const file = `samples/${population.name}/${String(number).padStart(3, '0')}.json`;
    const story = seqs.flatMap((seq) => {
      const event = told.get(seq)?.event;
      return event === undefined ? [] : withParts(event).flatMap((part) => told.get(part) ?? []);
    });
    if (population.name === 'commands' && number === 1) example = story;
    writeText(
      sink,
      file,
      jsonText({
        sample: { population: population.name, number, rank },
        row,
        story: story.map(({ event, entry, file: where, leaf }) => ({
          event,
          entry,
          in: where,
          leaf: leaf.toString('base64'),
          proof: proofOf(file, entry, leaf),
        })),
      }),
    );
  }
  return example;
}

/** The events of these numbers, and the parts of their large fields. */
function collect(wanted: Set<number>, entries: () => Iterable<Entry>): ReadonlyMap<number, Told> {
  const found = new Map<number, Told>();
  let missing = new Set(wanted);
  // A large field's parts lie ahead of their event: that they are wanted is known when it is read. A second walk finds them.
  for (let walk = 0; walk < 2 && missing.size > 0; walk++) {
    const more = new Set<number>();
    const ordered = [...missing].toSorted((a, b) => a - b);
    let next = 0;
    for (const entry of entries()) {
      const [first, last] = seqsOf(entry.payload);
      while (next < ordered.length && (ordered[next] as number) < first) next++;
      if (next === ordered.length) break;
      if ((ordered[next] as number) > last) continue;
      const payload = Buffer.from(entry.payload);
      const leaf = leafHash(payload);
      for (const event of eventsOf({ ...entry, payload })) {
        if (!missing.has(event.seq)) continue;
        found.set(event.seq, { event, entry: entry.index, file: entry.file, leaf });
        for (const part of withParts(event)) if (!wanted.has(part)) more.add(part);
      }
    }
    missing = more;
  }
  return found;
}

/** Numbers of an entry's first and last event, read off the lines' beginnings as the log writes them. */
function seqsOf(payload: Buffer): readonly [number, number] {
  return [seqAt(payload, 0), seqAt(payload, payload.lastIndexOf(0x0a, payload.length - 2) + 1)];
}

function seqAt(payload: Buffer, start: number): number {
  const head = payload.toString('latin1', start, start + 32);
  const found = /^\{"seq":(\d+),/.exec(head)?.[1];
  if (found === undefined) throw new Error('an event does not begin with its number');
  return Number(found);
}
