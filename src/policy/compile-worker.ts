import { parentPort, workerData } from 'node:worker_threads';
import { loadCedar } from './engine.ts';
import type { PolicyFile } from './text.ts';
import { tryCompile } from './try-compile.ts';

/** What `isolate.ts` starts: compiles what it is given and answers once. */
parentPort?.postMessage(tryCompile(workerData as readonly PolicyFile[], loadCedar));
