import type { Period } from './period.ts';
import type { FileTotals, Sink, SinkFile } from './sink.ts';

export const format = 'sallyport-evidence/1';
export const manifestName = 'manifest.json';
/** The manifest's digest, signed: only where a signer was at hand. */
export const signatureName = 'manifest.note';

/** What a package was made with. The same log and the same parameters make the same bytes. */
export interface Parameters extends Period {
  /** Samples are drawn with it: the auditor's own words. */
  readonly seed: string;
  /** Rows that are drawn from each population. */
  readonly samples: number;
  /** Failed logins of one address in an hour that are not yet an exception. */
  readonly failures: number;
  /** Rows of one reply that are looked at. At least 1000. */
  readonly rows: number;
  /** Seconds without an event that are a gap. */
  readonly silence: number;
}

export interface ManifestFile extends FileTotals {
  readonly path: string;
  readonly mediaType: string;
  /** To be given to the auditor for verification, not into upload forms: it holds statements as they were sent. */
  readonly raw?: true;
}

export interface Manifest {
  readonly format: typeof format;
  readonly log: {
    readonly origin: string;
    /** Entries that the checkpoint vouches for, and their root (hex). */
    readonly size: number;
    readonly root: string;
    /** Entries of the period. */
    readonly from: number;
    readonly to: number;
  };
  readonly parameters: Parameters;
  readonly sampling: string;
  readonly binding: string;
  readonly files: readonly ManifestFile[];
}

/** What the manifest says of its own standing. */
export const binding =
  'The events are bound to the log by its signed checkpoint (log/checkpoint.txt) and the proofs in log/proof.json. Everything else follows from the events and these parameters, and `sallyport evidence verify` makes it again to compare. This manifest binds the files by hash; manifest.note, where there is one, signs it.';

/** The text that a signature of a manifest is over. Its first line is not a log's name, so it can never pass for a checkpoint. */
export function signedText(origin: string, manifestSha256: string): string {
  return `sallyport-evidence-manifest/1\n${origin}\n${manifestSha256}\n`;
}

const mediaTypes: Readonly<Record<string, string>> = {
  csv: 'text/csv',
  html: 'text/html',
  json: 'application/json',
  log: 'application/x-ndjson',
  txt: 'text/plain',
};

export function mediaTypeOf(path: string): string {
  return mediaTypes[path.slice(path.lastIndexOf('.') + 1)] ?? 'application/octet-stream';
}

/** Passes files on to a sink and keeps what they add up to. */
export class Catalogue implements Sink {
  readonly #sink: Sink;
  readonly #files = new Map<string, FileTotals>();

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  file(name: string): SinkFile {
    const file = this.#sink.file(name);
    return {
      write: (bytes) => file.write(bytes),
      end: () => {
        const totals = file.end();
        this.#files.set(name, totals);
        return totals;
      },
    };
  }

  /** By path. */
  get files(): readonly ManifestFile[] {
    return [...this.#files]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([path, { bytes, sha256 }]) => ({
        path,
        bytes,
        sha256,
        mediaType: mediaTypeOf(path),
        ...(path.startsWith('events/') ? { raw: true } : {}),
      }));
  }
}

export const samplesNote = 'How: manifest.json, “sampling”. Whoever holds the seed draws the same rows.';
