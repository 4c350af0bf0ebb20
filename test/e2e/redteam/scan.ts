import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';

/** `file: value` for each of the values that stands in a file of the folder, as it is, in Base64 or compressed. */
export function filesWith(folder: string, values: readonly string[]): readonly string[] {
  const found: string[] = [];
  for (const name of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!name.isFile()) continue;
    const bytes = readFileSync(join(name.parentPath, name.name));
    const all = [bytes, ...decompressed(bytes)];
    for (const value of values)
      for (const form of [value, Buffer.from(value).toString('base64').slice(0, -4)])
        if (all.some((each) => each.includes(form))) found.push(`${join(name.parentPath, name.name)}: ${value}`);
  }
  return found;
}

const magic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** What the zstd frames in a file hold, wherever they begin. */
function decompressed(bytes: Buffer): readonly Buffer[] {
  const found: Buffer[] = [];
  for (let at = bytes.indexOf(magic); at >= 0; at = bytes.indexOf(magic, at + 1)) {
    try {
      found.push(zstdDecompressSync(bytes.subarray(at)));
    } catch {
      // not the beginning of one
    }
  }
  return found;
}
