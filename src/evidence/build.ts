import { hash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { openSource } from '../audit/source.ts';
import { tarEnd, tarHeader, tarPadding } from '../audit/tar.ts';
import { inclusionProof } from '../audit/tree.ts';
import { type VerifyReport, verifyLog } from '../audit/verify.ts';
import { type Derived, derive } from './derive.ts';
import { jsonText } from './json.ts';
import { leaversName, parseLeavers } from './leavers.ts';
import {
  binding,
  Catalogue,
  format,
  type Manifest,
  manifestName,
  type Parameters,
  signatureName,
  signedText,
} from './manifest.ts';
import { entriesOf } from './package-entries.ts';
import { openPackage } from './package-files.ts';
import { subtreesOf } from './range-proof.ts';
import { samplingAlgorithm } from './sampling.ts';
import { selectEvents } from './select.ts';
import { FolderSink, writeText } from './sink.ts';

export interface BuildOptions {
  /** An export of the log, a tar archive or unpacked; or the log's data folder, which may be in use. */
  readonly log: string;
  /** A folder that is not there yet, or a name that ends in `.tar`. */
  readonly output: string;
  readonly parameters: Omit<Parameters, 'seed'> & { readonly seed?: string };
  /** The key that was kept; without it the one beside the log. */
  readonly vkey?: string;
  /** The text of a list of leavers, see `parseLeavers`. */
  readonly leavers?: string;
  /** Signs the manifest as a note (C2SP signed-note). Where the log's key is not at hand there is none. */
  readonly sign?: (text: string) => Promise<string>;
}

export type Built =
  | { readonly ok: true; readonly manifest: Manifest; readonly derived: Derived }
  /** The log does not verify, so nothing was made of it. */
  | { readonly ok: false; readonly report: VerifyReport };

/** Builds a package of evidence. The log is verified first. What is only half there is never under the final name. Throws NothingToShow. */
export async function buildEvidence(options: BuildOptions): Promise<Built> {
  const output = resolve(options.output);
  if (statSync(output, { throwIfNoEntry: false }) !== undefined)
    throw new RangeError(`${options.output} is there already`);
  const vkey = options.vkey?.trim() ?? keyBeside(options.log);
  const report = await verifyLog(options.log, { vkey });
  if (!report.ok) return { ok: false, report };
  const part = mkdtempSync(join(dirname(output), `.${basename(output)}.part-`));
  try {
    const built = await buildInto(part, vkey, options);
    if (output.endsWith('.tar')) archive(part, output, Date.parse(options.parameters.to));
    else renameSync(part, output);
    return { ok: true, ...built };
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}

async function buildInto(dir: string, vkey: string, options: BuildOptions) {
  const { log, leavers = '', parameters: given } = options;
  const sink = new Catalogue(new FolderSink(dir));
  const { checkpoint, proof } = selectEvents(log, vkey, given, sink);
  const source = openSource(log);
  try {
    const root = checkpoint.root.toString('hex');
    const parameters: Parameters = { ...given, seed: given.seed ?? root };
    if (leavers !== '') writeText(sink, leaversName, leavers);
    const read = subtreesOf(source, checkpoint.size);
    const proofs = new Map<number, readonly string[]>();
    const proofOf = (_: string, entry: number): readonly string[] => {
      let known = proofs.get(entry);
      if (known === undefined) {
        known = inclusionProof(read, entry, checkpoint.size).map((node) => node.toString('base64'));
        proofs.set(entry, known);
      }
      return known;
    };
    const files = openPackage(dir);
    const entries = () => entriesOf(files, proof);
    const derived = derive({ checkpoint, proof, parameters, leavers: parseLeavers(leavers), entries, proofOf }, sink);
    const logged = { origin: checkpoint.origin, size: checkpoint.size, root, from: proof.from, to: proof.to };
    const manifest: Manifest = {
      format,
      log: logged,
      parameters,
      sampling: samplingAlgorithm,
      binding,
      files: sink.files,
    };
    const text = jsonText(manifest);
    const plain = new FolderSink(dir);
    writeText(plain, manifestName, text);
    if (options.sign !== undefined)
      writeText(plain, signatureName, await options.sign(signedText(checkpoint.origin, hash('sha256', text))));
    return { manifest, derived };
  } finally {
    source.close();
  }
}

function keyBeside(log: string): string {
  const source = openSource(log);
  try {
    const key = source.read('log.vkey')?.toString('utf8').trim();
    if (key === undefined) throw new RangeError('the log brings no key along; give the one you kept: --vkey KEY');
    return key;
  } finally {
    source.close();
  }
}

/** The folder as a ustar archive, files by name; the same files make the same bytes. */
function archive(dir: string, output: string, mtime: number): void {
  const partial = `${output}.part`;
  const fd = openSync(partial, 'wx', 0o600);
  try {
    const files = openPackage(dir);
    for (const name of files.names().toSorted()) {
      const { size } = statSync(join(dir, name));
      writeSync(fd, tarHeader(name, size, mtime));
      for (const chunk of files.chunks(name))
        for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done);
      writeSync(fd, tarPadding(size));
    }
    writeSync(fd, tarEnd());
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
  renameSync(partial, output);
}
