import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startBareGateway } from '../../../test/support/gateway.ts';
import { lfsType } from './lfs-actions.ts';
import { git, gitResult } from './testing/git-backend.fixture.ts';
import { LfsServer } from './testing/lfs-server.fixture.ts';
import { startRoom, type TestRoom } from './testing/room.fixture.ts';

let room: TestRoom;
let server: LfsServer;
let n = 0;

beforeAll(async () => {
  room = await startRoom();
});
afterAll(() => room.close());
beforeEach(() => {
  n += 1;
  server = new LfsServer();
  room.policy = () => 'allow';
  room.backend.override = (request, response) => server.handle(request, response);
});

const content = randomBytes(300_000);
const oid = createHash('sha256').update(content).digest('hex');

/** A clone with one large file in it. */
async function workWithLargeFile(): Promise<string> {
  await room.backend.create(`acme/lfs${n}.git`);
  const work = join(room.folder, `lfs${n}`);
  await git(room.folder, ['init', '-q', '-b', 'main', work]);
  await git(work, ['lfs', 'install', '--local']);
  await git(work, ['lfs', 'track', '*.bin']);
  writeFileSync(join(work, 'large.bin'), content);
  await git(work, ['add', '.']);
  await git(work, ['commit', '-q', '-m', 'large']);
  await git(work, ['remote', 'add', 'origin', room.url(`acme/lfs${n}.git`)]);
  return work;
}

async function clone(): Promise<string> {
  const to = join(room.folder, `lfs${n}-clone`);
  await git(room.folder, [
    ...['-c', 'filter.lfs.smudge=git-lfs smudge -- %f', '-c', 'filter.lfs.process=git-lfs filter-process'],
    ...['-c', 'filter.lfs.required=true', 'clone', '-q', room.url(`acme/lfs${n}.git`), to],
  ]);
  return to;
}

describe('git-lfs', () => {
  it('pushes and clones a large file', async () => {
    const work = await workWithLargeFile();
    await git(work, ['push', '-q', 'origin', 'main']);
    expect(server.objects.get(oid)?.equals(content)).toBe(true);
    expect(readFileSync(join(await clone(), 'large.bin')).equals(content)).toBe(true);
    const verbs = room.events.filter(({ type }) => type === 'command.intent').map(({ verb }) => verb);
    expect(verbs).toEqual(expect.arrayContaining(['LFS_BATCH', 'LFS_UPLOAD', 'LFS_VERIFY', 'LFS_DOWNLOAD', 'PUSH']));
  });

  it('locks and unlocks', async () => {
    const work = await workWithLargeFile();
    await git(work, ['push', '-q', 'origin', 'main']);
    expect(await git(work, ['lfs', 'lock', 'large.bin'])).toContain('Locked large.bin');
    expect(await git(work, ['lfs', 'locks'])).toContain('large.bin');
    expect(await git(work, ['lfs', 'unlock', 'large.bin'])).toContain('Unlocked large.bin');
  });

  it('shows why policy refuses an upload, and nothing reaches the target', async () => {
    const work = await workWithLargeFile();
    room.policy = ({ facts }) => (facts.findings?.includes('lfs.uninspected') === true ? 'deny' : 'allow');
    const { status, output } = await gitResult(work, ['push', 'origin', 'main']);
    expect(status).not.toBe(0);
    expect(output).toContain('SP2001: test-rule forbids LFS_BATCH');
    expect(server.seen.filter(({ url }) => !url.includes('/locks'))).toEqual([]);
  });
});

describe('the LFS API', () => {
  const base = () => room.url(`acme/lfs${n}.git`).replace('agent:ticket@', '');
  const headers = { authorization: 'Basic eDp5', 'content-type': lfsType };
  const batch = async (operation: string, objects: unknown = [{ oid, size: content.length }]) =>
    fetch(`${base()}/info/lfs/objects/batch`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ operation, objects }),
    });
  const object = () => `${base()}/info/lfs/objects/${oid}?size=${content.length}`;

  it('leads every transfer to the gateway, and tells nothing that the target wants to hear', async () => {
    server.objects.set(oid, content);
    const text = await (await batch('download')).text();
    expect(text).not.toContain('storage');
    expect(JSON.parse(text).objects[0].actions.download.href).toBe(object());
  });

  it('sends the credential to the target alone, and what storage wants to storage', async () => {
    server.objects.set(oid, content);
    const got = await fetch(object(), { headers });
    expect(Buffer.from(await got.arrayBuffer()).equals(content)).toBe(true);
    expect(server.seen.map(({ url, authorization }) => [url.split('?')[0], authorization !== undefined])).toEqual([
      [`/acme/lfs${n}.git/info/lfs/objects/batch`, true],
      [`/storage/${oid}`, true],
    ]);
  });

  it('does not let a download end as whole that is another object', async () => {
    server.objects.set(oid, content);
    server.forged = Buffer.concat([content.subarray(1), Buffer.from('x')]);
    const got = await fetch(object(), { headers });
    await expect(got.arrayBuffer()).rejects.toThrow();
    expect(room.events.at(-1)).toMatchObject({ type: 'command.outcome', status: 'error', errorCode: 'SP6002' });
  });

  it('does not let an upload arrive that is another object', async () => {
    server.believes = true;
    const sent = Buffer.concat([content.subarray(1), Buffer.from('x')]);
    const put = await fetch(object(), { method: 'PUT', headers, body: sent }).catch(() => undefined);
    expect(put === undefined || put.status >= 400).toBe(true);
    expect(server.objects.size).toBe(0);
  });

  it.each(['http://169.254.169.254', 'https://elsewhere.example'])('does not go to %s for a target', async (origin) => {
    server.objects.set(oid, content);
    server.elsewhere = origin;
    const got = await fetch(object(), { headers });
    expect(got.status).toBe(502);
    expect(((await got.json()) as { message: string }).message).toContain('lfsStorage');
  });

  it.each([
    ['no JSON', 'nothing'],
    ['another operation', '{"operation":"delete","objects":[]}'],
    ['an id that is none', JSON.stringify({ operation: 'download', objects: [{ oid: '../../x', size: 1 }] })],
    ['another digest', JSON.stringify({ operation: 'download', objects: [{ oid, size: 1 }], hash_algo: 'md5' })],
  ])('refuses a request that is %s', async (_, body) => {
    const got = await fetch(`${base()}/info/lfs/objects/batch`, { method: 'POST', headers, body });
    expect(got.status).toBe(400);
    expect(server.seen).toEqual([]);
  });

  it('refuses what it does not know', async () => {
    const got = await fetch(`${base()}/info/lfs/tus/upload`, { method: 'POST', headers, body: '{}' });
    expect(got.status).toBe(501);
  });
});

describe('git-lfs through a whole gateway', () => {
  it('pushes a large file', async () => {
    const gateway = await startBareGateway({
      policies: '@id("all") permit (principal, action, resource);',
      files: { token: 's3cret-token' },
      targets: {
        code: {
          protocol: 'git',
          address: `http://127.0.0.1:${room.backend.port}`,
          credential: { file: './token' },
          labels: {},
        },
      },
    });
    try {
      const work = await workWithLargeFile();
      const header = `http.extraHeader=Authorization: Bearer ${await gateway.tokenOf('agent')}`;
      const url = `${gateway.http}/git/code/acme/lfs${n}.git`;
      await git(work, ['-c', header, '-c', `http.sslCAInfo=${gateway.caFile}`, 'push', '-q', url, 'main']);
      expect(server.objects.get(oid)?.equals(content)).toBe(true);
    } finally {
      await gateway.stop();
    }
  });
});
