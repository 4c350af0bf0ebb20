import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vkeyOf } from './checkpoint.ts';
import { frameChecksum, frameHeaderBytes, segmentHeaderBytes } from './frame.ts';
import { readFrames } from './frames.ts';
import { exportOf, intend, intentFields, origin, outcomeFields, Scratch, startSession, story } from './log.fixture.ts';
import { encodeCheckpoint, signNote } from './note.ts';
import { listSegments, readSegmentHeader, segmentPath } from './segment.ts';
import { tarEnd, tarHeader, tarPadding } from './tar.ts';
import { bundlePath, TileTree, tilePath, tileWidth } from './tiles.ts';
import { leafHash } from './tree.ts';
import { verifyLog } from './verify.ts';

const scratch = new Scratch();
let live: string;
let tar: Buffer;
let earlier: Buffer;
let vkey: string;
const key = generateKeyPairSync('ed25519').privateKey;

/** A stopped log of some 700 entries, with an export of all of it and one from the middle of its life. */
beforeAll(async () => {
  live = scratch.dir();
  const log = await scratch.open(live, { signingKey: key, segmentBytes: 128 * 1024 });
  await story(log, 's1', 200);
  earlier = await exportOf(log);
  await startSession(log, 's2');
  await intend(log, intentFields('s2', 1, 'x'.repeat(100_000)));
  log.note(outcomeFields('s2', 1));
  await story(log, 's3', 450);
  tar = await exportOf(log);
  vkey = log.vkey;
  await log.close();
});
afterAll(() => scratch.clean());

function file(bytes: Buffer): string {
  const path = join(scratch.dir(), 'log.tar');
  writeFileSync(path, bytes);
  return path;
}

/** The export as a folder, to be changed. */
function unpacked(bytes = tar): string {
  const dir = scratch.dir();
  for (const { name, content } of members(bytes)) {
    mkdirSync(join(dir, name, '..'), { recursive: true });
    writeFileSync(join(dir, name), content);
  }
  return dir;
}

