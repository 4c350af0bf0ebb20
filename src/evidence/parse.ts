import { format, type Manifest } from './manifest.ts';
import { parsePeriod } from './period.ts';
import type { LogProof } from './select.ts';

/** Rows that are drawn from one population, at most. */
export const mostSamples = 1000;

/** A manifest, as far as it has to be known before it can be made again and compared as a whole. Throws with what is wrong. */
export function parseManifest(text: string): Manifest {
  const manifest = JSON.parse(text) as Partial<Manifest> | null;
  if (manifest?.format !== format) throw new Error(`it is not of the format ${format}, which this version verifies`);
  const { parameters, files } = manifest;
  const counts = [parameters?.samples, parameters?.failures, parameters?.rows, parameters?.silence].every(isCount);
  if (parameters === undefined || !counts || parameters.samples > mostSamples || typeof parameters.seed !== 'string')
    throw new Error('its parameters are not whole');
  const { from, to } = parsePeriod(String(parameters.from), String(parameters.to));
  if (from !== parameters.from || to !== parameters.to) throw new Error('its period is not written as it should be');
  const whole =
    Array.isArray(files) && files.every((file) => typeof file?.path === 'string' && typeof file.sha256 === 'string');
  if (!whole || new Set(files?.map(({ path }) => path)).size !== files?.length)
    throw new Error('its list of files is not whole');
  return manifest as Manifest;
}

/** Throws with what is wrong. */
export function parseProof(text: string): LogProof {
  const proof = JSON.parse(text) as Partial<LogProof> | null;
  const { from, to, range, single, context } = proof ?? {};
  const ascending = (numbers: readonly number[]) =>
    numbers.every((n, i) => isCount(n) && (i === 0 || n > (numbers[i - 1] as number)));
  const good =
    isCount(from) &&
    isCount(to) &&
    from < to &&
    hashes(range) &&
    Array.isArray(context) &&
    ascending(context) &&
    Array.isArray(single) &&
    single.every((one) => hashes(one?.proof)) &&
    ascending(single.map(({ entry }) => entry)) &&
    single.every(({ entry }) => entry < from || entry >= to);
  if (!good) throw new Error('it is not whole');
  return proof as LogProof;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function hashes(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string' && /^[A-Za-z0-9+/]{43}=$/.test(text));
}
