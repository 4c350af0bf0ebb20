import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { sealedDirectory } from './files.ts';
import { collect, Fixture, replyOf } from './fixture.ts';
import { verifyRecording } from './reader.ts';

const child = fileURLToPath(new URL('./crash.child.ts', import.meta.url));

/** Runs the child until it has confirmed `exchanges`, then kills it. */
async function crash(dir: string, exchanges: number): Promise<{ readonly id: string; readonly confirmed: number }> {
  const process_ = spawn(process.execPath, [child, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  await new Promise<void>((resolve, reject) => {
    process_.on('error', reject);
    process_.on('exit', () => resolve());
    process_.stdout.on('data', (data: Buffer) => {
      output += data.toString();
      if (Number(output.trimEnd().split('\n').at(-1)) >= exchanges) process_.kill('SIGKILL');
    });
  });
  const lines = output.split('\n').slice(0, -1);
  return { id: lines[0]!, confirmed: Number(lines.at(-1)) };
}

describe('after a crash', () => {
  it('the recording is closed with all that was in the file, and said to be truncated', async () => {
    await using fixture = await Fixture.create();
    const { id, confirmed } = await crash(fixture.dir, 60);
    expect(await fixture.recorder.recover()).toBe(1);
    const { frames, error, end } = await collect(fixture.recorder.frames(id));
    expect([error, end]).toEqual([undefined, 'truncated']);
    for (let exchange = 1; exchange <= confirmed; exchange++) {
      expect(replyOf(frames, exchange).equals(Buffer.alloc(20_000, `row ${exchange} `))).toBe(true);
    }
    const [event] = fixture.events;
    expect(event).toMatchObject({
      type: 'recording.sealed',
      session: id,
      principal: 'ci:a',
      target: 'shop',
      truncated: true,
    });
    expect(event?.frames).toBeGreaterThanOrEqual(2 * confirmed);
    const day = new Date(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16))
      .toISOString()
      .slice(0, 10)
      .replaceAll('-', '/');
    expect(await verifyRecording(join(fixture.dir, day, `${id}.rec`))).toMatchObject({
      truncated: true,
      digest: event?.digest,
    });
    expect(await fixture.recorder.recover()).toBe(0);
    expect(fixture.events).toHaveLength(1);
  });
});

describe('recovery', () => {
  /** A recording that was left in `open/`, made from an intact one. */
  async function left(fixture: Fixture, change: (bytes: Buffer) => Buffer): Promise<string> {
    const session = fixture.session();
    const recording = fixture.recorder.open(session);
    recording.reply(1, Buffer.from('first'));
    await collect(fixture.recorder.frames(session.id));
    recording.reply(2, Buffer.from('second'));
    await recording.close();
    const bytes = await readFile(fixture.sealedPath(session));
    fixture.events.length = 0;
    const crashed = fixture.session();
    await writeFile(join(fixture.dir, 'open', `${crashed.id}.rec`), change(bytes));
    return crashed.id;
  }

  it('keeps the intact segments wherever the file is torn, and puts the rest aside', async () => {
    await using fixture = await Fixture.create();
    let length = 0;
    await left(fixture, (bytes) => {
      length = bytes.length;
      return bytes;
    });
    await fixture.recorder.recover();
    for (let cut = 0; cut < length; cut += 3) {
      let rest: Buffer = Buffer.alloc(0);
      const id = await left(fixture, (bytes) => {
        rest = bytes.subarray(0, cut);
        return rest;
      });
      expect(await fixture.recorder.recover()).toBe(1);
      const { frames, error } = await collect(fixture.recorder.frames(id));
      expect(error).toBeUndefined();
      const shown = frames.map(({ bytes }) => bytes.toString());
      expect(['first', 'second'].slice(0, shown.length)).toEqual(shown);
      const [event] = fixture.events;
      expect(event).toMatchObject({ truncated: true, frames: shown.length });
      const folder = join(fixture.dir, ...new Date(fixture.now).toISOString().slice(0, 10).split('-'));
      const torn = (await readdir(folder)).includes(`${id}.torn`)
        ? await readFile(join(folder, `${id}.torn`))
        : Buffer.alloc(0);
      expect(torn.length).toBe(event?.discarded);
      expect(rest.subarray(rest.length - torn.length).equals(torn)).toBe(true);
    }
  });

  it('takes a recording that was sealed before the crash as it is', async () => {
    await using fixture = await Fixture.create();
    const id = await left(fixture, (bytes) => bytes);
    await fixture.recorder.recover();
    expect(fixture.events).toMatchObject([
      { type: 'recording.sealed', session: id, truncated: false, discarded: 0, segments: 2 },
    ]);
  });

  it('says nothing is closed when the log does not take it, and closes it the next time', async () => {
    await using fixture = await Fixture.create();
    const id = await left(fixture, (bytes) => bytes.subarray(0, bytes.length - 20));
    const { record } = fixture.audit;
    fixture.audit.record = async () => {
      throw new Error('the log is gone');
    };
    await expect(fixture.recorder.recover()).rejects.toThrow('the log is gone');
    fixture.audit.record = record;
    expect(await fixture.recorder.recover()).toBe(1);
    expect(fixture.events).toMatchObject([{ session: id, truncated: true, segments: 2 }]);
  });

  it('records of a session that nothing was kept when nothing of it had reached the disk', async () => {
    await using fixture = await Fixture.create();
    const { id: session, principal, target, protocol, startedAt } = fixture.session();
    const header = { session, principal: principal.id, target, protocol, startedAt };
    const { record } = fixture.audit;
    fixture.audit.record = async () => {
      throw new Error('the log is gone');
    };
    await expect(fixture.recorder.recover([header])).rejects.toThrow('the log is gone');
    fixture.audit.record = record;
    expect(await fixture.recorder.recover([header])).toBe(1);
    const none = { segments: 0, frames: 0, bytes: 0, truncated: true };
    expect(fixture.events).toMatchObject([
      { type: 'recording.sealed', session, principal: 'ci:agent', target: 'shop', ...none },
    ]);
    expect(await collect(fixture.recorder.frames(session))).toEqual({ frames: [], end: 'truncated' });
    expect(await verifyRecording(join(sealedDirectory(fixture.dir, session), `${session}.rec`))).toMatchObject({
      session,
      digest: fixture.events[0]?.digest,
      ...none,
    });
    expect(await fixture.recorder.recover([header])).toBe(0);
    expect(fixture.events).toHaveLength(1);
  });

  it('keeps what an ended session has, sealed or not', async () => {
    await using fixture = await Fixture.create();
    const sealed = fixture.session();
    const recording = fixture.recorder.open(sealed);
    recording.reply(1, Buffer.from('shown'));
    await recording.close();
    const open = await left(fixture, (bytes) => bytes.subarray(0, bytes.length - 1));
    const { principal, target, protocol, startedAt } = sealed;
    const sessions = [sealed.id, open].map((session) => ({
      session,
      principal: principal.id,
      target,
      protocol,
      startedAt,
    }));
    expect(await fixture.recorder.recover(sessions)).toBe(1);
    expect(fixture.events).toMatchObject([{ session: open, segments: 2 }]);
    expect((await collect(fixture.recorder.frames(sealed.id))).frames).toHaveLength(1);
  });

  it('leaves files alone that are none of its own', async () => {
    await using fixture = await Fixture.create();
    await mkdir(join(fixture.dir, 'open'));
    await writeFile(join(fixture.dir, 'open', 'notes.txt'), 'x');
    expect(await fixture.recorder.recover()).toBe(0);
    expect(await readdir(join(fixture.dir, 'open'))).toEqual(['notes.txt']);
  });
});
