import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Replaces a file as a whole: after a crash it is the old one or the new one. Resolves when it is on disk. Mode 0600. */
export async function replaceFile(path: string, content: string): Promise<void> {
  const next = `${path}.next`;
  {
    await using file = await open(next, 'w', 0o600);
    await file.writeFile(content);
    await file.sync();
  }
  await rename(next, path);
  await syncFolder(dirname(path));
}

/** Adds to the end of a file; resolves when it is on disk. Mode 0600. */
export async function appendDurably(path: string, content: string): Promise<void> {
  await using file = await open(path, 'a', 0o600);
  await file.appendFile(content);
  await file.sync();
}

/** What was made, renamed or removed in a folder is so on disk when this resolves. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}
