import { createHash, hash } from 'node:crypto';
import { type Checkpoint, decodeCheckpoint, decodeVkey, type NoteKey, openNote } from '../audit/note.ts';
import { leafHash, verifyInclusion } from '../audit/tree.ts';
import type { RecordedEvent } from '../model/event.ts';
import { ComparingSink } from './compare.ts';
import { type Derived, derive } from './derive.ts';
import { eventsOf, readEntries } from './entry-files.ts';
import { jsonText } from './json.ts';
import { leaversName, parseLeavers } from './leavers.ts';
import { binding, Catalogue, format, type Manifest, manifestName, signatureName, signedText } from './manifest.ts';
import { entriesOf, rangeFiles, singleEntries } from './package-entries.ts';
import { openPackage, type PackageFiles } from './package-files.ts';
import { parseManifest, parseProof } from './parse.ts';
import { rootOfRange } from './range-proof.ts';
import { samplingAlgorithm } from './sampling.ts';
import { type LogProof, logFiles } from './select.ts';

export interface EvidenceProblem {
  readonly file: string;
  readonly message: string;
  /** Line of the file, from 1, where it is one. */
  readonly line?: number;
}

export interface EvidenceReport {
  readonly ok: boolean;
  readonly origin?: string;
  readonly size?: number;
  readonly root?: string;
  readonly from?: string;
  readonly to?: string;
  readonly seed?: string;
  readonly files: number;
  readonly events: number;
  readonly populations: Derived['populations'];
  readonly samples: number;
  /** `hash`: the manifest is not signed, and binds by hash alone. */
  readonly manifest: 'signed' | 'hash';
  /** In the order of the checks; the first 100. */
  readonly problems: readonly EvidenceProblem[];
  readonly problemCount: number;
}

export interface VerifyOptions {
  /** The log's key that was kept; without it the one in the package, which proves less. */
  readonly vkey?: string;
  /** What the auditor gave; anything else in the package is wrong. */
  readonly seed?: string;
}

const mostProblems = 100;

/**
 * Verifies a package offline: every file is what the manifest says; the checkpoint is signed; the events are entries of that log and all of the
 * period; and every list, total, sample, status and page is what comes out when it is made again from the events. Never throws for a
 * package that is wrong.
 */
export function verifyEvidence(path: string, options: VerifyOptions = {}): EvidenceReport {
  const problems: EvidenceProblem[] = [];
  let problemCount = 0;
  const problem = (file: string, message: string, line?: number): void => {
    problemCount++;
    if (problems.length < mostProblems) problems.push({ file, message, ...(line === undefined ? {} : { line }) });
  };
  let known: Partial<EvidenceReport> = {};
  let at = 'package';
  try {
    const files = openPackage(path);
    at = manifestName;
    const manifest = parseManifest(needed(files, manifestName));
    known = {
      files: manifest.files.length,
      seed: manifest.parameters.seed,
      from: manifest.parameters.from,
      to: manifest.parameters.to,
    };
    checkHashes(files, manifest, problem);
    if (options.seed !== undefined && options.seed !== manifest.parameters.seed)
      problem(
        manifestName,
        `the samples were drawn with the seed ${JSON.stringify(manifest.parameters.seed)}, not with the one that was given`,
      );
    at = logFiles.checkpoint;
    const { checkpoint, key } = openCheckpoint(files, options.vkey, problem);
    const { origin, size } = checkpoint;
    known = { ...known, origin, size, root: checkpoint.root.toString('hex') };
    at = signatureName;
    known = { ...known, manifest: checkSignature(files, origin, key) };
    at = logFiles.proof;
    const proof = parseProof(needed(files, logFiles.proof));
    checkEvents(files, checkpoint, proof, manifest, problem);
    at = 'the events';
    const made = remake(files, checkpoint, proof, manifest, problem);
    known = { ...known, events: made.derived.events, populations: made.derived.populations, samples: made.samples };
  } catch (error) {
    problem(at, (error as Error).message);
  }
  const nothing = { files: 0, events: 0, populations: [], samples: 0, manifest: 'hash' as const };
  return { ...nothing, ...known, ok: problemCount === 0, problems, problemCount };
}

