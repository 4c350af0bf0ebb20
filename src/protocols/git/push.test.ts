import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, cpSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Classified } from '../../model/command.ts';
import { packet, packetsOf } from './pktline.ts';
import { git, gitEnv, gitResult } from './testing/git-backend.fixture.ts';
import { startRoom, type TestRoom, type Verdict } from './testing/room.fixture.ts';

let room: TestRoom;
let work: string;
let bare: string;
let n = 0;

/** A repository with one commit in it and a clone of it, copied for each test. */
const seed = { bare: '', work: '' };

beforeAll(async () => {
  room = await startRoom();
  seed.bare = await room.backend.create('seed.git');
  seed.work = work = join(room.folder, 'seed');
  await git(room.folder, ['init', '-q', '--template=', '-b', 'main', work]);
  await commit('one.txt', 'one\n');
  await git(work, ['push', '-q', seed.bare, 'main']);
});

afterAll(() => room.close());

beforeEach(() => {
  n += 1;
  bare = join(room.backend.root, `acme/app${n}.git`);
  work = join(room.folder, `work${n}`);
  cpSync(seed.bare, bare, { recursive: true });
  cpSync(seed.work, work, { recursive: true });
  appendFileSync(
    join(work, '.git/config'),
    `[remote "origin"]\n  url = ${room.url(`acme/app${n}.git`)}\n  fetch = +refs/heads/*:refs/remotes/origin/*\n`,
  );
  room.policy = () => 'allow';
  room.holdMs = 100;
});

afterEach(async () => {
  room.backend.override = undefined;
  // Neither packs nor quarantines stay behind.
  const gateway = join(room.folder, '.gateway');
  const left = () =>
    (existsSync(gateway) ? readdirSync(gateway, { recursive: true, encoding: 'utf8' }) : []).filter((name) =>
      /^spool\/.|quarantine-/.test(name),
    );
  await expect.poll(left, { timeout: 5000 }).toEqual([]);
});

async function commit(file: string, content: string | Buffer): Promise<string> {
  writeFileSync(join(work, file), content);
  await git(work, ['add', '.']);
  await git(work, ['commit', '-q', '-m', `change ${file}`]);
  return id('HEAD');
}

const id = async (ref: string) => (await git(work, ['rev-parse', ref])).trim();
const upstream = async (ref: string) => (await gitResult(bare, ['rev-parse', '-q', '--verify', ref])).output.trim();
const push = (...args: string[]) => gitResult(work, ['push', ...args]);
const on = ({ resources }: Classified, ref: string) => resources.some((resource) => resource.id.endsWith(`:${ref}`));
const lastPush = () => room.events.findLast(({ type, verb }) => String(type) === 'command.intent' && verb === 'PUSH')!;

