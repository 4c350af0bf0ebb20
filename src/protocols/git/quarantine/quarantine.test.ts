import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { once, Scene } from '../inspect/scene.fixture.ts';
import { findPrograms, startGit } from './git-process.ts';
import { type FetchPack, openMirror } from './mirror.ts';
import { openQuarantine, type Quarantine, type QuarantineOptions, type Received } from './quarantine.ts';

let scene: Scene;
let main: string;
let tip: string;
beforeAll(() => {
  scene = new Scene();
  main = scene.commit({ files: { 'a.txt': 'a line\n'.repeat(200) } });
  tip = scene.commit({ parents: [main], files: { 'a.txt': `${'a line\n'.repeat(200)}more\n` } });
  scene.upstream('refs/heads/main', main);
});
afterAll(() => scene.remove());

const receive = (pack: Buffer, options: QuarantineOptions = {}, signal?: AbortSignal): Promise<Received> => {
  const { file } = scene.spool(pack);
  return scene.quarantined(scene.push([]), (quarantine) => quarantine.receive(file, signal), options);
};
const code = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'received',
    (error: { code?: string }) => error.code,
  );

describe('a mirror', () => {
  it('fetches only what it lacks, and knows it when opened again', async () => {
    const asked: [readonly string[], readonly string[]][] = [];
    const fetchPack: FetchPack = async (wants, haves) => {
      asked.push([wants, haves]);
      return once(scene.packBetween(wants, haves));
    };
    const folder = join(scene.folder, 'mirror-2');
    const mirror = await openMirror(folder, 'sha1');
    await mirror.update([{ id: main }], fetchPack);
    await mirror.update([{ id: main }], fetchPack);
    await Promise.all([mirror.update([{ id: main }, { id: tip }], fetchPack), mirror.update([{ id: tip }], fetchPack)]);
    mkdirSync(join(folder, 'quarantine-left-by-a-crash'));
    writeFileSync(join(folder, 'mirror-sha1.git/objects/pack/tmp_pack_x'), 'x');
    writeFileSync(join(folder, `mirror-sha1.git/refs/known/${main}.lock`), '');
    writeFileSync(join(folder, 'mirror-sha1.git/packed-refs.lock'), '');
    const again = await openMirror(folder, 'sha1');
    await again.update([{ id: main }, { id: tip }], fetchPack);
    await again.update([{ id: tip }], fetchPack);
    expect(asked).toEqual([
      [[main], []],
      [[tip], [main]],
    ]);
    expect(again.known).toEqual(new Set([tip]));
    expect(readdirSync(folder)).toEqual(['mirror-sha1.git']);
    expect(readdirSync(join(folder, 'mirror-sha1.git/objects/pack')).some((name) => name.startsWith('tmp'))).toBe(
      false,
    );
  });

  it.each([
    ['nothing', (): Buffer => Buffer.alloc(0)],
    ['noise', (): Buffer => Buffer.alloc(5000, 'noise')],
    ['a pack cut short', (): Buffer => scene.packBetween([tip], []).subarray(0, -30)],
    ['a history with gaps', (): Buffer => scene.packOf(scene.objects([tip], []).slice(0, 1))],
    ['something else', (): Buffer => scene.packBetween([main], [])],
  ])('refuses %s from upstream, and is as it was', async (_, pack) => {
    const mirror = await openMirror(join(scene.folder, `mirror-${Math.random()}`), 'sha1');
    expect(await code(mirror.update([{ id: tip }], async () => once(pack())))).toBe('SP6002');
    expect(mirror.known.size).toBe(0);
    await mirror.update([{ id: tip }], async (wants, haves) => once(scene.packBetween(wants, haves)));
    expect(mirror.known).toEqual(new Set([tip]));
  });

  it('passes on that fetching failed', async () => {
    const mirror = await openMirror(join(scene.folder, 'mirror-3'), 'sha1');
    async function* broken(): AsyncIterable<Buffer> {
      yield scene.packBetween([tip], []).subarray(0, 20);
      throw new Error('the connection broke');
    }
    await expect(mirror.update([{ id: tip }], async () => broken())).rejects.toThrow('the connection broke');
    expect(readdirSync(join(mirror.git.path, 'objects/pack'))).toEqual([]);
  });

  it('joins its packs when there are many, and loses nothing', async () => {
    const mirror = await openMirror(join(scene.folder, 'mirror-5'), 'sha1', { packs: 3 });
    const fetchPack: FetchPack = async (wants, haves) => once(scene.packBetween(wants, haves));
    const next = scene.commit({ parents: [tip], files: { 'c.txt': 'c' } });
    for (const id of [main, tip, next]) await mirror.update([{ id }], fetchPack);
    const files = readdirSync(join(mirror.git.path, 'objects/pack')).filter((name) => name.endsWith('.pack'));
    expect(files).toHaveLength(1);
    await mirror.git.text({ arguments: ['rev-list', '--objects', '--quiet', next] });
  });

  it('takes no id that is none', async () => {
    const mirror = await openMirror(join(scene.folder, 'mirror-4'), 'sha1');
    for (const id of ['--upload-pack=touch x', 'HEAD', main.slice(1), `${main}\n${main}`, main.toUpperCase()]) {
      await expect(mirror.update([{ id }], async () => once(Buffer.alloc(0)))).rejects.toThrow('not an object id');
    }
  });
});

