import { exportReadme } from './export.ts';
import { parseEntry } from './lines.ts';
import { type Checkpoint, decodeCheckpoint, decodeVkey, openNote } from './note.ts';
import { type LogSource, openSource, type Place } from './source.ts';
import { type OpenIntent, Story } from './story.ts';
import { partialTiles, TileTree, tilePath, tileWidth } from './tiles.ts';
import { hashBytes, leafHashInPlace } from './tree.ts';

export interface VerifyProblem {
  readonly kind: 'checkpoint' | 'entry' | 'event' | 'tile' | 'missing' | 'beyond' | 'file' | 'root';
  readonly message: string;
  /** Number of the entry, where it is one. */
  readonly entry?: number;
  readonly place?: Place;
}

export interface VerifyReport {
  /** Every byte of the log is what was signed, and the events make a whole story. */
  readonly ok: boolean;
  readonly origin?: string;
  /** Entries that the checkpoint vouches for. */
  readonly size: number;
  /** Root hash of the checkpoint, hex. */
  readonly root?: string;
  /** Entries and events that were read. */
  readonly entries: number;
  readonly events: number;
  /** Entries behind the checkpoint: only in a live directory, where they are signed within a second. Checked, but not proved. */
  readonly unsigned: number;
  readonly lastSeq: number;
  readonly firstTime?: string;
  readonly lastTime?: string;
  /** Commands without an outcome, and how many: in a stopped log there are none. */
  readonly openIntents: readonly OpenIntent[];
  readonly openIntentCount: number;
  /** In the order of the log; the first 100. */
  readonly problems: readonly VerifyProblem[];
  readonly problemCount: number;
  /** The first entry that is not what was signed. */
  readonly firstBad?: { readonly entry: number } & Place;
}

/**
 * Verifies a log offline: an export (a tar file or unpacked), or a data directory, which may be in use. Needs the public key only; without
 * one it takes the key beside the log, which whoever forged the log could have put there. Reads once from front to back; memory does
 * not grow with the log but for names of the archive's files and for open commands.
 */
export async function verifyLog(path: string, { vkey }: { readonly vkey?: string } = {}): Promise<VerifyReport> {
  let source: LogSource | undefined;
  try {
    source = openSource(path);
    const key = vkey ?? source.read('log.vkey')?.toString('utf8').trim();
    if (key === undefined) throw new Error('no key was given, and there is none beside the log');
    return await new Verification(source, key).run();
  } catch (error) {
    const message = (error as Error).message;
    return { ...nothing, problems: [{ kind: 'file', message }], problemCount: 1 };
  } finally {
    source?.close();
  }
}

const nothing = {
  ok: false,
  size: 0,
  entries: 0,
  events: 0,
  unsigned: 0,
  lastSeq: 0,
  openIntents: [],
  openIntentCount: 0,
} as const;
const maxProblems = 100;

class Verification {
  readonly #source: LogSource;
  readonly #vkey: string;
  readonly #story = new Story();
  readonly #problems: VerifyProblem[] = [];
  #problemCount = 0;
  #firstBad: ({ readonly entry: number } & Place) | undefined;
  #entries = 0;
  #mismatches = 0;

  constructor(source: LogSource, vkey: string) {
    this.#source = source;
    this.#vkey = vkey;
  }

