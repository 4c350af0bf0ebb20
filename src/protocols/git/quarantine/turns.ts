import { setImmediate } from 'node:timers/promises';

/** Lets others have a turn: returns a promise once `ms` of work have passed since the last time, nothing before. */
export function turns(ms = 8): () => Promise<void> | undefined {
  let since = performance.now();
  return () => {
    if (performance.now() - since < ms) return undefined;
    return setImmediate().then(() => {
      since = performance.now();
    });
  };
}