function members(bytes: Buffer): { name: string; content: Buffer }[] {
  const found: { name: string; content: Buffer }[] = [];
  for (let at = 0; bytes[at] !== 0; ) {
    const size = Number.parseInt(bytes.toString('latin1', at + 124, at + 135), 8);
    found.push({
      name: bytes.toString('latin1', at, at + 100).replace(/\0.*$/s, ''),
      content: bytes.subarray(at + 512, at + 512 + size),
    });
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return found;
}

function entriesIn(bundle: Buffer): Buffer[] {
  const entries: Buffer[] = [];
  for (let at = 0; at < bundle.length; ) {
    const size = bundle.readUInt16BE(at);
    entries.push(bundle.subarray(at + 2, at + 2 + size));
    at += 2 + size;
  }
  return entries;
}

function bundleOf(entries: readonly Buffer[]): Buffer {
  return Buffer.concat(entries.flatMap((entry) => [Buffer.from([entry.length >> 8, entry.length & 255]), entry]));
}

/** A well-signed export over any entries: what somebody with the key could make. */
function forged(entries: readonly Buffer[], signingKey: KeyObject): string {
  const files = new Map<string, Buffer>();
  const tree = new TileTree((level, index, hashes) => files.set(tilePath(level, index), Buffer.from(hashes)));
  for (const entry of entries) tree.append(leafHash(entry));
  for (const { level, index, width, hashes } of tree.partial())
    files.set(tilePath(level, index, width), Buffer.from(hashes));
  for (let i = 0; i < entries.length; i += tileWidth) {
    const some = entries.slice(i, i + tileWidth);
    files.set(bundlePath(i / tileWidth, some.length), bundleOf(some));
  }
  files.set(
    'checkpoint',
    Buffer.from(signNote(encodeCheckpoint({ origin, size: entries.length, root: tree.root() }), origin, signingKey)),
  );
  const pieces = [...files].flatMap(([name, content]) => [
    tarHeader(name, content.length, 0),
    content,
    tarPadding(content.length),
  ]);
  return file(Buffer.concat([...pieces, tarEnd()]));
}

function entry(...events: readonly Record<string, unknown>[]): Buffer {
  return Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
}

describe('verification passes', () => {
  it('an export, its folder, and the directory it came from', async () => {
    for (const path of [file(tar), unpacked(), live]) {
      const report = await verifyLog(path, { vkey });
      expect(report).toMatchObject({
        ok: true,
        origin,
        unsigned: 0,
        problems: [],
        openIntents: [],
        size: report.entries,
      });
    }
  });

  it('without a key, by the one beside the log', async () => {
    expect((await verifyLog(file(tar))).ok).toBe(true);
    const forger = generateKeyPairSync('ed25519').privateKey;
    const path = forged([entry({ seq: 1, time: '2026-01-01T00:00:00.000Z', type: 'gateway.started' })], forger);
    expect((await verifyLog(path, { vkey: vkeyOf(origin, forger) })).ok).toBe(true);
    expect((await verifyLog(path)).ok).toBe(false);
    expect((await verifyLog(path, { vkey })).ok).toBe(false);
  });
});

describe('verification catches', () => {
  it('any byte of an export that is changed', async () => {
    const copy = Buffer.from(tar);
    const path = file(copy);
    await fc.assert(
      fc.asyncProperty(fc.nat(tar.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        copy[at] = (tar[at] as number) ^ flip;
        writeFileSync(path, copy);
        copy[at] = tar[at] as number;
        const report = await verifyLog(path, { vkey });
        expect(report.ok).toBe(false);
        expect(report.problems[0]?.message).toEqual(expect.any(String));
      }),
      { numRuns: 150 },
    );
  });

  it('any byte of an entry that is changed, and names the entry and the byte it starts at', async () => {
    const dir = unpacked();
    const name = bundlePath(1);
    const bundle = readFileSync(join(dir, name));
    const starts: number[] = [];
    for (let at = 0; at < bundle.length; at += 2 + bundle.readUInt16BE(at)) starts.push(at + 2);
    await fc.assert(
      fc.asyncProperty(fc.nat(bundle.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const index = starts.findLastIndex((start) => start <= at);
        if (index === -1 || at >= (starts[index + 1] ?? bundle.length + 2) - 2) return;
        const changed = Buffer.from(bundle);
        changed[at] = (changed[at] as number) ^ flip;
        writeFileSync(join(dir, name), changed);
        const report = await verifyLog(dir, { vkey });
        expect(report).toMatchObject({
          ok: false,
          firstBad: { entry: 256 + index, file: name, offset: starts[index] },
        });
        expect(report.problems.at(-1)?.message).toContain('entries were changed');
      }),
      { numRuns: 30 },
    );
  });

  it('any byte of a data directory that is changed, in the entries, the tiles, the checkpoint or the key', async () => {
    const dir = scratch.dir();
    cpSync(live, dir, { recursive: true });
    const used = listSegments(dir)
      .filter((segment) => readSegmentHeader(dir, segment) !== undefined)
      .map((segment) => {
        let end = segmentHeaderBytes;
        for (const frame of readFrames(dir, { segment, offset: end })) end = frame.next.offset;
        return { path: segmentPath(dir, segment), length: end };
      });
    const tiles = readdirSync(join(dir, 'tile'), { recursive: true, withFileTypes: true })
      .filter((item) => item.isFile())
      .map((item) => join(item.parentPath, item.name));
    const others = [...tiles, join(dir, 'checkpoint'), join(dir, 'log.vkey')].map((path) => ({
      path,
      length: readFileSync(path).length,
    }));
    const places = [...used, ...others];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...places),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async ({ path, length }, pick, flip) => {
          const bytes = readFileSync(path);
          const changed = Buffer.from(bytes);
          const at = pick % length;
          changed[at] = (changed[at] as number) ^ flip;
          writeFileSync(path, changed);
          const report = await verifyLog(dir, { vkey });
          writeFileSync(path, bytes);
          expect(report.ok, `${path} byte ${at}`).toBe(false);
        },
      ),
      { numRuns: 100 },
    );
    expect((await verifyLog(dir, { vkey })).ok).toBe(true);
  });

  it('an entry whose checksum was made right again, and names where it is', async () => {
    const dir = scratch.dir();
    cpSync(live, dir, { recursive: true });
    const bytes = readFileSync(segmentPath(dir, 0));
    const frames = [...readFrames(dir, { segment: 0, offset: segmentHeaderBytes })].map(({ at, next }) => ({
      at: at.offset,
      end: next.offset,
    }));
    const victim = frames[7] as { at: number; end: number };
    const start = victim.at + frameHeaderBytes;
    const digit = bytes.indexOf('"exchange":', start) + 11;
    bytes[digit] = (bytes[digit] as number) ^ 1;
    bytes.writeUInt32BE(frameChecksum(bytes.subarray(start, victim.end)), victim.at + 4);
    writeFileSync(segmentPath(dir, 0), bytes);
    const report = await verifyLog(dir, { vkey });
    expect(report).toMatchObject({ ok: false, firstBad: { entry: 7, file: segmentPath(dir, 0), offset: start } });
  });

  const changes: Record<string, (entries: Buffer[]) => Buffer[]> = {
    deleted: (entries) => entries.toSpliced(100, 1),
    inserted: (entries) => entries.toSpliced(100, 0, entries[3] as Buffer),
    'put in another order': (entries) => entries.with(100, entries[101] as Buffer).with(101, entries[100] as Buffer),
  };
  for (const [what, change] of Object.entries(changes)) {
    it(`an entry that was ${what}`, async () => {
      const dir = unpacked();
      const path = join(dir, bundlePath(0));
      writeFileSync(path, bundleOf(change(entriesIn(readFileSync(path)))));
      expect(await verifyLog(dir, { vkey })).toMatchObject({
        ok: false,
        firstBad: { entry: 100, file: bundlePath(0) },
      });
    });
  }

  it('a log that was cut', async () => {
    const dir = unpacked();
    const last = members(tar).findLast(({ name }) => name.startsWith('tile/entries')) as {
      name: string;
      content: Buffer;
    };
    const cut = entriesIn(last.content).slice(0, -1);
    writeFileSync(join(dir, last.name), bundleOf(cut));
    expect((await verifyLog(dir, { vkey })).problems[0]?.message).toContain('ends inside an entry');
    rmSync(join(dir, last.name));
    expect((await verifyLog(dir, { vkey })).problems[0]?.message).toContain('the file is missing');
    for (const length of [tar.length - 1, tar.length - 600, 5000, 513, 10, 0]) {
      expect((await verifyLog(file(tar.subarray(0, length)), { vkey })).ok, String(length)).toBe(false);
    }
  });

  it('an older checkpoint over newer entries', async () => {
    const old = members(earlier).find(({ name }) => name === 'checkpoint') as { content: Buffer };
    const dir = unpacked();
    writeFileSync(join(dir, 'checkpoint'), old.content);
    const report = await verifyLog(dir, { vkey });
    expect(report.ok).toBe(false);
    expect(report.problems.map(({ kind }) => kind)).toContain('beyond');
    const directory = scratch.dir();
    cpSync(live, directory, { recursive: true });
    writeFileSync(join(directory, 'checkpoint'), old.content);
    expect((await verifyLog(directory, { vkey })).unsigned).toBeGreaterThan(400);
  });

  it('a newer checkpoint over an older log', async () => {
    const dir = unpacked(earlier);
    writeFileSync(
      join(dir, 'checkpoint'),
      (members(tar).find(({ name }) => name === 'checkpoint') as { content: Buffer }).content,
    );
    const report = await verifyLog(dir, { vkey });
    expect(report.ok).toBe(false);
    expect(report.firstBad?.entry).toBeLessThan(256);
  });

  it('another key, and a checkpoint of another log', async () => {
    const other = generateKeyPairSync('ed25519').privateKey;
    expect((await verifyLog(file(tar), { vkey: vkeyOf(origin, other) })).problems[0]?.message).toContain(
      'not signed by',
    );
    expect((await verifyLog(file(tar), { vkey: vkeyOf('gw.example/other', key) })).problems[0]?.message).toContain(
      'not signed by',
    );
    expect((await verifyLog(file(tar), { vkey: 'nonsense' })).ok).toBe(false);
  });

  it('tiles that do not belong to the entries, and says that the entries are right', async () => {
    const dir = unpacked();
    const tile = readFileSync(join(dir, 'tile/0/001'));
    tile[5] = (tile[5] as number) ^ 1;
    writeFileSync(join(dir, 'tile/0/001'), tile);
    const report = await verifyLog(dir, { vkey });
    expect(report.problems.at(-1)?.message).toContain('it is the tiles that were changed');
    expect(report.firstBad).toBeUndefined();
  });

  it('files that nobody vouches for', async () => {
    const dir = unpacked();
    writeFileSync(join(dir, 'tile/entries/009'), 'x');
    expect((await verifyLog(dir, { vkey })).problems).toMatchObject([
      { kind: 'beyond', message: expect.stringContaining('tile/entries/009') },
    ]);
  });

  it('a path where there is no log', async () => {
    expect(await verifyLog(join(scratch.dir(), 'nothing'), { vkey })).toMatchObject({
      ok: false,
      problems: [{ kind: 'file' }],
    });
    expect(await verifyLog(scratch.dir(), { vkey })).toMatchObject({
      ok: false,
      problems: [{ message: 'there is no checkpoint' }],
    });
  });
});

