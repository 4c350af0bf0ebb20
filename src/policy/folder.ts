import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError } from '../model/errors.ts';
import { type PolicyFile, textLimits } from './text.ts';

/**
 * The `*.cedar` files of a folder, by name; not of the folders in it. Their names begin with `prefix`.
 * Throws ConfigError when it cannot be read.
 */
export async function readPolicyFolder(dir: string, prefix = ''): Promise<readonly PolicyFile[]> {
  try {
    const names = (await readdir(dir)).filter((name) => name.endsWith('.cedar')).sort();
    if (names.length > textLimits.files)
      throw new ConfigError(`${dir}:1: policies: more than ${textLimits.files} files`);
    return await Promise.all(
      names.map(async (file) => ({ file: `${prefix}${file}`, text: await readText(join(dir, file)) })),
    );
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(
      `${dir}:1: policies: the folder cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`,
    );
  }
}

async function readText(path: string): Promise<string> {
  const bytes = await readFile(path);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ConfigError(`${path}:1: policies: not UTF-8`);
  }
}