describe('a push', () => {
  it('is classified by what it does to each ref', async () => {
    const kinds = () =>
      String(lastPush().text)
        .split('\n')
        .filter((line) => line.includes(' → '));
    const first = await id('HEAD');
    const second = await commit('two.txt', 'two\n');
    await git(work, ['tag', '-a', '-m', 'x', 'v1']);
    expect((await push('origin', 'main', 'main:new', 'v1')).status).toBe(0);
    const tag = await id('v1');
    expect(kinds().sort()).toEqual(
      [
        `fast-forward refs/heads/main ${first} → ${second}`,
        `create refs/heads/new none → ${second}`,
        `create tag refs/tags/v1 none → ${tag}`,
      ].sort(),
    );
    expect(lastPush().actions).toEqual(['write']);
    await git(work, ['reset', '-q', '--hard', first]);
    const other = await commit('other.txt', 'other\n');
    await git(work, ['tag', '-f', '-a', '-m', 'y', 'v1']);
    expect((await push('--force', 'origin', 'main', 'v1', ':new')).status).toBe(0);
    expect(kinds().sort()).toEqual(
      [
        `force refs/heads/main ${second} → ${other}`,
        `delete refs/heads/new ${second} → none`,
        `move tag refs/tags/v1 ${tag} → ${await id('v1')}`,
      ].sort(),
    );
    expect(lastPush().actions).toEqual(['write', 'destroy']);
    expect(await upstream('refs/heads/main')).toBe(other);
    expect(await upstream('refs/heads/new')).toBe('');
    expect((await push('origin', ':v1')).status).toBe(0);
    expect(kinds()).toEqual([`delete tag refs/tags/v1 ${await id('v1')} → none`]);
  });

  it('comes to the target as it left, where all of it may go', async () => {
    await commit('two.txt', 'two\n');
    expect((await push('origin', 'main')).output).toContain('main -> main');
    expect(await upstream('refs/heads/main')).toBe(await id('main'));
    const { headers } = room.backend.seen.at(-1)!;
    expect(headers.authorization).toContain(Buffer.from('x-access-token:s3cret-token').toString('base64'));
  });

  it('is refused ref by ref, and the others go on', async () => {
    room.policy = (classified) => (on(classified, 'refs/heads/main') && classified.verb === 'PUSH' ? 'deny' : 'allow');
    const main = await upstream('refs/heads/main');
    await commit('two.txt', 'two\n');
    const denied = await id('HEAD');
    await git(work, ['checkout', '-q', '-b', 'topic', 'HEAD~1']);
    const topic = await commit('three.txt', 'three\n');
    const { status, output } = await push('origin', 'main', 'topic');
    expect(status).not.toBe(0);
    expect(output).toMatch(/\[remote rejected\] +main -> main \(SP2001 test-rule forbids PUSH\)/);
    expect(output).toMatch(/\[new branch\] +topic -> topic/);
    expect(output).toContain('remote: refs/heads/main: SP2001: test-rule forbids PUSH');
    expect(await upstream('refs/heads/main')).toBe(main);
    expect(await upstream('refs/heads/topic')).toBe(topic);
    // What was refused is not there in any form.
    expect((await gitResult(bare, ['cat-file', '-e', denied])).status).not.toBe(0);
    expect(room.events.findLast(({ type }) => type === 'command.denied')).toMatchObject({
      verb: 'PUSH',
      code: 'SP2001',
    });
  });

  it('is refused as a whole where it is atomic', async () => {
    room.policy = (classified) => (on(classified, 'refs/heads/main') && classified.verb === 'PUSH' ? 'deny' : 'allow');
    await commit('two.txt', 'two\n');
    const { status, output } = await push('--atomic', 'origin', 'main', 'main:topic');
    expect(status).not.toBe(0);
    expect(output).toMatch(/rejected\] +main -> main/);
    expect(output).toMatch(
      /rejected\] +main -> topic \(SP2001 the push is atomic, and refs\/heads\/main was refused\)/,
    );
    expect(await upstream('refs/heads/topic')).toBe('');
    room.policy = () => 'allow';
    expect((await push('--atomic', 'origin', 'main', 'main:topic')).status).toBe(0);
  });

  it('is refused as a whole where it is atomic and something is found in a part of it', async () => {
    room.policy = ({ facts }) => (facts.findings?.includes('secret') === true ? 'deny' : 'allow');
    await git(work, ['branch', 'topic']);
    await commit('key.txt', `token = "${'ghp_'}${randomBytes(18).toString('hex')}"\n`);
    expect((await push('--atomic', 'origin', 'main', 'topic')).status).not.toBe(0);
    expect(await upstream('refs/heads/topic')).toBe('');
    expect((await push('origin', 'main', 'topic')).status).not.toBe(0);
    expect(await upstream('refs/heads/topic')).toBe(await id('topic'));
  });

  it('carries its options', async () => {
    let values: readonly string[] = [];
    room.policy = (classified) => {
      values = [...values, ...(classified.facts.values ?? [])];
      return 'allow';
    };
    writeFileSync(join(bare, 'hooks/pre-receive'), '#!/bin/sh\necho "option $GIT_PUSH_OPTION_0"\n', { mode: 0o755 });
    await commit('two.txt', 'two\n');
    const { output } = await push('-o', 'ci.skip', 'origin', 'main');
    expect(output).toContain('remote: option ci.skip');
    expect(values).toContain('push-option=ci.skip');
    expect(String(lastPush().text)).toContain('push option "ci.skip"');
  });

  it('shows what the target says, but for what a terminal would obey and what is secret', async () => {
    writeFileSync(
      join(bare, 'hooks/update'),
      '#!/bin/sh\nprintf "hello\\033[2J\\nthe token is s3cret-token\\n" >&2\ntest "$1" != refs/heads/no\n',
      { mode: 0o755 },
    );
    await commit('two.txt', 'two\n');
    const { status, output } = await push('origin', 'main', 'main:no');
    expect(status).not.toBe(0);
    expect(output).toContain('remote: hello\ufffd[2J');
    expect(output).not.toContain('s3cret-token');
    expect(output).toMatch(/main -> no \(hook declined\)/);
    expect(await upstream('refs/heads/main')).toBe(await id('main'));
    expect(room.events.findLast(({ type }) => type === 'command.outcome')).toMatchObject({
      status: 'error',
      errorCode: 'ng',
    });
  });

  it('does not go on where the ref has moved since', async () => {
    const other = join(room.folder, `other${n}`);
    await git(room.folder, ['clone', '-q', bare, other]);
    writeFileSync(join(other, 'theirs'), 'x');
    await git(other, ['add', '.']);
    await git(other, ['commit', '-q', '-m', 'theirs']);
    await git(work, ['fetch', '-q', 'origin']);
    const old = await id('origin/main');
    await commit('mine.txt', 'mine\n');
    const mine = await id('HEAD');
    await git(other, ['push', '-q']);
    const theirs = await upstream('refs/heads/main');
    // As a client would that has read the refs before.
    const answer = await rawPush(`${old} ${mine} refs/heads/main`, await packOf(mine, `^${old}`));
    expect(answer).toContain('ng refs/heads/main SP6003 refs/heads/main is at');
    expect(await upstream('refs/heads/main')).toBe(theirs);
  });

  it('loses where the ref moves while it is looked at', async () => {
    room.holdMs = 20_000;
    const other = join(room.folder, `other${n}`);
    await git(room.folder, ['clone', '-q', bare, other]);
    writeFileSync(join(other, 'theirs'), 'x');
    await git(other, ['add', '.']);
    await git(other, ['commit', '-q', '-m', 'theirs']);
    room.policy = (classified) => (classified.verb === 'PUSH' ? { hold: 'leads' } : 'allow');
    await commit('mine.txt', 'mine\n');
    const pushing = push('origin', 'main');
    const request = await held();
    await git(other, ['push', '-q']);
    room.settle(request.id, 'approved');
    const { status, output } = await pushing;
    expect(status).not.toBe(0);
    expect(output).toContain('remote rejected');
    expect(await upstream('refs/heads/main')).not.toBe(await id('main'));
  });

  it('works with objects named by SHA-256', async () => {
    const wide = await room.backend.create(`acme/wide${n}.git`, ['--object-format=sha256']);
    const from = join(room.folder, `wide${n}`);
    await git(room.folder, ['init', '-q', '-b', 'main', '--object-format=sha256', from]);
    for (const name of ['a', 'b']) {
      writeFileSync(join(from, name), name);
      await git(from, ['add', '.']);
      await git(from, ['commit', '-q', '-m', name]);
      await git(from, ['push', '-q', room.url(`acme/wide${n}.git`), 'main']);
    }
    expect((await git(wide, ['rev-parse', 'main'])).trim()).toBe((await git(from, ['rev-parse', 'main'])).trim());
  });

  it('may come from a shallow clone', async () => {
    await commit('two.txt', 'two\n');
    await git(work, ['push', '-q', bare, 'main']);
    const shallow = join(room.folder, `shallow${n}`);
    await git(room.folder, ['clone', '-q', '--depth', '1', room.url(`acme/app${n}.git`), shallow]);
    writeFileSync(join(shallow, 'three.txt'), 'three\n');
    await git(shallow, ['add', '.']);
    await git(shallow, ['commit', '-q', '-m', 'three']);
    await git(shallow, ['push', '-q', 'origin', 'main']);
    expect((await git(bare, ['rev-list', '--count', 'main'])).trim()).toBe('3');
  });
});

