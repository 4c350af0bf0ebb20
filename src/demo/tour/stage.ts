import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { World } from '../world.ts';

/** A step of the story failed to do what it says. */
export class TourError extends Error {}

/** Tells what comes, does it, and tells what `work` returns; it throws TourError when that is not what was told. */
export type Step = (what: string, work: () => Promise<string>) => Promise<void>;

export interface Done {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

const command = fileURLToPath(new URL('../../../bin/sallyport.mjs', import.meta.url));

/** Runs `sallyport …` as a logged-in person. */
export function cli(world: World, person: string, ...args: readonly string[]): Promise<Done> {
  return run(process.execPath, [command, ...args], { ...process.env, SALLYPORT_HOME: world.home(person) });
}

/** Verifies without login, server or network: the export and the public key are all it gets. */
export function verify(world: World, path: string, vkey: string): Promise<Done> {
  return run(process.execPath, [command, 'audit', 'verify', path, '--vkey', vkey], {
    PATH: process.env.PATH ?? '',
    SALLYPORT_HOME: join(world.folder, 'nobody'),
  });
}

export function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv, cwd?: string): Promise<Done> {
  return new Promise((resolve) => {
    const options = { env, maxBuffer: 64 * 1024 * 1024, ...(cwd === undefined ? {} : { cwd }) };
    execFile(program, [...args], options, (error, out, err) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : error ? 1 : 0, out, err });
    });
  });
}

export function expect(condition: boolean, otherwise: string): void {
  if (!condition) throw new TourError(otherwise);
}

/** The id of the approval request that a refusal speaks of. */
export function requestIn(text: string): string {
  const id = /request ([0-9a-f-]{36})/.exec(text)?.[1];
  if (id === undefined) throw new TourError(`no request id in: ${text}`);
  return id;
}

/** Indented, the first lines. */
export function lines(text: string, most: number): string {
  return text.trim().split('\n').slice(0, most).join('\n    ');
}
