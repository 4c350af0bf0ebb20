import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterEach, expect, it } from 'vitest';
import { passableByOthers, serverUser } from './embedded-binaries.ts';
import { type EmbeddedPostgres, placeFor, startEmbeddedPostgres } from './embedded-postgres.ts';

const cleanup: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

async function start(options: Parameters<typeof startEmbeddedPostgres>[0] = {}): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres(options);
  cleanup.push(() => server.stop());
  return server;
}

async function ask(url: string, sql: string): Promise<unknown> {
  const client = new Client(url);
  await client.connect();
  try {
    const { rows } = await client.query({ text: sql, rowMode: 'array' });
    return rows[0]?.[0];
  } finally {
    await client.end();
  }
}

/** A folder that the server's user can reach. */
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'sallyport-test-'));
  chmodSync(path, 0o755);
  cleanup.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const refused = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', () => resolve(true));
  });

it('is a real server, which takes settings and lets nobody in without the password', async () => {
  const server = await start({ settings: { work_mem: '5MB' } });
  expect(await ask(server.url, 'show work_mem')).toBe('5MB');
  expect(await ask(server.url, 'select version()')).toMatch(/^PostgreSQL \d+/);
  await expect(ask(server.url.replace(/:[^:@]+@/, ':wrong@'), 'select 1')).rejects.toThrow(/password/);
});

it('leaves nothing behind when it is stopped', async () => {
  const server = await startEmbeddedPostgres();
  await server.stop();
  expect(existsSync(server.dataDir)).toBe(false);
  expect(existsSync(server.socketDir)).toBe(false);
  expect(await refused(server.port)).toBe(true);
});

it('keeps its data in a folder that was asked for', async () => {
  const dataDir = join(folder(), 'data', 'postgres');
  const first = await start({ dataDir, password: 'kept' });
  expect(first.fresh).toBe(true);
  await ask(first.url, 'create table t as select 42 as answer');
  await first.stop();
  const second = await start({ dataDir, password: 'kept' });
  expect(second.fresh).toBe(false);
  expect(await ask(second.url, 'select answer from t')).toBe(42);
});

it('ends with the process that started it, however that dies', async () => {
  const module = new URL('./embedded-postgres.ts', import.meta.url).href;
  const script = `const s = await (await import(${JSON.stringify(module)})).startEmbeddedPostgres(); console.log(JSON.stringify(s)); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const server = JSON.parse(line.toString()) as EmbeddedPostgres;
  expect(await ask(server.url, 'select 1')).toBe(1);
  child.kill('SIGKILL');
  while (!(await refused(server.port)) || existsSync(server.socketDir))
    await new Promise((resolve) => setTimeout(resolve, 20));
});

it('runs from no folder that holds something else', async () => {
  const dataDir = folder();
  mkdirSync(join(dataDir, 'precious'));
  await expect(startEmbeddedPostgres({ dataDir })).rejects.toThrow(/holds something else/);
  expect(existsSync(join(dataDir, 'precious'))).toBe(true);
});

it('says why it did not start', async () => {
  const server = await start();
  await expect(startEmbeddedPostgres({ port: server.port })).rejects.toThrow(/did not start(?:.|\n)*in use/);
  await expect(startEmbeddedPostgres({ settings: { no_such_setting: '1' } })).rejects.toThrow(/no_such_setting/);
});

it('puts its data where the server’s user can reach it', () => {
  const open = folder();
  const closed = join(open, 'closed');
  mkdirSync(closed, { mode: 0o700 });
  expect(placeFor(join(open, 'data'))).toBe(join(open, 'data'));
  expect(passableByOthers(closed)).toBe(false);
  const inside = placeFor(join(closed, 'data'));
  if (serverUser() === undefined) expect(inside).toBe(join(closed, 'data'));
  else expect(inside).toMatch(/^\/var\/tmp\/sallyport-[0-9a-f]{16}$/);
  expect(placeFor(join(closed, 'data'))).toBe(inside);
});