describe('a held push', () => {
  beforeEach(() => {
    room.policy = (classified): Verdict => (classified.verb === 'PUSH' ? { hold: 'leads' } : 'allow');
  });

  it('says so at once, and goes on when a person has said yes', async () => {
    room.holdMs = 20_000;
    await commit('two.txt', 'two\n');
    const child = spawn('git', ['push', 'origin', 'main'], { cwd: work, env: gitEnv(work) });
    await until(child, /remote: approval: https:\/\/gateway\.example\/approvals\/a\d+/);
    expect(await upstream('refs/heads/main')).not.toBe(await id('main'));
    const request = await held();
    expect(request.text).toContain(`fast-forward refs/heads/main ${await id('HEAD~1')} → ${await id('HEAD')}`);
    expect(request.preview).toContain('two.txt');
    room.settle(request.id, 'approved');
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
    expect(await upstream('refs/heads/main')).toBe(await id('main'));
  });

  it('ends with the link when nobody answers, and the same push goes on with a yes given later', async () => {
    await commit('two.txt', 'two\n');
    const before = await upstream('refs/heads/main');
    const { status, output } = await push('origin', 'main');
    expect(status).not.toBe(0);
    expect(output).toMatch(/rejected\] +main -> main \(SP3001 waiting for approval by leads/);
    expect(output).toContain('approval: https://gateway.example/approvals/');
    expect(await upstream('refs/heads/main')).toBe(before);
    const request = room.approvals.at(-1)!;
    room.settle(request.id, 'approved');
    expect((await push('origin', 'main')).status).toBe(0);
    expect(room.approvals.at(-1)!.id).toBe(request.id);
    expect(await upstream('refs/heads/main')).toBe(await id('main'));
  });

  it('is refused when a person says no', async () => {
    room.holdMs = 20_000;
    await commit('two.txt', 'two\n');
    const pushing = push('origin', 'main');
    room.settle((await held()).id, 'denied');
    const { output } = await pushing;
    expect(output).toContain('SP3002');
  });

  it.each([
    ['other commits', true, [], 'main'],
    ['another ref', false, [], 'main:elsewhere'],
    ['other options', false, ['-o', 'ci.skip'], 'main'],
    ['another way of standing together', false, ['--atomic'], 'main'],
  ])('is not let through by a yes to %s', async (_, more, options, ref) => {
    await commit('two.txt', 'two\n');
    await push('origin', 'main');
    const request = room.approvals.at(-1)!;
    room.settle(request.id, 'approved');
    if (more) await commit('more.txt', 'more\n');
    const { status } = await push(...options, 'origin', ref);
    expect(status).not.toBe(0);
    expect(room.approvals.at(-1)!.id).not.toBe(request.id);
    expect(request.state).toBe('approved');
  });

  it('is not let through in another repository', async () => {
    await commit('two.txt', 'two\n');
    await push('origin', 'main');
    const request = room.approvals.at(-1)!;
    room.settle(request.id, 'approved');
    const twin = await room.backend.create(`acme/twin${n}.git`);
    await git(work, ['push', '-q', twin, 'HEAD~1:refs/heads/main']);
    expect((await push(room.url(`acme/twin${n}.git`), 'main')).status).not.toBe(0);
    expect(request.state).toBe('approved');
  });

  it('is let through once', async () => {
    await commit('two.txt', 'two\n');
    await push('origin', 'main');
    room.settle(room.approvals.at(-1)!.id, 'approved');
    expect((await push('origin', 'main')).status).toBe(0);
    await git(bare, ['update-ref', 'refs/heads/main', await id('main~1')]);
    expect((await push('origin', 'main')).status).not.toBe(0);
  });

  it('ends for the gateway too when its caller hangs up', async () => {
    room.holdMs = 20_000;
    await commit('two.txt', 'two\n');
    const child = spawn('git', ['push', 'origin', 'main'], { cwd: work, env: gitEnv(work), detached: true });
    await until(child, /remote: approval/);
    // git leaves the connection to a program of its own.
    process.kill(-child.pid!);
    await expect
      .poll(() => room.events.findLast(({ type }) => type === 'command.denied')?.code, { timeout: 5000 })
      .toBe('SP3001');
    expect(room.approvals.at(-1)!.state).toBe('open');
  });
});

