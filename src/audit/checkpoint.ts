import type { KeyObject } from 'node:crypto';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from './key.ts';
import {
  type Checkpoint,
  decodeCheckpoint,
  decodeVkey,
  encodeCheckpoint,
  encodeVkey,
  openNote,
  signNote,
} from './note.ts';
import { syncDirectory } from './segment.ts';

function checkpointPath(dir: string): string {
  return join(dir, 'checkpoint');
}

/** The signed note as it is on disk; undefined when there is none yet. */
export function readCheckpointNote(dir: string): string | undefined {
  const path = checkpointPath(dir);
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

/** What the note says, once its signature is known to be by `vkey` and its origin to be the key's name. Throws otherwise. */
export function openCheckpoint(note: string, vkey: string): Checkpoint {
  const key = decodeVkey(vkey);
  const checkpoint = decodeCheckpoint(openNote(note, key));
  if (checkpoint.origin !== key.name) throw new Error(`the checkpoint is of ${checkpoint.origin}, not of ${key.name}`);
  return checkpoint;
}

/** Signs a tree head and puts it in the place of the one before, atomically and durably. Returns the note. */
export function writeCheckpoint(dir: string, checkpoint: Checkpoint, key: KeyObject): string {
  const note = signNote(encodeCheckpoint(checkpoint), checkpoint.origin, key);
  const path = checkpointPath(dir);
  writeDurably(`${path}.tmp`, note);
  renameSync(`${path}.tmp`, path);
  syncDirectory(dir);
  return note;
}

export function vkeyOf(origin: string, key: KeyObject): string {
  return encodeVkey(origin, key);
}