describe('a quarantine', () => {
  it('takes in a thin pack and says which objects it brought', async () => {
    const thin = scene.packBetween([tip], [main], true);
    expect(thin.length).toBeLessThan(scene.packBetween([tip], [main], false).length + 40);
    const { ids } = await receive(thin);
    expect([...ids].sort()).toEqual(scene.objects([tip], [main]).sort());
  });

  it('leaves the mirror alone until it is promoted, and nothing when it is destroyed', async () => {
    const own = new Scene();
    const first = own.commit({ files: { a: 'a' } });
    const second = own.commit({ parents: [first], files: { a: 'b' } });
    own.upstream('refs/heads/main', first);
    const mirror = await own.mirror();
    const packs = (): number => readdirSync(join(mirror.git.path, 'objects/pack')).length;
    const before = packs();
    const push = own.push([{ old: first, new: second }]);
    await own.quarantined(push, async () => expect(packs()).toBe(before));
    expect(readdirSync(mirror.folder)).toEqual(['mirror-sha1.git']);
    await own.quarantined(push, (quarantine) => quarantine.promote());
    expect(packs()).toBeGreaterThan(before);
    own.upstream('refs/heads/main', second);
    await mirror.update(own.refs, () => Promise.reject(new Error('nothing should be fetched')));
    expect(mirror.known.has(second)).toBe(true);
    own.remove();
  });

  it('packs only what the accepted tips reach', async () => {
    const other = scene.commit({ parents: [main], files: { 'refused.txt': 'refused' } });
    const hidden = scene.blob('hidden');
    const pack = scene.packOf([...scene.objects([tip, other], [main]), hidden]);
    const file = join(scene.folder, 'accepted.pack');
    await scene.quarantined(scene.push([], pack), async (quarantine) => {
      const { bytes } = await quarantine.pack([tip], [main], file);
      expect(bytes).toBe(readFileSync(file).length);
      await expect(quarantine.pack(['--all'], [main], join(scene.folder, 'never.pack'))).rejects.toThrow('object id');
    });
    expect(existsSync(join(scene.folder, 'never.pack'))).toBe(false);
    const { ids } = await receive(readFileSync(file));
    expect([...ids].sort()).toEqual(scene.objects([tip], [main]).sort());
  });

  it.each([
    ['noise', (): Buffer => Buffer.from('PICK noise noise noise')],
    ['a pack cut short', (): Buffer => scene.packBetween([tip], []).subarray(0, -10)],
    ['a flipped bit', (): Buffer => flipped(scene.packBetween([tip], []))],
    ['bytes behind the end', (): Buffer => Buffer.concat([scene.packBetween([tip], []), Buffer.from('more')])],
    ['a tree without its blob', (): Buffer => scene.packOf(scene.objects([tip], [main]).slice(0, 2))],
    ['a delta on an object that nobody has', (): Buffer => rawPack([entry(7, 4, '\x05\x05\x90\x05', '11'.repeat(20))])],
    ['fewer objects than the header says', (): Buffer => rawPack([entry(3, 1, 'x')], 2)],
    ['an object twice', (): Buffer => rawPack([entry(3, 1, 'x'), entry(3, 1, 'x')])],
    ['a size that is a lie', (): Buffer => rawPack([entry(3, 100, 'x')])],
    ['a type that does not exist', (): Buffer => rawPack([entry(5, 1, 'x')])],
    ['a commit that is none', (): Buffer => rawPack([entry(1, 5, 'hello')])],
    ['.git in a tree', (): Buffer => treeOf('.git')],
    ['.GIT in a tree', (): Buffer => treeOf('.GIT')],
    ['git~1 in a tree', (): Buffer => treeOf('git~1')],
    ['.g\u200cit in a tree', (): Buffer => treeOf('.g\u200cit')],
    ['.. in a tree', (): Buffer => treeOf('..')],
    ['a slash in a name', (): Buffer => treeOf('a/b')],
  ])('refuses %s', async (_, pack) => expect(await code(receive(pack()))).toBe('SP2002'));

  it('lets no pack pass that was tampered with, though its checksum is right', async () => {
    const pack = scene.packBetween([tip], [main]);
    const whole = [...(await receive(pack)).ids].sort();
    for (let i = 0; i < 24; i++) {
      const bytes = Buffer.from(pack.subarray(0, -20));
      bytes[12 + Math.floor(((bytes.length - 12) * i) / 24)]! ^= 1 << (i % 8);
      const tampered = Buffer.concat([bytes, createHash('sha1').update(bytes).digest()]);
      const push = scene.push([{ old: main, new: tip }], tampered);
      const ids = (quarantine: Quarantine): Promise<string[]> => Promise.resolve([...quarantine.received.ids].sort());
      const received = await scene.quarantined(push, ids).catch((error: { code?: string }) => error.code);
      // Some bits say how hard was packed, not what.
      if (received === 'SP2002') continue;
      if (JSON.stringify(received) !== JSON.stringify(whole)) {
        const found = await scene.inspect(push);
        expect(found.refusal ?? found.updates[0]!.refusal).toBeDefined();
      }
    }
  });

  it('says nothing that drives a terminal when it refuses', async () => {
    const files = { '.gitmodules': '[submodule "m"]\n\tpath = m\n\turl = -\x1b[2J\u202e\n' };
    const refused = await receive(scene.packBetween([scene.commit({ parents: [main], files })], [main])).catch(
      (error: Error) => error.message,
    );
    expect(refused).toMatch(/^the pack is not sound: [ -~]+$/);
  });

  it('takes no more objects or bytes than it may', async () => {
    const pack = scene.packBetween([tip], [main]);
    expect(await code(receive(pack, { objects: 2 }))).toBe('SP7001');
    expect(await code(receive(pack, { packBytes: pack.length - 1 }))).toBe('SP7001');
    expect(await code(receive(rawPack([entry(3, 1, 'x')], 0xffffffff)))).toBe('SP7001');
  });

  it('ends what unpacks without end', async () => {
    const limits = { memoryBytes: 96 * 1024 ** 2, timeMs: 4000, fileBytes: 1024 ** 3 };
    // 200 MB of zeros in 200 kB, as a delta base has to be held; a delta that repeats it.
    const zeros = deflateSync(Buffer.alloc(200 * 1024 ** 2));
    const tree = Buffer.concat([header(2, 200 * 1024 ** 2), zeros]);
    expect(await code(receive(rawPack([tree]), { limits }))).toMatch(/SP7001|SP2002/);
    const size = Buffer.from([0x80, 0x80, 0x40, 0x80, 0x80, 0x80, 0x80, 0x08]); // from 1 MiB to 2 GiB
    const copies = Buffer.concat([size, Buffer.alloc(2048, Buffer.from([0xf0, 0xff, 0xff, 0x0f]))]);
    const base = Buffer.alloc(1024 ** 2);
    const baseId = createHash('sha1').update(`blob ${base.length}\0`).update(base).digest('hex');
    const bomb = rawPack([
      Buffer.concat([header(3, base.length), deflateSync(base)]),
      entry(7, copies.length, copies, baseId),
    ]);
    expect(await code(receive(bomb, { limits }))).toMatch(/SP7001|SP2002/);
  });

  it('takes a long chain of deltas', async () => {
    let content = Buffer.alloc(200, 'x');
    const entries = [entry(3, content.length, content)];
    for (let i = 0; i < 1500; i++) {
      const base = createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
      const copy = [0xb0, content.length & 0xff, content.length >> 8]; // from 0, two bytes of length
      const delta = Buffer.from([...varint(content.length), ...varint(content.length + 1), ...copy, 1, 0x41]);
      entries.push(entry(7, delta.length, delta, base));
      content = Buffer.concat([content, Buffer.from('A')]);
    }
    expect((await receive(rawPack(entries))).ids).toHaveLength(1501);
  });

  it('stops when the caller is gone', async () => {
    const reason = new Error('gone');
    await expect(receive(scene.packBetween([tip], []), {}, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});

describe('a child of git', () => {
  const canary = (): string => join(scene.folder, 'canary');
  const planted: string[] = [];
  afterEach(() => {
    for (const name of planted.splice(0)) delete process.env[name];
  });

  it('runs no hook, filter, driver or helper, and sees nothing of our environment', async () => {
    const script = join(scene.folder, 'run.sh');
    writeFileSync(script, `#!/bin/sh\ntouch ${canary()}\n`, { mode: 0o755 });
    const config = join(scene.folder, '.gitconfig');
    writeFileSync(
      config,
      `[core]\n\tfsmonitor = ${script}\n\thooksPath = ${scene.folder}\n\tpager = ${script}\n[diff]\n\texternal = ${script}\n` +
        `[diff "run"]\n\tcommand = ${script}\n\ttextconv = ${script}\n[filter "run"]\n\tclean = ${script}\n\tsmudge = ${script}\n` +
        `\tprocess = ${script}\n[gpg]\n\tprogram = ${script}\n[credential]\n\thelper = ${script}\n`,
    );
    const plant = (name: string, value: string): void => {
      process.env[name] = value;
      planted.push(name);
    };
    plant('GIT_CONFIG_GLOBAL', config);
    plant('GIT_EXTERNAL_DIFF', script);
    plant('GIT_PAGER', script);
    plant('GIT_SSH_COMMAND', script);
    plant('GIT_ASKPASS', script);
    plant('GIT_PROXY_COMMAND', script);
    plant('GIT_TRACE', canary());
    plant('GIT_CONFIG_COUNT', '1');
    plant('GIT_CONFIG_KEY_0', 'diff.external');
    plant('GIT_CONFIG_VALUE_0', script);
    plant('GIT_EXEC_PATH', scene.folder);
    const attacker = scene.commit({
      parents: [main],
      files: {
        '.gitattributes': '* filter=run diff=run merge=run textconv=run\n',
        '.gitmodules': `[submodule "m"]\n\tpath = m\n\turl = ${scene.folder}\n\tbranch = main\n`,
        m: { mode: '160000', content: main },
        'hooks/post-checkout': { mode: '100755', content: `#!/bin/sh\ntouch ${canary()}\n` },
        'hooks/pre-receive': { mode: '100755', content: `#!/bin/sh\ntouch ${canary()}\n` },
        'a.txt': 'changed\n',
        [`--upload-pack=touch ${canary()}`]: 'x',
        '-O/dev/null': 'x',
        '.gitconfig': readFileSync(config),
      },
      message: 'x\n\nGIT_EXTERNAL_DIFF',
    });
    const found = await scene.inspect(scene.push([{ old: main, new: attacker }]));
    expect(found.updates[0]!.findings).toContain('attributes.dangerous');
    expect(found.updates[0]!.change!.text).toContain('+changed');
    expect(existsSync(canary())).toBe(false);
  });

  it('reaches no other repository', async () => {
    const mirror = await scene.mirror();
    for (const url of [`file://${scene.repository}`, scene.repository, 'ext::sh -c true', 'https://127.0.0.1:1/x']) {
      const git = mirror.git.start({ arguments: ['fetch', '--', url, 'refs/scene/c1'] });
      const { code: exit, complaint } = await git.exit;
      expect([url, exit]).toEqual([url, 128]);
      expect(complaint).toMatch(/not allowed/);
    }
  });

  it('is ended with everything it started, by time and by the caller', async () => {
    const mirror = await scene.mirror();
    const call = { repository: mirror.git.path, arguments: ['cat-file', '--batch'] };
    const limits = { ...mirror.git.limits, timeMs: 50 };
    const programs = findPrograms(process.env.PATH!);
    expect((await startGit(programs, { ...call, limits }).exit).limited).toBe('time');
    const stop = new AbortController();
    const git = startGit(programs, { ...call, limits: mirror.git.limits, signal: stop.signal });
    stop.abort();
    expect((await git.exit).limited).toBe('aborted');
    const none = startGit({ ...programs, git: '/nowhere/git', prlimit: undefined }, { ...call, limits });
    expect((await none.exit).code).toBe(null);
  });

  it('answers through a reader in order, whatever is asked', async () => {
    const mirror = await scene.mirror();
    const reader = mirror.git.reader();
    const absent = '0'.repeat(40);
    const answers = await Promise.all([
      reader.info(main),
      reader.info(absent),
      reader.head(main, 5),
      reader.read(absent, () => undefined),
      reader.info(main),
    ]);
    expect(answers.map((answer) => (Buffer.isBuffer(answer) ? answer.toString() : answer?.type))).toEqual([
      'commit',
      undefined,
      'tree ',
      undefined,
      'commit',
    ]);
    await expect(reader.info('HEAD')).rejects.toThrow('object id');
    await expect(reader.info(`${main}\ncontents ${main}`)).rejects.toThrow('object id');
    const waiting = reader.info(main);
    reader.close();
    await expect(waiting).rejects.toThrow();
    await expect(reader.info(main)).rejects.toThrow();
  });

  it('is cleared away when a quarantine cannot be opened', async () => {
    const mirror = await scene.mirror();
    const quarantine = await openQuarantine(mirror);
    await quarantine.destroy();
    await quarantine.destroy();
    expect(existsSync(quarantine.git.path)).toBe(false);
  });
});

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >> 7)];
}

function flipped(pack: Buffer): Buffer {
  pack[pack.length >> 1]! ^= 1;
  return pack;
}

function treeOf(name: string): Buffer {
  const blob = scene.blob('x');
  const content = Buffer.concat([Buffer.from(`100644 ${name}\0`), Buffer.from(blob, 'hex')]);
  return rawPack([entry(2, content.length, content), entry(3, 1, 'x')]);
}

/** gitformat-pack(5): type and size, seven bits a byte. */
function header(type: number, size: number): Buffer {
  const bytes = [(type << 4) | (size & 15)];
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes[bytes.length - 1]! |= 0x80;
    bytes.push(rest & 0x7f);
  }
  return Buffer.from(bytes);
}

function entry(type: number, size: number, content: string | Buffer, base = ''): Buffer {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
  return Buffer.concat([header(type, size), Buffer.from(base, 'hex'), deflateSync(bytes)]);
}

function rawPack(entries: readonly Buffer[], count = entries.length): Buffer {
  const head = Buffer.from('PACK\0\0\0\x02....', 'latin1');
  head.writeUInt32BE(count, 8);
  const body = Buffer.concat([head, ...entries]);
  return Buffer.concat([body, createHash('sha1').update(body).digest()]);
}