describe('what a push brings', () => {
  it('is refused by what is found in it', async () => {
    room.policy = ({ facts }) => (facts.findings?.includes('secret') === true ? 'deny' : 'allow');
    const before = await upstream('refs/heads/main');
    await commit(
      'config.env',
      `AWS_SECRET=${'AKIA'}${'QYLPMN5HHHFPZAM2'}\ntoken = "${'ghp_'}${randomBytes(18).toString('hex')}"\n`,
    );
    await git(work, ['rm', '-q', 'config.env']);
    await git(work, ['commit', '-q', '-m', 'never mind']);
    const { status, output } = await push('origin', 'main');
    expect(status).not.toBe(0);
    expect(output).toContain('SP2001');
    expect(output).toMatch(/remote: secret: .* in config\.env/);
    expect(output).not.toContain('QYLPMN5HHHFPZAM2');
    expect(await upstream('refs/heads/main')).toBe(before);
  });

  it('is refused where no ref reaches it', async () => {
    const head = await commit('two.txt', 'two\n');
    const tree = (await git(work, ['rev-parse', 'HEAD^{tree}'])).trim();
    const hidden = (await git(work, ['commit-tree', '-m', 'hidden', tree])).trim();
    const old = await id('HEAD~1');
    const answer = await rawPush(`${old} ${head} refs/heads/main`, await packOf(head, hidden, `^${old}`));
    expect(answer).toMatch(/ng refs\/heads\/main SP\d{4} /);
    expect((await gitResult(bare, ['cat-file', '-e', hidden])).status).not.toBe(0);
    expect(await upstream('refs/heads/main')).toBe(old);
  });

  it('is looked at again where a new branch brings what was refused before', async () => {
    room.policy = ({ facts }) => (facts.findings?.includes('secret') === true ? 'deny' : 'allow');
    await commit('key.txt', `token = "${'ghp_'}${randomBytes(18).toString('hex')}"\n`);
    expect((await push('origin', 'main')).status).not.toBe(0);
    await commit('harmless.txt', 'nothing\n');
    expect((await push('origin', 'HEAD:refs/heads/innocent')).status).not.toBe(0);
    expect(await upstream('refs/heads/innocent')).toBe('');
  });

  it('is not believed about who wrote it', async () => {
    room.policy = ({ facts }) => (facts.findings?.includes('author.mismatch') === true ? 'deny' : 'allow');
    await git(work, [
      'commit',
      '-q',
      '--allow-empty',
      '--author',
      'Boss <boss@example.com>',
      '-m',
      'approved by the boss',
    ]);
    const { status, output } = await push('origin', 'main');
    expect(status).not.toBe(0);
    expect(output).toContain('author.mismatch');
  });

  it('may be nothing but a name for what is there', async () => {
    expect((await push('origin', 'main:refs/heads/second')).status).toBe(0);
    expect(await upstream('refs/heads/second')).toBe(await id('main'));
  });

  it('is not kept where policy would have none of it', async () => {
    room.policy = ({ verb }) => (verb === 'PUSH' ? 'deny' : 'allow');
    await commit('large.bin', randomBytes(3 * 2 ** 20));
    const before = room.backend.seen.length;
    const { output } = await push('origin', 'main');
    expect(output).toContain('SP2001 test-rule forbids PUSH');
    // Neither the mirror nor an inspection was needed: refs were listed twice, that is all.
    expect(room.backend.seen.slice(before).map(({ method }) => method)).toEqual(['GET', 'GET']);
  });

  it('is refused where it is not complete', async () => {
    const head = await commit('two.txt', 'two\n');
    const blob = await id('HEAD:two.txt');
    const old = await id('HEAD~1');
    const list = (await git(work, ['rev-list', '--objects', head, `^${old}`]))
      .split('\n')
      .map((line) => line.split(' ')[0]!);
    const pack = await packObjects(list.filter((each) => each !== '' && each !== blob));
    const answer = await rawPush(`${old} ${head} refs/heads/main`, pack);
    expect(answer).toMatch(/ng refs\/heads\/main SP\d{4} /);
    expect(await upstream('refs/heads/main')).toBe(old);
  });

  it.each([
    ['no pack', Buffer.alloc(0)],
    ['something else', Buffer.from('PACK but not really, this is no pack at all')],
  ])('is refused where it is %s', async (_, pack) => {
    const head = await commit('two.txt', 'two\n');
    const old = await id('HEAD~1');
    expect(await rawPush(`${old} ${head} refs/heads/main`, pack)).toMatch(/ng refs\/heads\/main SP\d{4} /);
    expect(await upstream('refs/heads/main')).toBe(old);
  });
});