type Problem = (file: string, message: string, line?: number) => void;

function needed(files: PackageFiles, name: string): string {
  const text = files.text(name);
  if (text === undefined) throw new Error(`${name} is missing`);
  return text;
}

function checkHashes(files: PackageFiles, manifest: Manifest, problem: Problem): void {
  const there = new Set(files.names());
  there.delete(manifestName);
  there.delete(signatureName);
  for (const { path, bytes, sha256 } of manifest.files) {
    if (!there.delete(path)) {
      problem(path, 'the file is missing');
      continue;
    }
    const digest = createHash('sha256');
    let length = 0;
    for (const chunk of files.chunks(path)) {
      digest.update(chunk);
      length += chunk.length;
    }
    if (length !== bytes || digest.digest('hex') !== sha256)
      problem(path, 'the file is not the one that the manifest names');
  }
  for (const name of there) problem(name, 'the file is not in the manifest');
}

function openCheckpoint(
  files: PackageFiles,
  vkey: string | undefined,
  problem: Problem,
): { checkpoint: Checkpoint; key: NoteKey } {
  const inside = needed(files, logFiles.vkey).trim();
  if (vkey !== undefined && vkey.trim() !== inside) problem(logFiles.vkey, 'it is not the key that was given');
  const key = decodeVkey(vkey ?? inside);
  const checkpoint = decodeCheckpoint(openNote(needed(files, logFiles.checkpoint), key));
  if (checkpoint.origin !== key.name) throw new Error(`the checkpoint is of ${checkpoint.origin}, not of ${key.name}`);
  return { checkpoint, key };
}

function checkSignature(files: PackageFiles, origin: string, key: NoteKey): 'signed' | 'hash' {
  const note = files.text(signatureName);
  if (note === undefined) return 'hash';
  if (openNote(note, key) !== signedText(origin, hash('sha256', needed(files, manifestName))))
    throw new Error('it signs another manifest');
  return 'signed';
}

/** That the entries are in the log, that they are all of the period, and that their events follow each other without a hole. */
function checkEvents(
  files: PackageFiles,
  { size, root }: Checkpoint,
  proof: LogProof,
  manifest: Manifest,
  problem: Problem,
): void {
  const { from, to } = manifest.parameters;
  const hashes = (texts: readonly string[]): Buffer[] => texts.map((text) => Buffer.from(text, 'base64'));
  let count = 0;
  let last: RecordedEvent | undefined;
  function* leaves(): Generator<Buffer> {
    for (const entry of readEntries(files, rangeFiles(files), proof.from)) {
      for (const event of eventsOf(entry)) {
        if (last !== undefined && event.seq !== last.seq + 1)
          problem(entry.file, `event ${event.seq} of entry ${entry.index} follows event ${last.seq}`);
        if (last !== undefined && event.time < last.time)
          problem(entry.file, `event ${event.seq} of entry ${entry.index} is older than the one ahead of it`);
        last = event;
      }
      count++;
      yield leafHash(entry.payload);
    }
  }
  const found = rootOfRange(leaves(), proof.from, proof.to, size, hashes(proof.range));
  if (found === undefined || !found.equals(root)) {
    const fewer =
      count === proof.to - proof.from ? '' : `: there are ${count} entries, ${proof.to - proof.from} were to be there`;
    problem(rangeFiles(files)[0] ?? 'events', `the events do not lead to the root that the checkpoint signs${fewer}`);
  }
  const neighbours = { before: proof.from === 0, behind: proof.to === size };
  let place = 0;
  for (const entry of singleEntries(files, proof)) {
    const { index, payload, file } = entry;
    const path = hashes(proof.single[place++]?.proof ?? []);
    if (!verifyInclusion(leafHash(payload), index, size, path, root))
      problem(file, `entry ${index} is not in the log at that place`);
    const events = eventsOf(entry);
    const inside = events.some(({ time }) => time >= from && time < to);
    if (inside) problem(file, `entry ${index} is of the period and stands outside of it`);
    if (index === proof.from - 1) neighbours.before = !inside;
    if (index === proof.to) neighbours.behind = !inside;
  }
  if (!neighbours.before)
    problem(logFiles.context, 'the entry ahead of the period is not there to show that it begins with it');
  if (!neighbours.behind)
    problem(logFiles.context, 'the entry behind the period is not there to show that it ends with it');
}

