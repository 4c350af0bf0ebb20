import { type Entry, readEntries } from './entry-files.ts';
import type { PackageFiles } from './package-files.ts';
import type { LogProof } from './select.ts';

/** Names of the files with the period's entries, in order. */
export function rangeFiles(files: PackageFiles): readonly string[] {
  return files
    .names()
    .filter((name) => /^events\/\d{5}\.log$/.test(name))
    .toSorted();
}

/** Names of the files with entries from outside of the period, in order. */
function singleFiles(files: PackageFiles): readonly string[] {
  const names = files.names().filter((name) => /^events\/context(\.\d+)?\.log$/.test(name));
  const part = (name: string): number => Number(/\.(\d+)\.log$/.exec(name)?.[1] ?? 1);
  return names.toSorted((a, b) => part(a) - part(b));
}

/** The entries from outside of the period, numbered as the proof says. */
export function* singleEntries(files: PackageFiles, { single }: LogProof): Generator<Entry> {
  let place = 0;
  for (const entry of readEntries(files, singleFiles(files), 0)) {
    const index = single[place++]?.entry;
    if (index === undefined) throw new Error(`${entry.file}: it holds more entries than log/proof.json names`);
    yield { ...entry, index };
  }
  if (place !== single.length) throw new Error('events/context.log: it holds fewer entries than log/proof.json names');
}

/** All entries of a package in the order of the log. */
export function* entriesOf(files: PackageFiles, proof: LogProof): Generator<Entry> {
  const singles = singleEntries(files, proof);
  let single = singles.next();
  for (; single.done !== true && single.value.index < proof.from; single = singles.next()) yield single.value;
  yield* readEntries(files, rangeFiles(files), proof.from);
  for (; single.done !== true; single = singles.next()) yield single.value;
}
