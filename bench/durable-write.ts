import { closeSync, constants, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { percentile } from './statistics.ts';

/**
 * What a durable write costs on the disk that holds `folder`: µs, median of writes of 200 bytes, one after the other, to a
 * preallocated file opened with O_DSYNC. The gateway cannot answer faster than that, since it writes each intent so.
 */
export function measureDurableWrite(folder: string, writes = 200): number {
  const file = join(folder, 'durable-write');
  const size = 1 << 20;
  const prepare = openSync(file, 'w', 0o600);
  writeSync(prepare, Buffer.alloc(size), 0, size, 0);
  fsyncSync(prepare);
  closeSync(prepare);
  const fd = openSync(file, constants.O_WRONLY | constants.O_DSYNC);
  try {
    const record = Buffer.alloc(200, 'x');
    const times: number[] = [];
    for (let i = 0; i < writes; i++) {
      const start = performance.now();
      writeSync(fd, record, 0, record.length, (i * record.length) % (size - record.length));
      times.push((performance.now() - start) * 1000);
    }
    return percentile(
      times.sort((a, b) => a - b),
      0.5,
    );
  } finally {
    closeSync(fd);
    rmSync(file);
  }
}
