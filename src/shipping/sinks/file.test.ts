import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { openAuditLog } from '../../audit/log.ts';
import { openAuditReader } from '../../audit/reader.ts';
import { sinkSchema } from '../config.ts';
import { openShipping } from '../shipping.ts';
import { log, recordsOf, Scratch, until } from '../testing.fixture.ts';
import { FileSink, rotatedPath } from './file.ts';

const scratch = new Scratch();
afterEach(() => scratch.clean());

const linesOf = (path: string): { seq: number }[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as { seq: number });
const seqsOf = (path: string): number[] => linesOf(path).map(({ seq }) => seq);

function sinkIn(dir: string, over: Partial<ConstructorParameters<typeof FileSink>[0]> = {}): FileSink {
  return scratch.keep(new FileSink({ path: join(dir, 'audit.jsonl'), rotateBytes: 1024 ** 3, keep: 0, ...over }));
}

describe('the file of JSON lines', () => {
  it('has a line for each record, for its owner alone, and goes on where it was', async () => {
    const dir = join(scratch.dir(), 'made', 'too');
    const records = recordsOf(5);
    await sinkIn(dir).send(records.slice(0, 2));
    await sinkIn(dir).send(records.slice(2));
    const path = join(dir, 'audit.jsonl');
    expect(seqsOf(path)).toEqual([1, 2, 3, 4, 5]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('is cut back to its last whole line where a crash tore it', async () => {
    for (const torn of ['{"sallyport":{"sch', 'x'.repeat(200_000)]) {
      const dir = scratch.dir();
      const path = join(dir, 'audit.jsonl');
      const records = recordsOf(3);
      await sinkIn(dir).send(records.slice(0, 1));
      appendFileSync(path, torn);
      await sinkIn(dir).send(records.slice(1));
      expect(seqsOf(path)).toEqual([1, 2, 3]);
    }
  });

  it('is renamed when it is full, by the number of its last event; the oldest go where so many are to be kept', async () => {
    const dir = scratch.dir();
    const path = join(dir, 'audit.jsonl');
    writeFileSync(join(dir, 'audit.notes.jsonl'), 'mine');
    const sink = sinkIn(dir, { rotateBytes: 10, keep: 2 });
    for (const record of recordsOf(4)) await sink.send([record]);
    expect(readdirSync(dir).sort()).toEqual([
      'audit.00000000000003.jsonl',
      'audit.00000000000004.jsonl',
      'audit.notes.jsonl',
    ]);
    expect(seqsOf(rotatedPath(path, 4))).toEqual([4]);
    expect(existsSync(path)).toBe(false);
  });

  it('is begun anew when somebody renames it away', async () => {
    const dir = scratch.dir();
    const path = join(dir, 'audit.jsonl');
    const sink = sinkIn(dir);
    const [first, second] = recordsOf(2);
    await sink.send([first!]);
    renameSync(path, `${path}.1`);
    await sink.send([second!]);
    expect([seqsOf(`${path}.1`), seqsOf(path)]).toEqual([[1], [2]]);
  });

  it('is not written through a link that somebody put in its place', async () => {
    const dir = scratch.dir();
    const other = join(scratch.dir(), 'passwd');
    writeFileSync(other, 'root\n');
    symlinkSync(other, join(dir, 'audit.jsonl'));
    await expect(sinkIn(dir).send(recordsOf(1))).rejects.toMatchObject({ code: 'ELOOP' });
    expect(readFileSync(other, 'utf8')).toBe('root\n');
  });

  it('takes 50,000 events from a real log, once each and in order, in flat memory', async () => {
    const dir = scratch.dir();
    const audit = await openAuditLog({ dir: join(dir, 'log'), origin: log, publishMs: 20 });
    const count = 50_000;
    for (let i = 1; i <= count; i += 1) {
      audit.note(
        `"type":"command.intent","session":"s","principal":"corp:bot","target":"shop","exchange":${i},"text":"select ${i} from orders where note = '${'x'.repeat(100)}'"`,
      );
      if (i % 2000 === 0) await audit.settle();
    }
    const head = await audit.record({ type: 'audit.heartbeat' });
    const path = join(dir, 'out', 'audit.jsonl');
    let most = 0;
    const before = process.memoryUsage().heapUsed;
    const shipping = await openShipping({
      sinks: [sinkSchema.parse({ name: 'lines', kind: 'file', path, rotate: '1GiB' })],
      dir: join(dir, 'shipping'),
      log,
      reader: openAuditReader(audit),
      record: (event) => audit.record(event),
      secretOf: async () => undefined,
      warn: () => undefined,
      pollMs: 20,
    });
    await until(() => {
      most = Math.max(most, process.memoryUsage().heapUsed - before);
      return shipping.metrics()[0]!.seq > head;
    });
    await shipping.close();
    await audit.close();
    const seqs = seqsOf(path);
    expect(seqs).toHaveLength(count + 2);
    expect(seqs.every((seq, i) => seq === i + 1)).toBe(true);
    // All of them together are about 20 MB of JSON, and several times that as objects.
    expect(most).toBeLessThan(64 * 1024 * 1024);
  });
});
