import { Worker } from 'node:worker_threads';
import type { Compilation } from './compile.ts';
import type { PolicyFile } from './text.ts';

/** A handful of policies takes 0.3 s; nobody waits for this but the operator. */
const compileTimeoutMs = 30_000;
const memoryMb = 512;

/**
 * Compiles policies in a thread of its own, because a text can end the Cedar instance, eat memory or never finish. The thread's
 * stack is smaller than the main thread's, so what survives there survives here. Rejects only when the thread cannot be started.
 */
export function compileIsolated(files: readonly PolicyFile[], timeoutMs = compileTimeoutMs): Promise<Compilation> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./compile-worker.${extension}`, import.meta.url), {
    workerData: files,
    execArgv: [],
    env: {},
    resourceLimits: { stackSizeMb: 0.75, maxOldGenerationSizeMb: memoryMb },
  });
  const compilation = new Promise<Compilation>((resolve, reject) => {
    const failed = (message: string): void => resolve({ problems: [{ file: '.', line: 1, message }] });
    const timer = setTimeout(() => failed(`the policies could not be compiled within ${timeoutMs} ms`), timeoutMs);
    worker.once('message', (message: Compilation) => resolve(message));
    worker.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') failed('the policies need too much memory to compile');
      else reject(error);
    });
    worker.once('exit', () => {
      clearTimeout(timer);
      failed('the policies ended the compiler');
    });
  });
  return compilation.finally(() => worker.terminate());
}