describe('a push by a caller from whom refs are hidden', () => {
  let hidden: string;

  beforeEach(async () => {
    await git(work, ['checkout', '-q', '-b', 'secret']);
    hidden = await commit('secret.txt', 'nobody may see this\n');
    await git(work, ['push', '-q', bare, 'secret']);
    room.policy = (classified) =>
      classified.verb !== 'PUSH' && on(classified, 'refs/heads/secret') ? 'deny' : 'allow';
  });

  it('shows it nothing by a ref of its own', async () => {
    const zero = '0'.repeat(40);
    const answer = await rawPush(`${zero} ${hidden} refs/heads/mine`, await packObjects([]));
    expect(answer).toMatch(/ng refs\/heads\/mine SP2001 it leads to objects/);
    expect(await upstream('refs/heads/mine')).toBe('');
  });

  it('shows it nothing by a commit of its own', async () => {
    const zero = '0'.repeat(40);
    const tree = await id('secret^{tree}');
    const own = (await git(work, ['commit-tree', '-p', 'main', '-m', 'mine', tree])).trim();
    expect(await rawPush(`${zero} ${own} refs/heads/mine`, await packObjects([own]))).toMatch(
      /ng refs\/heads\/mine SP2001/,
    );
    expect(await upstream('refs/heads/mine')).toBe('');
  });

  it('does not change them', async () => {
    const answer = await rawPush(`${hidden} ${await id('main')} refs/heads/secret`, await packObjects([]));
    expect(answer).toMatch(/ng refs\/heads\/secret SP2001/);
    expect(await upstream('refs/heads/secret')).toBe(hidden);
  });

  it('goes through where it has nothing to do with them', async () => {
    await git(work, ['checkout', '-q', 'main']);
    await commit('two.txt', 'two\n');
    expect((await push('origin', 'main')).status).toBe(0);
  });
});

