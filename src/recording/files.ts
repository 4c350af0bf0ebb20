import { type FileHandle, mkdir, open, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';

/** What recording asks of the disk; tests put a failing one in its place. */
export interface RecordingFiles {
  readonly open: (path: string, flags: string, mode?: number) => Promise<FileHandle>;
  readonly mkdir: (path: string, options: { recursive: true; mode: number }) => Promise<unknown>;
  readonly rename: (from: string, to: string) => Promise<void>;
  readonly readdir: (path: string) => Promise<string[]>;
}

export const diskFiles: RecordingFiles = { open, mkdir, rename, readdir };

/** Where recordings that are being written stand, so that whatever a crash left is found without a search. */
export function openDirectory(dir: string): string {
  return join(dir, 'open');
}

export function openPath(dir: string, sessionId: string): string {
  return join(openDirectory(dir), `${checked(sessionId)}.rec`);
}

/** `YYYY/MM/DD` (UTC) of the session's start, which a UUIDv7 carries in its first 48 bits (RFC 9562 section 5.7). */
export function sealedDirectory(dir: string, sessionId: string): string {
  const id = checked(sessionId);
  if (!uuidv7.test(id)) return join(dir, 'undated');
  const day = new Date(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)).toISOString();
  return join(dir, day.slice(0, 4), day.slice(5, 7), day.slice(8, 10));
}

export function sealedPath(dir: string, sessionId: string): string {
  return join(sealedDirectory(dir, sessionId), `${checked(sessionId)}.rec`);
}

/** The session that a file in the open directory belongs to; undefined for files that are none of ours. */
export function sessionOf(fileName: string): string | undefined {
  const id = fileName.endsWith('.rec') ? fileName.slice(0, -4) : '';
  return isSessionId(id) ? id : undefined;
}

/** Makes a renamed or new file's name durable. */
export async function syncDirectory(path: string, files: RecordingFiles): Promise<void> {
  const handle = await files.open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Writes all of it at this place, or throws: a disk that takes only a part is full. */
export async function writeFully(handle: FileHandle, parts: readonly Buffer[], position: number): Promise<number> {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const { bytesWritten } = await handle.writev(parts, position);
  if (bytesWritten !== size) throw new Error(`the disk took ${bytesWritten} of ${size} bytes`);
  return size;
}

const idPattern = /^[0-9A-Za-z][0-9A-Za-z-]{0,63}$/;
const uuidv7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether this can be the id of a session: nothing that could leave the folder. */
export function isSessionId(text: string): boolean {
  return idPattern.test(text);
}

/** Ids come from outside when somebody asks for a replay. */
function checked(sessionId: string): string {
  if (!isSessionId(sessionId)) throw new RangeError('not a session id');
  return sessionId;
}
