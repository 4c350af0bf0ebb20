import { watch } from 'node:fs';

/** An editor writes a file in several steps; this long after the last one it is taken to be done. */
const quietMs = 200;

export interface FolderListener {
  changed(): void;
  failed(error: Error): void;
}

/** Tells when a folder's files have changed and come to rest. Does not keep the process alive. Call the result to stop. */
export function watchFolder(dir: string, { changed, failed }: FolderListener): () => void {
  let timer: NodeJS.Timeout | undefined;
  const watcher = watch(dir, { persistent: false }, () => {
    clearTimeout(timer);
    timer = setTimeout(changed, quietMs);
    timer.unref();
  });
  watcher.on('error', failed);
  return () => {
    clearTimeout(timer);
    watcher.close();
  };
}