describe('requests that are no push', () => {
  const zero = '0'.repeat(40);
  const one = '1'.repeat(40);

  it.each([
    ['a name outside refs/', `${zero} ${one} HEAD`],
    ['a name like an option', `${zero} ${one} refs/heads/--upload-pack=x`],
    ['a name that climbs', `${zero} ${one} refs/heads/../../config`],
    ['a name with a control character', `${zero} ${one} refs/heads/a\x1b[2J`],
    ['a name that reads backwards', `${zero} ${one} refs/heads/a\u202eb`],
    ['ids that are none', `${zero} ${'g'.repeat(40)} refs/heads/x`],
    ['nothing to nothing', `${zero} ${zero} refs/heads/x`],
  ])('are refused for %s', async (_, line) => {
    const before = room.backend.seen.length;
    expect(await rawPush(line, Buffer.alloc(0))).toMatch(/^SP2002: /);
    expect(room.backend.seen.length).toBe(before);
    expect(room.events.at(-1)).toMatchObject({ type: 'command.denied', verb: 'UNKNOWN' });
  });

  it.each([
    ['a certificate', [packet('push-cert\0 report-status\n')]],
    ['a capability of its own', [packet(`${zero} ${one} refs/heads/x\0 report-status session-id=1\n`)]],
    [
      'one ref twice',
      [packet(`${zero} ${one} refs/heads/x\0 report-status\n`), packet(`${zero} ${one} refs/heads/x\n`)],
    ],
    ['an end that is missing', [packet(`${zero} ${one} refs/heads/x\0 report-status\n`).subarray(0, 90)]],
  ])('are refused for %s', async (_, packets) => {
    expect(await post(Buffer.concat([...packets, Buffer.from('0000')]))).toMatch(/^SP2002: /);
  });

  it('let a client test whether it is let in', async () => {
    expect(await post(Buffer.from('0000'))).toBe('');
  });
});

