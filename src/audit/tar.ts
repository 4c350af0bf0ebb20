const blockBytes = 512;

/** Header of a regular file: POSIX.1-1988 ustar. The name is at most 100 bytes of ASCII. */
export function tarHeader(name: string, size: number, mtime: number): Buffer {
  if (name.length > 100) throw new RangeError(`too long for ustar: ${name}`);
  const header = Buffer.alloc(blockBytes);
  const octal = (value: number, at: number, digits: number): void => {
    header.write(`${value.toString(8).padStart(digits, '0')}\0`, at, 'latin1');
  };
  header.write(name, 0, 'latin1');
  octal(0o644, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(size, 124, 11);
  octal(Math.floor(mtime / 1000), 136, 11);
  header.write('        0', 148, 'latin1');
  header.write('ustar\u000000', 257, 'latin1');
  header.write(`${tarChecksum(header).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/** Zeros that fill up a file's last block. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((blockBytes - (size % blockBytes)) % blockBytes);
}

/** Two blocks of zeros. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * blockBytes);
}

export interface TarMember {
  readonly name: string;
  readonly size: number;
}

/** Undefined for a block of zeros, which ends the archive. Throws when the block is no header of a file or folder. */
export function readTarHeader(block: Buffer): (TarMember & { readonly file: boolean }) | undefined {
  if (block.length < blockBytes) throw new Error('the archive is cut short');
  if (block.every((byte) => byte === 0)) return undefined;
  const sum = block.toString('latin1', 148, 156);
  const blank = Buffer.from(block);
  blank.fill(0x20, 148, 156);
  if (!/^[0-7]{6}\0 $/.test(sum) || Number.parseInt(sum, 8) !== tarChecksum(blank))
    throw new Error('a header in the archive is damaged');
  const text = (from: number, to: number): string => block.toString('latin1', from, to).replace(/\0.*$/s, '');
  const type = text(156, 157);
  const prefix = text(345, 500);
  const name = `${prefix === '' ? '' : `${prefix}/`}${text(0, 100)}`;
  if (!['', '0', '5'].includes(type)) throw new Error(`the archive holds something else than files: ${name}`);
  return { name: name.replace(/^\.\//, ''), size: Number.parseInt(text(124, 136), 8), file: type !== '5' };
}

function tarChecksum(header: Buffer): number {
  let sum = 0;
  for (const byte of header) sum += byte;
  return sum;
}
