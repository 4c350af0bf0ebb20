import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Classified } from '../../model/command.ts';
import { flush, packet } from './pktline.ts';
import { git, gitEnv, gitResult } from './testing/git-backend.fixture.ts';
import { startRoom, type TestRoom, type Verdict } from './testing/room.fixture.ts';

let room: TestRoom;
let source: string;
const ids: Record<string, string> = {};
let clones = 0;

beforeAll(async () => {
  room = await startRoom();
  const bare = await room.backend.create('acme/app.git');
  source = join(room.folder, 'source');
  await git(room.folder, ['init', '-q', '-b', 'main', source]);
  for (let n = 1; n <= 5; n++) {
    writeFileSync(join(source, `file${n}.txt`), `content ${n}\n`.repeat(n * 50));
    await git(source, ['add', '.']);
    await git(source, ['commit', '-q', '-m', `commit ${n}`]);
  }
  await git(source, ['tag', '-a', '-m', 'one', 'v1.0']);
  await git(source, ['branch', 'other', 'HEAD~2']);
  await git(source, ['checkout', '-q', '-b', 'side', 'HEAD~1']);
  writeFileSync(join(source, 'side.txt'), 'aside\n');
  await git(source, ['add', '.']);
  await git(source, ['commit', '-q', '-m', 'aside']);
  await git(source, ['checkout', '-q', '-b', 'secret', 'main']);
  writeFileSync(join(source, 'hidden.txt'), 'nobody may see this\n');
  await git(source, ['add', '.']);
  await git(source, ['commit', '-q', '-m', 'hidden commit']);
  await git(source, ['tag', '-a', '-m', 'hidden tag', 'secret-tag']);
  await git(source, ['tag', '-a', '-m', 'said in secret', 'secret-word', 'main']);
  const names = ['main', 'other', 'side', 'secret', 'v1.0', 'secret-tag', 'secret-word'];
  await git(source, ['push', '-q', bare, ...names]);
  for (const name of names) {
    ids[name] = (await git(source, ['rev-parse', name])).trim();
  }
});

afterAll(() => room.close());
afterEach(() => {
  room.policy = () => 'allow';
  room.backend.override = undefined;
  room.holdMs = 100;
});

const folder = () => join(room.folder, `clone-${++clones}`);
const touches = (classified: Classified, id: RegExp) => classified.resources.some((resource) => id.test(resource.id));
const hides =
  (pattern: RegExp) =>
  (classified: Classified): Verdict =>
    touches(classified, pattern) ? 'deny' : 'allow';