  async run(): Promise<VerifyReport> {
    const checkpoint = this.#checkpoint();
    if (checkpoint === undefined) return { ...nothing, problems: this.#problems, problemCount: this.#problemCount };
    this.#companions(checkpoint);
    const tree = new TileTree((level, index, hashes) => this.#compareTile(level, index, tileWidth, hashes));
    await this.#walk(tree, checkpoint.size);
    this.#conclude(tree, checkpoint);
    return this.#report(checkpoint);
  }

  #checkpoint(): Checkpoint | undefined {
    const note = this.#source.read('checkpoint');
    if (note === undefined) {
      this.#problem({ kind: 'checkpoint', message: 'there is no checkpoint' });
      return undefined;
    }
    try {
      const key = decodeVkey(this.#vkey);
      const checkpoint = decodeCheckpoint(openNote(note.toString('utf8'), key));
      if (checkpoint.origin !== key.name) throw new Error(`it is of ${checkpoint.origin}, not of ${key.name}`);
      return checkpoint;
    } catch (error) {
      this.#problem({ kind: 'checkpoint', message: `the checkpoint is not good: ${(error as Error).message}` });
      return undefined;
    }
  }

  #companions({ origin }: Checkpoint): void {
    const vkey = this.#source.read('log.vkey');
    if (vkey !== undefined && vkey.toString('utf8') !== `${this.#vkey.trim()}\n`) {
      this.#problem({ kind: 'file', message: 'log.vkey is not the key that was given' });
    }
    const readme = this.#source.live ? undefined : this.#source.read('README');
    if (readme !== undefined && readme.toString('utf8') !== exportReadme(origin)) {
      this.#problem({ kind: 'file', message: 'README is not the text of an export' });
    }
  }

  async #walk(tree: TileTree, size: number): Promise<void> {
    let tile: Buffer | undefined;
    for (const item of this.#source.entries(size)) {
      const entry = this.#entries;
      if (entry < size && entry % tileWidth === 0) {
        if (entry % (64 * tileWidth) === 0) await new Promise((resolve) => setImmediate(resolve));
        tile = this.#source.tile(0, entry / tileWidth, Math.min(tileWidth, size - entry));
      }
      if ('broken' in item) {
        this.#bad(entry, item, item.broken);
        this.#story.gap();
        // The hashes that the tiles have stand in, so that what follows can still be judged.
        for (let i = 0; i < item.lost; i++) {
          if (this.#entries % tileWidth === 0)
            tile = this.#source.tile(0, this.#entries / tileWidth, Math.min(tileWidth, size - this.#entries));
          tree.append(hashOf(tile, this.#entries) ?? Buffer.alloc(hashBytes));
          this.#entries++;
        }
        continue;
      }
      this.#entries++;
      const { payload } = item;
      if (entry < size) {
        const leaf = leafHashInPlace(
          Buffer.from(payload.buffer, payload.byteOffset - 1, payload.length + 1),
          1,
          payload.length + 1,
        );
        const stored = hashOf(tile, entry);
        if (stored !== undefined && !stored.equals(leaf)) {
          this.#mismatches++;
          this.#bad(entry, item, `it does not match its hash in ${tilePath(0, Math.floor(entry / tileWidth))}`);
        }
        tree.append(leaf);
      }
      this.#read(entry, item, payload);
    }
  }

  #read(entry: number, place: Place, payload: Buffer): void {
    try {
      for (const event of parseEntry(payload)) {
        const wrong = this.#story.add(event);
        if (wrong !== undefined) this.#problem({ kind: 'event', message: wrong, entry, place: placeOf(place) });
      }
    } catch (error) {
      this.#story.gap();
      this.#problem({
        kind: 'event',
        message: `the entry is not JSON: ${(error as Error).message}`,
        entry,
        place: placeOf(place),
      });
    }
  }

  #compareTile(level: number, index: number, width: number, hashes: Buffer): void {
    const stored = this.#source.tile(level, index, width);
    const name = tilePath(level, index, width);
    if (stored === undefined) {
      if (!this.#source.live) this.#problem({ kind: 'missing', message: `${name} is missing` });
    } else if (!stored.equals(hashes)) {
      this.#problem({ kind: 'tile', message: `${name} does not match the entries below it` });
    }
  }

  #conclude(tree: TileTree, { size, root }: Checkpoint): void {
    for (const { level, index, width, hashes } of tree.partial()) this.#compareTile(level, index, width, hashes);
    if (tree.size < size) {
      this.#problem({
        kind: 'missing',
        message: `${size} entries were signed, ${tree.size} are there`,
        entry: tree.size,
      });
    } else if (!tree.root().equals(root)) {
      const tilesAreRight = this.#storedRoot(size)?.equals(root) === true;
      const which = tilesAreRight ? 'the tiles do: entries were changed' : 'nor do the tiles';
      this.#problem({ kind: 'root', message: `the entries do not lead to the signed root; ${which}` });
    } else if (this.#mismatches > 0) {
      this.#firstBad = undefined;
      this.#problem({
        kind: 'tile',
        message: 'the entries lead to the signed root: it is the tiles that were changed',
      });
    }
    for (const name of this.#source.unread()) {
      this.#problem({ kind: 'beyond', message: `${name} is not part of the log that the checkpoint vouches for` });
    }
  }

  /** The root that the stored tiles lead to. */
  #storedRoot(size: number): Buffer | undefined {
    const tree = new TileTree(() => {});
    const complete = tree.restore(size, (level, index, width) => this.#source.tile(level, index, width));
    return complete && partialTiles(size).length > 0 ? tree.root() : undefined;
  }

  #bad(entry: number, place: Place, message: string): void {
    this.#firstBad ??= { entry, ...placeOf(place) };
    this.#problem({ kind: 'entry', message: `entry ${entry}: ${message}`, entry, place: placeOf(place) });
  }

  #problem(problem: VerifyProblem): void {
    this.#problemCount++;
    if (this.#problems.length < maxProblems) this.#problems.push(problem);
  }

  #report({ origin, size, root }: Checkpoint): VerifyReport {
    const open = this.#story.openIntents;
    return {
      ok: this.#problemCount === 0,
      origin,
      size,
      root: root.toString('hex'),
      entries: this.#entries,
      events: this.#story.events,
      unsigned: Math.max(0, this.#entries - size),
      ...this.#story.range,
      openIntents: open.slice(0, 1000),
      openIntentCount: open.length,
      problems: this.#problems,
      problemCount: this.#problemCount,
      ...(this.#firstBad === undefined ? {} : { firstBad: this.#firstBad }),
    };
  }
}

function hashOf(tile: Buffer | undefined, entry: number): Buffer | undefined {
  const at = (entry % tileWidth) * hashBytes;
  return tile === undefined || tile.length < at + hashBytes ? undefined : tile.subarray(at, at + hashBytes);
}

function placeOf({ file, offset }: Place): Place {
  return { file, offset };
}