describe('a large push', () => {
  it('of 50 MB goes through in bounded memory', async () => {
    appendFileSync(join(work, '.git/config'), '[core]\n  compression = 0\n');
    const head = await commit('large.bin', randomBytes(50 * 2 ** 20));
    global.gc?.();
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const timer = setInterval(() => {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }, 5);
    const { status, output } = await push('origin', 'main');
    clearInterval(timer);
    expect(output).not.toContain('SP');
    expect(status).toBe(0);
    expect(await upstream('refs/heads/main')).toBe(head);
    expect(most).toBeLessThan(40 * 2 ** 20);
    const pack = JSON.parse(room.recorded.findLast(({ text }) => text.startsWith('{"text":"push'))!.text).pack;
    expect(pack.bytes).toBeGreaterThan(50 * 2 ** 20);
  }, 30_000);

  it('beyond the limit is refused before it has come', async () => {
    const small = await startRoom({ settings: { maxPackBytes: '1MiB' } });
    try {
      const target = await small.backend.create('acme/small.git');
      await git(work, ['push', '-q', target, 'main']);
      await commit('large.bin', randomBytes(3 * 2 ** 20));
      const { status } = await push(small.url('acme/small.git'), 'main');
      expect(status).not.toBe(0);
      expect(small.events.at(-1)).toMatchObject({
        type: 'command.denied',
        code: 'SP7001',
        reason: 'the pack is larger than 1048576 bytes',
      });
      expect((await git(target, ['rev-parse', 'main'])).trim()).toBe(await id('main~1'));
    } finally {
      await small.close();
    }
  });
});

/** The newest open request, once there is one. */
async function held() {
  const known = room.approvals.length;
  await expect
    .poll(() => room.approvals.length > known || room.approvals.at(-1)?.state === 'open', { timeout: 5000 })
    .toBe(true);
  return room.approvals.at(-1)!;
}

/** Waits for text that a program prints. */
function until(child: ChildProcess, pattern: RegExp): Promise<void> {
  let text = '';
  return new Promise((resolve, reject) => {
    const look = (chunk: Buffer) => {
      text += chunk.toString();
      if (pattern.test(text)) resolve();
    };
    child.stderr?.on('data', look);
    child.stdout?.on('data', look);
    child.on('close', () => reject(new Error(`it ended with: ${text}`)));
  });
}

async function packOf(...revisions: string[]): Promise<Buffer> {
  const objects: string[] = [];
  const negative = revisions.filter((revision) => revision.startsWith('^'));
  for (const revision of revisions.filter((each) => !negative.includes(each))) {
    const list = await git(work, ['rev-list', '--objects', revision, ...negative]);
    objects.push(...list.split('\n').flatMap((line) => line.split(' ')[0] || []));
  }
  return packObjects([...new Set(objects)]);
}

function packObjects(ids: readonly string[]): Promise<Buffer> {
  const child = spawn('git', ['pack-objects', '--stdout', '-q'], {
    cwd: work,
    env: gitEnv(work),
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.end(ids.map((each) => `${each}\n`).join(''));
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => child.on('close', () => resolve(Buffer.concat(chunks))));
}

/** A push byte by byte as given; the report as text. */
async function rawPush(line: string, pack: Buffer): Promise<string> {
  return post(Buffer.concat([packet(`${line}\0 report-status\n`), Buffer.from('0000'), pack]));
}

async function post(body: Buffer): Promise<string> {
  const url = room.url(`acme/app${n}.git`).replace('agent:ticket@', '');
  const response = await fetch(`${url}/git-receive-pack`, {
    method: 'POST',
    headers: { authorization: 'Basic eDp5', 'content-type': 'application/x-git-receive-pack-request' },
    body,
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  if (response.status !== 200 || bytes.length === 0) return bytes.toString();
  return packetsOf(bytes, 'UPSTREAM_PROTOCOL')
    .map((each) => each.toString())
    .join('');
}