/** Makes everything again and compares, the manifest last. */
function remake(files: PackageFiles, checkpoint: Checkpoint, proof: LogProof, manifest: Manifest, problem: Problem) {
  const { size, root } = checkpoint;
  const sink = new Catalogue(new ComparingSink(files, problem));
  const leavers = files.text(leaversName) ?? '';
  const proofs = new SampleProofs(files);
  const proofOf = (file: string, entry: number, leaf: Buffer): readonly string[] => {
    const path = proofs.of(file, entry);
    const good = verifyInclusion(
      leaf,
      entry,
      size,
      path.map((node) => Buffer.from(node, 'base64')),
      root,
    );
    if (!good) problem(file, `the proof of entry ${entry} does not lead to the root that the checkpoint signs`);
    return path;
  };
  const { parameters } = manifest;
  const entries = () => entriesOf(files, proof);
  const derived = derive({ checkpoint, proof, parameters, leavers: parseLeavers(leavers), entries, proofOf }, sink);
  const made = sink.files;
  const names = new Set(made.map(({ path }) => path));
  // What derives from nothing: the events and the log's own files, compared by hash before, and proved.
  const given = manifest.files.filter(({ path }) => !names.has(path));
  for (const { path } of given)
    if (!/^(events|log)\//.test(path) && path !== leaversName)
      problem(path, 'nothing in the events leads to this file');
  const logged = { origin: checkpoint.origin, size, root: root.toString('hex'), from: proof.from, to: proof.to };
  const raw = (path: string) => (path.startsWith('events/') ? ({ raw: true } as const) : {});
  const expected: Manifest = {
    format,
    log: logged,
    parameters,
    sampling: samplingAlgorithm,
    binding,
    files: [
      ...made,
      ...given.map(({ path, bytes, sha256, mediaType }) => ({ path, bytes, sha256, mediaType, ...raw(path) })),
    ].toSorted((a, b) => (a.path < b.path ? -1 : 1)),
  };
  const compared = new ComparingSink(files, problem).file(manifestName);
  compared.write(Buffer.from(jsonText(expected)));
  compared.end();
  return { derived, samples: made.filter(({ path }) => path.startsWith('samples/')).length };
}

/** The proofs that stand in the samples' files. */
class SampleProofs {
  readonly #files: PackageFiles;
  #file = '';
  #proofs = new Map<number, readonly string[]>();

  constructor(files: PackageFiles) {
    this.#files = files;
  }

  of(file: string, entry: number): readonly string[] {
    if (file !== this.#file) {
      this.#file = file;
      this.#proofs = read(this.#files.text(file));
    }
    return this.#proofs.get(entry) ?? [];
  }
}

function read(text: string | undefined): Map<number, readonly string[]> {
  const proofs = new Map<number, readonly string[]>();
  let parsed: unknown;
  try {
    parsed = JSON.parse(text ?? '{}');
  } catch {
    return proofs;
  }
  const story = typeof parsed === 'object' && parsed !== null && 'story' in parsed ? parsed.story : undefined;
  for (const item of Array.isArray(story) ? (story as unknown[]) : []) {
    if (typeof item !== 'object' || item === null || !('entry' in item) || !('proof' in item)) continue;
    const { entry, proof } = item;
    if (typeof entry === 'number' && Array.isArray(proof) && proof.every((node) => typeof node === 'string'))
      proofs.set(entry, proof);
  }
  return proofs;
}
