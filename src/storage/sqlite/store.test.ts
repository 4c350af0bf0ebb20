import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../../model/errors.ts';
import { storeContract } from '../store.contract.ts';
import { sampleDecision, sampleRequest, sampleTicket } from '../store.samples.ts';
import { openSqliteStore } from './store.ts';

storeContract('SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-store-'));
  const argument = { file: join(folder, 'data', 'store.db') };
  return {
    open: () => openSqliteStore(argument),
    inChild: { module: new URL('./store.ts', import.meta.url), exported: 'openSqliteStore', argument },
    dispose: () => rm(folder, { recursive: true }),
  };
});

describe('the SQLite store', () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-store-'));
    file = join(folder, 'data', 'store.db');
  });
  afterEach(() => rm(folder, { recursive: true }));

  const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
  /** Opens a store and catches the thread that it starts. */
  const withThread = async () => {
    const thread = new Promise<Worker>((resolve) => process.once('worker', resolve));
    const store = await openSqliteStore({ file });
    return { store, thread: await thread };
  };

  it('keeps its files from everybody else on the machine', async () => {
    const store = await openSqliteStore({ file });
    await store.tickets.insert(sampleTicket());
    expect(await mode(join(folder, 'data'))).toBe('700');
    const files = await readdir(join(folder, 'data'));
    expect(files.sort()).toEqual(['store.db', 'store.db-shm', 'store.db-wal']);
    for (const name of files) expect([name, await mode(join(folder, 'data', name))]).toEqual([name, '600']);
    await store.close();
  });

  it('takes away the rights of others on a file that it finds', async () => {
    await (await openSqliteStore({ file })).close();
    await chmod(file, 0o666);
    await (await openSqliteStore({ file })).close();
    expect(await mode(file)).toBe('600');
  });

  it('syncs every commit, in write-ahead mode, with strict tables', async () => {
    const store = await openSqliteStore({ file });
    const other = new DatabaseSync(file);
    expect(other.prepare('pragma journal_mode').get()).toEqual({ journal_mode: 'wal' });
    const tables = other
      .prepare("select name, strict from pragma_table_list where name in ('approvals', 'tickets')")
      .all();
    expect(tables.map((table) => ({ ...table }))).toEqual(
      expect.arrayContaining([
        { name: 'approvals', strict: 1 },
        { name: 'tickets', strict: 1 },
      ]),
    );
    expect(other.prepare('pragma integrity_check').get()).toEqual({ integrity_check: 'ok' });
    other.close();
    await store.close();
  });

  it('refuses a store that a newer version has written, and leaves it as it is', async () => {
    await (await openSqliteStore({ file })).close();
    const newer = new DatabaseSync(file);
    newer.prepare('insert into kysely_migration values (?, ?)').run('9999-from-the-future', '2099-01-01T00:00:00.000Z');
    newer.close();
    await expect(openSqliteStore({ file })).rejects.toThrow(ConfigError);
    await expect(openSqliteStore({ file })).rejects.toThrow(/written by a newer Sallyport \(9999-from-the-future\)/);
  });

  it('refuses a file that is no database, and a folder that cannot be made, naming the file', async () => {
    const text = join(folder, 'notes.txt');
    await writeFile(text, 'these are notes, '.repeat(100));
    await expect(openSqliteStore({ file: text })).rejects.toThrow(ConfigError);
    await expect(openSqliteStore({ file: text })).rejects.toThrow(/notes\.txt: cannot be opened/);
    await expect(openSqliteStore({ file: join(text, 'store.db') })).rejects.toThrow(ConfigError);
  });

  it('is set up once when many start together', async () => {
    const stores = await Promise.all(Array.from({ length: 8 }, () => openSqliteStore({ file })));
    const ticket = sampleTicket();
    await stores[0]?.tickets.insert(ticket);
    for (const store of stores) expect(await store.tickets.byId(ticket.id)).toEqual(ticket);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('rejects everything that waits when its thread dies, and everything after, and says that it failed', async () => {
    const { store, thread } = await withThread();
    expect(store.failed.aborted).toBe(false);
    const waiting = Array.from({ length: 20 }, () => store.tickets.insert(sampleTicket()));
    const settled = Promise.allSettled(waiting);
    await thread.terminate();
    const outcomes = await settled;
    expect(outcomes.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(0);
    expect(store.failed.aborted).toBe(true);
    expect(String(store.failed.reason)).toMatch(/the store has failed/);
    await expect(store.approvals.consume('x', 'y', 1)).rejects.toThrow(/the store has failed/);
    await expect(store.approvals.findOrCreate(sampleRequest(), 9)).rejects.toThrow(/the store has failed/);
    await store.close();
  });

  it('does not call an orderly end a failure', async () => {
    const store = await openSqliteStore({ file });
    await store.close();
    expect(store.failed.aborted).toBe(false);
  });

  it('lets a transaction of another process finish, and rejects when it takes too long, with the store usable afterwards', async () => {
    const store = await openSqliteStore({ file, busyMs: 50 });
    const other = new DatabaseSync(file);
    other.exec('begin immediate');
    await expect(store.tickets.insert(sampleTicket())).rejects.toThrow(/locked/);
    await expect(store.approvals.findOrCreate(sampleRequest(), 9)).rejects.toThrow(/locked/);
    other.exec('rollback');
    other.close();
    expect(await store.approvals.findOrCreate(sampleRequest(), 9)).toMatchObject({ created: true });
    await store.close();
  });

  it('rolls the whole transaction back when a part of it fails', async () => {
    const store = await openSqliteStore({ file });
    const request = sampleRequest();
    await store.approvals.findOrCreate(request, 9);
    await expect(store.approvals.findOrCreate(sampleRequest({ id: request.id }), 9)).rejects.toThrow(/UNIQUE/);
    expect(await store.approvals.findOrCreate(sampleRequest(), 9)).toMatchObject({ created: true });
    expect(await store.approvals.list({ limit: 9 })).toHaveLength(2);
    await store.close();
  });

  it('reads no approval out of a row that was tampered into another shape', async () => {
    const store = await openSqliteStore({ file });
    const request = sampleRequest();
    await store.approvals.findOrCreate(request, 9);
    await store.approvals.answer(request.id, 0, sampleDecision(), 'approved');
    const other = new DatabaseSync(file);
    other.exec(`update approvals set decisions = '[{"answer":"approve"}]'`);
    other.close();
    await expect(store.approvals.get(request.id)).rejects.toThrow();
    await expect(store.approvals.find(request.digest, 1_600)).rejects.toThrow();
    await store.close();
  });

  it('writes no bind value into the error of a failed statement', async () => {
    const store = await openSqliteStore({ file });
    const ticket = sampleTicket({ hash: 'c0ffee'.repeat(10) });
    await store.tickets.insert(ticket);
    const error = await store.tickets.insert(ticket).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(Error);
    expect(`${error} ${JSON.stringify(error)} ${(error as Error).stack}`).not.toContain('c0ffee');
    await store.close();
  });

  it('leaves the event loop free while it writes', async () => {
    const store = await openSqliteStore({ file });
    const other = new DatabaseSync(file);
    other.exec('begin immediate');
    let turns = 0;
    const insert = store.tickets.insert(sampleTicket());
    // The write cannot end before the other transaction does, and that one ends only after the loop has turned 100 times.
    while (turns < 100) {
      await new Promise((resolve) => setImmediate(resolve));
      turns++;
    }
    other.exec('commit');
    await insert;
    other.close();
    await store.close();
  });
});
