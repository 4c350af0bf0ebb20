import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RecordingDamaged } from './damaged.ts';
import { collect, Fixture } from './fixture.ts';
import { digestSize, encodeHeader, encodeSeal, encodeSegmentHeader, sha256 } from './format.ts';
import { Reply, writeFrameHead } from './frame.ts';
import { readFrames, verifyRecording } from './reader.ts';

let fixture: Fixture;
let path: string;
let intact: Buffer;
let digest: string;

beforeAll(async () => {
  fixture = await Fixture.create();
  const session = fixture.session();
  const recording = fixture.recorder.open(session);
  for (let exchange = 1; exchange <= 3; exchange++) {
    recording.request(exchange, `{"text":"select ${exchange}"}`);
    recording.reply(exchange, Buffer.from('row '.repeat(exchange * 100)));
    await collect(fixture.recorder.frames(session.id)); // ends a segment
  }
  await recording.close();
  path = join(fixture.dir, 'copy.rec');
  intact = await readFile(fixture.sealedPath(session));
  digest = fixture.events[0]!.digest as string;
});
afterAll(() => fixture[Symbol.asyncDispose]());

async function read(bytes: Buffer) {
  await writeFile(path, bytes);
  return collect(readFrames([path]));
}

describe('a damaged recording', () => {
  it('is found wherever one byte is changed', async () => {
    for (let at = 0; at < intact.length; at++) {
      const bytes = Buffer.from(intact);
      bytes[at]! ^= 1 << (at % 8);
      await writeFile(path, bytes);
      await expect(verifyRecording(path)).rejects.toBeInstanceOf(RecordingDamaged);
    }
  });

  it('is found wherever it is cut, and still shows what is whole', async () => {
    const whole = await read(intact);
    expect([whole.frames.length, whole.error]).toEqual([6, undefined]);
    let most = 0;
    for (let length = 0; length < intact.length; length++) {
      const { frames, error } = await read(intact.subarray(0, length));
      expect(error).toBeInstanceOf(RecordingDamaged);
      expect(frames).toEqual(whole.frames.slice(0, frames.length));
      expect(frames.length).toBeGreaterThanOrEqual(most);
      most = frames.length;
      await expect(verifyRecording(path)).rejects.toBeInstanceOf(RecordingDamaged);
    }
    expect(most).toBe(6);
  });

  it('names the segment, after the frames before it', async () => {
    const bytes = Buffer.from(intact);
    const second = bytes.indexOf('SEG1', bytes.indexOf('SEG1') + 1);
    bytes[second + 60]! ^= 1;
    const { frames, error } = await read(bytes);
    expect(frames).toHaveLength(2);
    expect(error?.message).toContain('segment 2 of the recording');
  });

  it('is found when segments are left out, doubled or exchanged', async () => {
    const starts = [0, 1, 2].reduce<number[]>(
      (found) => [...found, intact.indexOf('SEG1', (found.at(-1) ?? -1) + 1)],
      [],
    );
    const [head, one, two, three, seal] = [0, ...starts, intact.indexOf('SEAL'), intact.length]
      .map((start, i, all) => intact.subarray(start, all[i + 1]))
      .slice(0, 5) as [Buffer, Buffer, Buffer, Buffer, Buffer];
    for (const parts of [
      [head, two, three, seal],
      [head, one, three, seal],
      [head, one, two, seal],
      [head, one, one, two, three, seal],
      [head, two, one, three, seal],
      [head, one, two, three, seal, seal],
      [head, one, two, three],
      [head, seal],
    ]) {
      await writeFile(path, Buffer.concat(parts));
      await expect(verifyRecording(path)).rejects.toBeInstanceOf(RecordingDamaged);
    }
    await writeFile(path, Buffer.concat([head, one, two, three, seal]));
    expect((await verifyRecording(path)).digest).toBe(digest);
  });

  it('is found when its segments come from another session', async () => {
    const session = fixture.session();
    const recording = fixture.recorder.open(session);
    recording.reply(1, Buffer.from('other'));
    await recording.close();
    const other = await readFile(fixture.sealedPath(session));
    await writeFile(
      path,
      Buffer.concat([intact.subarray(0, intact.indexOf('SEG1')), other.subarray(other.indexOf('SEG1'))]),
    );
    await expect(verifyRecording(path)).rejects.toBeInstanceOf(RecordingDamaged);
  });

  it('cannot make the reader hang, crash or give out frames when it is noise', async () => {
    for (let i = 0; i < 200; i++) {
      const { frames, error } = await read(
        Buffer.concat([i % 2 === 0 ? intact.subarray(0, i) : Buffer.alloc(0), randomBytes(i * 7)]),
      );
      expect(frames).toEqual([]);
      expect(error).toBeInstanceOf(RecordingDamaged);
    }
  });
});

describe('a forged recording', () => {
  const header = encodeHeader({ session: 's', principal: 'p', target: 't', protocol: 'postgres', startedAt: 0 });
  const link = header.subarray(header.length - digestSize);

  function forge(plain: Buffer, payload: Buffer, plainLength = plain.length, frames = 1): Buffer {
    const compressed = payload !== plain;
    const head = encodeSegmentHeader({
      number: 1,
      frames,
      plainLength,
      storedLength: payload.length,
      compressed,
      link,
    });
    const segment = sha256(head, payload);
    const seal = encodeSeal({ truncated: false, segments: 1, frames, bytes: 0, link: segment });
    return Buffer.concat([header, head, payload, segment, seal.bytes]);
  }

  it('with right digests all through has another digest than the log', async () => {
    const head = Buffer.alloc(15);
    writeFrameHead(head, 0, 1, Reply, 0, 0);
    await writeFile(path, forge(head, head));
    expect((await verifyRecording(path)).digest).not.toBe(digest);
  });

  it('cannot unpack to more than it says', async () => {
    const bomb = zstdCompressSync(Buffer.alloc(50_000_000));
    expect(bomb.length).toBeLessThan(200_000);
    const { error } = await read(forge(Buffer.alloc(0), bomb, 200_000));
    expect(error?.message).toMatch(/segment 1 .* cannot be decompressed/);
  });

  it('cannot claim frames that are not there, or leave bytes between them', async () => {
    const plain = Buffer.alloc(40);
    writeFrameHead(plain, 0, 1, Reply, 0, 25);
    const { error: more } = await read(forge(plain, plain, plain.length, 2));
    expect(more).toBeInstanceOf(RecordingDamaged);
    const { error: fewer } = await read(forge(plain, plain, plain.length, 0));
    expect(fewer).toBeInstanceOf(RecordingDamaged);
    writeFrameHead(plain, 0, 1, Reply, 0, 0xffff_fff0);
    const { error: long } = await read(forge(plain, plain));
    expect(long).toBeInstanceOf(RecordingDamaged);
    plain[8] = 9; // no such kind
    expect((await read(forge(plain, plain))).error).toBeInstanceOf(RecordingDamaged);
  });
});