describe.each(['0', '2'])('git in protocol version %s', (version) => {
  const v = ['-c', `protocol.version=${version}`];
  const clone = async (...args: string[]) => {
    const to = folder();
    await git(room.folder, [...v, 'clone', '-q', ...args, room.url('acme/app.git'), to]);
    return to;
  };

  it('clones everything that there is', async () => {
    const to = await clone();
    expect((await git(to, ['log', '--format=%s'])).trim().split('\n')).toHaveLength(5);
    expect((await git(to, ['tag'])).trim().split('\n')).toEqual(['secret-tag', 'secret-word', 'v1.0']);
    expect(await git(to, ['for-each-ref', '--format=%(refname)', 'refs/remotes'])).toContain('origin/secret');
    await git(to, ['fsck', '--strict']);
  });

  it('fetches what is new, and what tags come with it', async () => {
    const to = await clone('--single-branch', '--branch', 'other', '--no-tags');
    await git(to, ['config', 'remote.origin.fetch', '+refs/heads/*:refs/remotes/origin/*']);
    await git(to, ['config', 'remote.origin.tagOpt', '']);
    await git(to, [...v, 'fetch', '-q', 'origin']);
    expect((await git(to, ['rev-parse', 'origin/main'])).trim()).toBe(ids.main);
    expect((await git(to, ['rev-parse', 'v1.0'])).trim()).toBe(ids['v1.0']);
    await git(to, [...v, 'fetch', 'origin']);
  });

  it('clones a part of the history and deepens it', async () => {
    const to = await clone('--depth', '1');
    expect((await git(to, ['rev-list', '--count', 'HEAD'])).trim()).toBe('1');
    await git(to, [...v, 'fetch', '-q', '--depth', '3', 'origin', 'main']);
    expect((await git(to, ['rev-list', '--count', 'FETCH_HEAD'])).trim()).toBe('3');
    await git(to, [...v, 'fetch', '-q', '--deepen', '1', 'origin', 'main']);
    expect((await git(to, ['rev-list', '--count', 'FETCH_HEAD'])).trim()).toBe('4');
    await git(to, [...v, 'fetch', '-q', '--unshallow', 'origin']);
    expect((await git(to, ['rev-list', '--count', 'origin/main'])).trim()).toBe('5');
    expect(room.events.some(({ text }) => String(text).endsWith('depth=1'))).toBe(true);
  });

  it('leaves out what a tag has already', async () => {
    const to = await clone('--shallow-exclude', 'other', '--single-branch', '--branch', 'main');
    expect((await git(to, ['rev-list', '--count', 'HEAD'])).trim()).toBe('2');
  });

  it('clones without file contents and fetches them one by one', async () => {
    const to = folder();
    await git(room.folder, [...v, 'clone', '-q', '--no-checkout', '--filter=blob:none', room.url('acme/app.git'), to]);
    expect(await git(to, ['rev-list', '--objects', '--missing=print', 'HEAD'])).toMatch(/^\?/m);
    expect(await git(to, [...v, 'show', 'main:file3.txt'])).toContain('content 3');
    const loose = room.events.find(({ text }) =>
      /^fetch acme\/app\nwant [0-9a-f]{40}(?:\nfilter=.*)?$/.test(String(text)),
    );
    expect(JSON.stringify(loose)).toContain('Object acme/app@');
  });

  it('shows nothing of a ref that the caller may not read', async () => {
    room.policy = hides(/:refs\/(?:heads\/secret|tags\/secret-.*)$/);
    const listed = await git(room.folder, [...v, 'ls-remote', room.url('acme/app.git')]);
    expect(listed).toContain('refs/heads/main');
    expect(listed).toContain('refs/tags/v1.0^{}');
    expect(listed).not.toContain('secret');
    expect(listed).not.toContain(ids.secret);
    const to = await clone();
    expect((await gitResult(to, ['cat-file', '-e', ids.secret!])).status).not.toBe(0);
    expect((await gitResult(to, ['cat-file', '-e', ids['secret-tag']!])).status).not.toBe(0);
    // A clone of one branch has the server send the tags that point into it.
    const single = await clone('--single-branch');
    expect((await gitResult(single, ['cat-file', '-e', ids['secret-word']!])).status).not.toBe(0);
    // Here it does not: the next fetch asks for those that may be seen.
    await git(single, [...v, 'fetch', '-q', 'origin']);
    expect((await git(single, ['tag'])).trim()).toBe('v1.0');
  });

  it('gives no object of a hidden ref to who knows its id', async () => {
    const to = await clone('--single-branch');
    room.policy = hides(/:refs\/(?:heads\/secret|tags\/secret-.*)$/);
    const before = room.events.length;
    const { status, output } = await gitResult(to, [...v, 'fetch', 'origin', ids.secret!]);
    expect(status).not.toBe(0);
    expect(output).toContain('SP2001');
    expect(room.events.slice(before)).not.toContainEqual(
      expect.objectContaining({ type: 'command.intent', verb: 'FETCH' }),
    );
    expect((await gitResult(to, ['cat-file', '-e', ids.secret!])).status).not.toBe(0);
  });

  it('says which rule refuses to list, and sends nothing on', async () => {
    room.policy = () => 'deny';
    const before = room.backend.seen.length;
    const { status, output } = await gitResult(room.folder, [...v, 'ls-remote', room.url('acme/app.git')]);
    expect(status).not.toBe(0);
    expect(output).toContain('remote: SP2001: test-rule forbids LIST');
    expect(output).toContain('remote: rule: test-rule');
    expect(room.backend.seen.length).toBe(before);
  });

  it('says which rule refuses to fetch, and sends nothing on', async () => {
    room.policy = (classified) => (classified.facts.fields?.includes('depth') === true ? 'deny' : 'allow');
    const { status, output } = await gitResult(room.folder, [
      ...v,
      'clone',
      '--depth=2',
      room.url('acme/app.git'),
      folder(),
    ]);
    expect(status).not.toBe(0);
    expect(output).toContain('SP2001: test-rule forbids FETCH');
    expect(room.backend.seen.at(-1)?.url).not.toContain('/git-upload-pack?');
  });

  it('holds a fetch until a person has said yes', async () => {
    const holds = (classified: Classified): Verdict =>
      classified.verb === 'FETCH' && touches(classified, /:refs\/heads\/side$/) ? { hold: 'leads' } : 'allow';
    const to = await clone('--single-branch', '--branch', 'main', '--no-tags');
    await manyCommits(to);
    room.policy = holds;
    const first = await gitResult(to, [...v, 'fetch', 'origin', 'side']);
    expect(first.status).not.toBe(0);
    expect(first.output).toContain('SP3001');
    const request = room.approvals.at(-1)!;
    expect(request.text).toBe(`fetch acme/app\nwant ${ids.side} refs/heads/side`);
    room.settle(request.id, 'approved');
    await git(to, [...v, 'fetch', 'origin', 'side']);
    expect((await git(to, ['rev-parse', 'FETCH_HEAD'])).trim()).toBe(ids.side);
    expect(room.approvals.at(-1)).toMatchObject({ id: request.id, state: 'consumed' });
  });

  it('puts the credential of the target in place of the one of the caller', async () => {
    await clone();
    const { headers } = room.backend.seen.at(-1)!;
    expect(Buffer.from(headers.authorization!.slice(6), 'base64').toString()).toBe('x-access-token:s3cret-token');
    expect(JSON.stringify(room.backend.seen)).not.toContain(Buffer.from('agent:ticket').toString('base64'));
  });

  it('records refs and the digest of a pack, not the pack', async () => {
    const from = room.recorded.length;
    await clone();
    const text = room.recorded.slice(from).map((frame) => frame.text);
    expect(text.join('')).toContain('refs/heads/main');
    const packs = text.filter((line) => line.startsWith('{"pack"'));
    expect(JSON.parse(packs[0]!)).toEqual({
      pack: { objects: expect.any(Number), bytes: expect.any(Number), sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
    expect(text.join('')).not.toContain('PACK');
    const outcome = room.events.findLast(({ type }) => type === 'command.outcome')!;
    expect(outcome).toMatchObject({ status: 'ok', rows: JSON.parse(packs[0]!).pack.objects });
    expect(outcome.bytes).toBeGreaterThan(JSON.parse(packs[0]!).pack.bytes);
  });
});

describe('the git room', () => {
  it('speaks version 1', async () => {
    const to = folder();
    await git(room.folder, ['-c', 'protocol.version=1', 'clone', '-q', room.url('acme/app.git'), to]);
    expect((await git(to, ['rev-parse', 'HEAD'])).trim()).toBe(ids.main);
    expect(room.backend.seen.some(({ headers }) => headers['git-protocol'] === 'version=1')).toBe(true);
  });

  it('gets along with a server that knows no version 2', async () => {
    room.policy = hides(/:refs\/(?:heads\/secret|tags\/secret-.*)$/);
    room.backend.override = (request) => {
      delete request.headers['git-protocol'];
      return false;
    };
    for (const name of ['acme/app.git', 'acme/none.git']) {
      if (name === 'acme/none.git') await room.backend.create(name);
      const to = folder();
      await git(room.folder, ['-c', 'protocol.version=2', 'clone', '-q', room.url(name), to]);
      expect((await gitResult(to, ['cat-file', '-e', ids.secret!])).status).not.toBe(0);
    }
  });

  it('lets others have their turns while policy is asked about many refs', async () => {
    const many = await room.backend.create('acme/many.git');
    await git(source, ['push', '-q', many, 'main']);
    const child = spawn('git', ['update-ref', '--stdin'], { cwd: many, env: gitEnv(many) });
    child.stdin.end(Array.from({ length: 3000 }, (_, n) => `create refs/heads/b${n} ${ids.main}\n`).join(''));
    await new Promise((resolve) => child.on('close', resolve));
    room.policy = (classified) => {
      const until = performance.now() + 0.1;
      while (performance.now() < until);
      return touches(classified, /b\d*[02468]$/) ? 'deny' : 'allow';
    };
    let turns = 0;
    let listing = true;
    const count = () => {
      turns += 1;
      if (listing) setTimeout(count, 0);
    };
    count();
    const listed = await git(room.folder, ['ls-remote', '--heads', room.url('acme/many.git')]);
    listing = false;
    expect(listed.trim().split('\n')).toHaveLength(1501);
    expect(turns).toBeGreaterThan(20);
  });

  it('says at once, in version 2, who has to decide on a fetch', async () => {
    room.policy = (classified) => (classified.verb === 'FETCH' ? { hold: 'leads' } : 'allow');
    room.holdMs = 20_000;
    const to = folder();
    const child = spawn('git', ['clone', room.url('acme/app.git'), to], { cwd: room.folder, env: gitEnv(room.folder) });
    await until(child, /remote: approval: https:\/\/gateway\.example/);
    room.settle(room.approvals.at(-1)!.id, 'approved');
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
    expect((await git(to, ['rev-parse', 'HEAD'])).trim()).toBe(ids.main);
  });

  it('fetches where there is much to talk about', async () => {
    const to = folder();
    await git(room.folder, ['clone', '-q', '--single-branch', room.url('acme/app.git'), to]);
    await manyCommits(to);
    for (const version of ['0', '2'])
      await git(to, ['-c', `protocol.version=${version}`, 'fetch', '-q', 'origin', `side:side${version}`]);
    expect((await git(to, ['rev-parse', 'side0', 'side2'])).trim().split('\n')).toEqual([ids.side, ids.side]);
  });

  const post = (body: Buffer, headers: Record<string, string> = {}) =>
    fetch(`http://127.0.0.1:${room.port}/git/code/acme/app.git/git-upload-pack`, {
      method: 'POST',
      headers: { authorization: 'Basic eDp5', 'content-type': 'application/x-git-upload-pack-request', ...headers },
      body,
    });
  const asking = () => Buffer.concat([packet(`want ${ids.main} side-band-64k\n`), flush, packet('done\n')]);

  it('reads compressed requests, and not more of them than it may', async () => {
    const small = await post(gzipSync(asking()), { 'content-encoding': 'gzip' });
    expect(Buffer.from(await small.arrayBuffer()).includes('PACK')).toBe(true);
    const bomb = await post(gzipSync(Buffer.alloc(40 * 2 ** 20)), { 'content-encoding': 'gzip' });
    expect(await bomb.text()).toContain('SP7001');
    const broken = await post(Buffer.from('no gzip'), { 'content-encoding': 'gzip' });
    expect(await broken.text()).toContain('SP2002');
    expect(await (await post(asking(), { 'content-encoding': 'br' })).text()).toContain('SP2003');
  });

  it('lets a client test whether it is let in', async () => {
    expect(await (await post(flush)).text()).toBe('');
  });

  it('takes no more from a target than its caller takes', async () => {
    const chunk = packet(Buffer.concat([Buffer.from([1]), Buffer.alloc(65_000, 'x')]));
    let sent = 0;
    let gone = false;
    room.backend.override = (request, response) => {
      if (request.method === 'GET') return false;
      response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-result' });
      response.on('close', () => {
        gone = true;
      });
      const go = () => {
        while (!gone && sent < 200 * 2 ** 20) {
          sent += chunk.length;
          if (!response.write(chunk)) return void response.once('drain', go);
        }
      };
      go();
      return true;
    };
    const response = await post(asking());
    const reader = response.body!.getReader();
    await reader.read();
    let before = -1;
    await expect
      .poll(
        () => {
          const still = sent === before;
          before = sent;
          return still;
        },
        { interval: 100, timeout: 5000 },
      )
      .toBe(true);
    expect(sent).toBeLessThan(40 * 2 ** 20);
    await reader.cancel();
    await expect.poll(() => gone, { timeout: 5000 }).toBe(true);
    expect(room.events.at(-1)).toMatchObject({ type: 'command.outcome', status: 'cancelled' });
  });

  it('ends what is under way with its session', async () => {
    const other = await startRoom();
    try {
      let gone = false;
      other.backend.override = (request, response) => {
        if (request.method === 'GET') return false;
        response.on('close', () => {
          gone = true;
        });
        response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-result' });
        response.write(packet(Buffer.concat([Buffer.from([1]), Buffer.alloc(5000, 'x')])));
        return true;
      };
      const url = `http://127.0.0.1:${other.port}/git/code/acme/app.git/git-upload-pack`;
      const bare = await other.backend.create('acme/app.git');
      await git(source, ['push', '-q', bare, 'main']);
      const response = await fetch(url, {
        method: 'POST',
        headers: { authorization: 'Basic eDp5', 'content-type': 'application/x-git-upload-pack-request' },
        body: asking(),
      });
      other.end();
      await expect(response.arrayBuffer()).rejects.toThrow();
      await expect.poll(() => gone, { timeout: 5000 }).toBe(true);
      expect(other.events.at(-1)).toMatchObject({ type: 'command.outcome', status: 'cancelled' });
    } finally {
      await other.close();
    }
  });

  it('does not let a pack end as whole that breaks off', async () => {
    room.backend.override = (request, response) => {
      if (request.method === 'GET') return false;
      response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-result' });
      response.end(packet(Buffer.concat([Buffer.from([1]), Buffer.alloc(5000, 'x')])).subarray(0, 3000));
      return true;
    };
    await expect(post(asking()).then((response) => response.arrayBuffer())).rejects.toThrow();
    expect(room.events.at(-1)).toMatchObject({ type: 'command.outcome', status: 'error', errorCode: 'SP6002' });
  });

  it('clones a repository of SHA-256 objects', async () => {
    const bare = await room.backend.create('acme/wide.git', ['--object-format=sha256']);
    const wide = join(room.folder, 'wide');
    await git(room.folder, ['init', '-q', '-b', 'main', '--object-format=sha256', wide]);
    writeFileSync(join(wide, 'a'), 'a');
    await git(wide, ['add', '.']);
    await git(wide, ['commit', '-q', '-m', 'a']);
    await git(wide, ['push', '-q', bare, 'main']);
    for (const version of ['0', '2']) {
      const to = folder();
      await git(room.folder, ['-c', `protocol.version=${version}`, 'clone', '-q', room.url('acme/wide.git'), to]);
      expect((await git(to, ['rev-parse', 'HEAD'])).trim()).toHaveLength(64);
    }
  });

  it('clones an empty repository', async () => {
    await room.backend.create('acme/empty.git');
    for (const version of ['0', '1', '2']) {
      const to = folder();
      await git(room.folder, ['-c', `protocol.version=${version}`, 'clone', '-q', room.url('acme/empty.git'), to]);
      // Only version 2 tells what an empty repository's branch will be.
      const branch = version === '2' ? 'main' : 'master';
      expect(readFileSync(join(to, '.git/HEAD'), 'utf8').trim()).toBe(`ref: refs/heads/${branch}`);
    }
  });

  it('knows one repository by one name', async () => {
    const seen: string[] = [];
    room.policy = (classified) => {
      seen.push(...classified.resources.map(({ id }) => id));
      return 'allow';
    };
    await gitResult(room.folder, ['ls-remote', room.url('ACME/App.git')]);
    await git(room.folder, ['ls-remote', room.url('acme/app')]);
    expect(new Set(seen.map((id) => id.split(':')[0]))).toEqual(new Set(['acme/app']));
    expect(room.backend.seen.every(({ url }) => url === url.toLowerCase())).toBe(true);
  });

  it('tells a caller that a repository is not there', async () => {
    const { output } = await gitResult(room.folder, ['ls-remote', room.url('acme/nowhere.git')]);
    expect(output).toContain('not found');
  });

  it('does not follow where a target points', async () => {
    room.backend.override = (_, response) => {
      response.writeHead(302, { location: `http://127.0.0.1:${room.backend.port}/acme/app.git/info/refs` }).end();
      return true;
    };
    const { status, output } = await gitResult(room.folder, ['ls-remote', room.url('acme/app.git')]);
    expect(status).not.toBe(0);
    expect(output).toContain('redirects are not followed');
    expect(output).not.toContain('302 Found');
  });

  it.each([
    ['a page', 'text/html', '<html>'],
    [
      'a list that ends early',
      'application/x-git-upload-pack-advertisement',
      '001e# service=git-upload-pack\n0000004a',
    ],
    ['lengths that lie', 'application/x-git-upload-pack-advertisement', 'zzzz'],
    [
      'a list of another service',
      'application/x-git-upload-pack-advertisement',
      '001f# service=git-receive-pack\n00000000',
    ],
  ])('takes %s for no answer', async (_, type, body) => {
    room.backend.override = (__, response) => {
      response.writeHead(200, { 'content-type': type }).end(body);
      return true;
    };
    const { status, output } = await gitResult(room.folder, [
      '-c',
      'protocol.version=0',
      'ls-remote',
      room.url('acme/app.git'),
    ]);
    expect(status).not.toBe(0);
    expect(output).toContain('SP6002');
  });

  it('lists no ref whose name tells the credential', async () => {
    const bare = join(room.backend.root, 'acme/app.git');
    await git(source, ['push', '-q', bare, 'main:refs/heads/s3cret-token']);
    for (const version of ['0', '2']) {
      const listed = await git(room.folder, [
        '-c',
        `protocol.version=${version}`,
        'ls-remote',
        room.url('acme/app.git'),
      ]);
      expect(listed).toContain('refs/heads/side');
      expect(listed).not.toContain('s3cret');
    }
    await git(source, ['push', '-q', bare, ':refs/heads/s3cret-token']);
  });

  it('tells no caller the credential that a target echoes', async () => {
    const line = (text: string) => (text.length + 4).toString(16).padStart(4, '0') + text;
    room.backend.override = (request, response) => {
      if (request.method === 'GET') return false;
      response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-result' });
      response.write(line('packfile\n') + line(`\x02your token is s3cret-`));
      setTimeout(() => response.end(`${line('\x02token\n')}0000`), 50);
      return true;
    };
    const to = folder();
    const { status, output } = await gitResult(room.folder, ['clone', room.url('acme/app.git'), to]);
    expect(status).not.toBe(0);
    expect(output).not.toContain('s3cret-token');
  });

  it('refuses the dumb protocol with words that help', async () => {
    const { output } = await gitResult(room.folder, ['ls-remote', room.url('acme/app.git')], { GIT_SMART_HTTP: '0' });
    expect(output).toContain('dumb HTTP protocol');
  });

  it.each([
    '/git/code/acme/app.git/info/refs?service=git-upload-archive',
    '/git/code/acme/app.git/info/refs?service=git-upload-pack&x=1',
    '/git/code/acme/../app.git/info/refs?service=git-upload-pack',
    '/git/code/acme/%2e%2e/app.git/info/refs?service=git-upload-pack',
    '/git/code/-acme/app.git/info/refs?service=git-upload-pack',
    '/git/code/--upload-pack=touch/app.git/info/refs?service=git-upload-pack',
    '/git/code//acme/app.git/info/refs?service=git-upload-pack',
    '/git/code/acme/app.git./info/refs?service=git-upload-pack',
    '/git/code/acme/.git/info/refs?service=git-upload-pack',
    '/git/code/acme/app.git/../other.git/info/refs?service=git-upload-pack',
    '/git/code/ext::sh/info/refs?service=git-upload-pack',
    '/git/code/acme/app.git/HEAD',
    '/git/code/acme/app.git/objects/info/packs',
  ])('sends nothing on for %s', async (path) => {
    const before = room.backend.seen.length;
    const response = await fetchRaw(path);
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(await response.text()).toMatch(/^SP\d{4}: /);
    expect(room.backend.seen.length).toBe(before);
    expect(room.events.at(-1)).toMatchObject({ type: 'command.denied', verb: 'UNKNOWN' });
  });

  /** Paths as they are: `fetch` would tidy them. */
  async function fetchRaw(path: string): Promise<Response> {
    const { request } = await import('node:http');
    return new Promise((resolve, reject) => {
      request({ port: room.port, path, headers: { authorization: 'Basic eDp5' } }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve(new Response(Buffer.concat(chunks), { status: response.statusCode! })));
      })
        .on('error', reject)
        .end();
    });
  }
});

/** Commits that the server does not know: so many that the two have to talk more than once. */
async function manyCommits(clone: string): Promise<void> {
  const commits = Array.from(
    { length: 300 },
    (_, n) => `commit refs/heads/own\ncommitter A <a@b> ${n + 2_000_000_000} +0000\ndata 1\nx\n`,
  );
  const child = spawn('git', ['fast-import', '--quiet'], { cwd: clone, env: gitEnv(clone) });
  child.stdin.end(commits.join(''));
  await new Promise((resolve) => child.on('close', resolve));
}

/** Waits for text that a program prints. */
function until(child: ChildProcess, pattern: RegExp): Promise<void> {
  let text = '';
  return new Promise((resolve, reject) => {
    child.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (pattern.test(text)) resolve();
    });
    child.on('close', () => reject(new Error(`it ended with: ${text}`)));
  });
}