describe('verification catches, even when all of it is well signed,', () => {
  const time = '2026-01-01T00:00:00.000Z';
  const vkeyHere = (): string => vkeyOf(origin, key);
  const intent = { time, type: 'command.intent', session: 's', exchange: 1 };
  const cases: Record<string, [readonly Buffer[], string]> = {
    'a gap in the numbers': [
      [entry({ seq: 1, time, type: 'x' }), entry({ seq: 3, time, type: 'x' })],
      'event 3: number 2 was expected',
    ],
    'a number that is there twice': [
      [entry({ seq: 1, time, type: 'x' }, { seq: 1, time, type: 'x' })],
      'event 1: number 2 was expected',
    ],
    'time that runs backwards': [
      [entry({ seq: 1, time: '2026-01-01T00:00:01.000Z', type: 'x' }), entry({ seq: 2, time, type: 'x' })],
      'is before that of the event ahead of it',
    ],
    'an event without a time': [[entry({ seq: 1, time: 'noon', type: 'x' })], 'it has no time'],
    'an outcome without an intent': [
      [entry({ seq: 1, time, type: 'command.outcome', session: 's', exchange: 1 })],
      'the outcome of a command that has no intent',
    ],
    'a second outcome': [
      [
        entry(
          { seq: 1, ...intent },
          { seq: 2, ...intent, type: 'command.outcome' },
          { seq: 3, ...intent, type: 'command.outcome' },
        ),
      ],
      'event 3: it is the outcome of a command that has no intent',
    ],
    'what is not JSON': [[Buffer.from('{"seq":1\n')], 'the entry is not JSON'],
    'what is not an event': [[Buffer.from('[1]\n')], 'a line is not an event'],
    'an entry without its end': [[Buffer.from(`{"seq":1,"time":"${time}","type":"x"}`)], 'does not end in a newline'],
    'a large field of which a part is missing': [
      [entry({ seq: 1, time, type: 'x', large: ['text'], text: { from: 1, parts: 1, bytes: 1, sha256: '' } })],
      'the parts of its field text',
    ],
  };
  for (const [what, [entries, message]] of Object.entries(cases)) {
    it(what, async () => {
      const report = await verifyLog(forged(entries, key), { vkey: vkeyHere() });
      expect(report.ok).toBe(false);
      expect(report.problems.map((problem) => problem.message).join('\n')).toContain(message);
    });
  }

  it('and lists commands without an outcome', async () => {
    const report = await verifyLog(forged([entry({ seq: 1, ...intent }, { seq: 2, ...intent, exchange: 2 })], key), {
      vkey: vkeyHere(),
    });
    expect(report).toMatchObject({
      ok: true,
      openIntentCount: 2,
      openIntents: [
        { session: 's', exchange: 1, seq: 1 },
        { session: 's', exchange: 2, seq: 2 },
      ],
    });
  });
});
