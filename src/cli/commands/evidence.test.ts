import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Api, createApi } from '../../api/api.ts';
import { populated } from '../../api/fake.ts';
import { openAuditReader } from '../../audit/reader.ts';
import { fiveDays, type Story } from '../../evidence/synthetic.fixture.ts';
import { run } from '../program.ts';
import type { Terminal } from '../terminal.ts';

let story: Story;
let log: string;
beforeAll(async () => {
  story = await fiveDays();
  log = await story.export();
});
afterAll(() => story.scratch.clean());

async function sallyport(args: readonly string[], env: Readonly<Record<string, string>> = {}, now = Date.now()) {
  let [out, err] = ['', ''];
  const terminal: Terminal = {
    env,
    now: () => now,
    interactive: false,
    answerable: false,
    columns: 100,
    rows: 24,
    out: async (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    input: () => Promise.reject(new Error('nothing is asked')),
    key: () => Promise.reject(new Error('nothing is asked')),
    ask: () => Promise.reject(new Error('nothing is asked')),
  };
  const exit = await run(args, terminal);
  return { exit, out, err };
}

const period = ['--from', '2026-03-02', '--to', '2026-03-04'];

describe('sallyport evidence', () => {
  it('builds a package from an export and verifies it, offline', async () => {
    const output = join(story.scratch.dir(), 'q1.tar');
    const built = await sallyport([
      'evidence',
      'build',
      '--log',
      log,
      ...period,
      '--output',
      output,
      '--seed',
      'ours',
      '--vkey',
      story.log.vkey,
    ]);
    expect(built).toMatchObject({ exit: 0, err: '' });
    expect(built.out).toContain('gw.example/audit');
    const verified = await sallyport(['evidence', 'verify', output, '--vkey', story.log.vkey, '--seed', 'ours']);
    expect(verified.exit).toBe(0);
    expect(verified.out).toMatch(/^VERIFIED/);
    expect(verified.out).toContain('bound by hash only');
  });

  it('says no to a package that was changed, and names the place', async () => {
    const output = join(story.scratch.dir(), 'package');
    await sallyport(['evidence', 'build', '--log', log, ...period, '--output', output]);
    const file = join(output, 'exceptions.csv');
    writeFileSync(file, readFileSync(file, 'utf8').replace('high', 'low'));
    const { exit, out, err } = await sallyport(['evidence', 'verify', output]);
    expect(exit).toBe(1);
    expect(out).toMatch(/^NOT VERIFIED/);
    expect(out).toContain('exceptions.csv: the file is not the one that the manifest names');
    expect(err).toContain('does not verify');
  });

  it('makes nothing of a period that is none, of one without events, or of another log’s key', async () => {
    const output = join(story.scratch.dir(), 'none');
    const build = (...args: readonly string[]) =>
      sallyport(['evidence', 'build', '--log', log, '--output', output, ...args]);
    expect(await build('--from', '2026-02-30', '--to', '2026-03-01')).toMatchObject({ exit: 2 });
    expect(await build('--from', '2020-01-01', '--to', '2020-02-01')).toMatchObject({ exit: 5 });
    const other = await build(...period, '--vkey', `${story.log.vkey.slice(0, -3)}AA=`);
    expect(other.exit).toBe(1);
    expect(existsSync(output)).toBe(false);
  });

  describe('with a server', () => {
    let api: Api;
    let env: Readonly<Record<string, string>>;
    beforeAll(async () => {
      const fake = populated();
      const reader = story.scratch.keep(openAuditReader(story.log));
      api = createApi({ ...fake, admin: { ...fake.admin, audit: reader } });
      env = { SALLYPORT_SERVER: await api.listen({ host: '127.0.0.1', port: 0 }), SALLYPORT_TOKEN: 'admin-token' };
    });
    afterAll(() => api.close());

    it('fetches the log, and leaves nothing of it behind', async () => {
      const leftovers = () => readdirSync(tmpdir()).filter((name) => name.startsWith('sallyport-evidence-'));
      const before = leftovers();
      const output = join(story.scratch.dir(), 'fetched');
      expect(
        await sallyport(['evidence', 'build', ...period, '--output', output, '--seed', 'ours'], env),
      ).toMatchObject({ exit: 0 });
      expect((await sallyport(['evidence', 'verify', output, '--vkey', story.log.vkey])).exit).toBe(0);
      expect(leftovers()).toEqual(before);
    });

    it('says how the criteria stand', async () => {
      const { exit, out } = await sallyport(['evidence', 'status', '--days', '3', '--silence', '900'], env, story.now);
      expect(exit).toBe(0);
      expect(out).toMatch(/^CC6\.4 +elsewhere/m);
      expect(out).toMatch(/^PI1\.3 +exceptions +2026-03-03 +1 /m);
      expect(out).toMatch(/^recording-missing +high +1 /m);
      const json = await sallyport(['evidence', 'status', '--days', '3', '--silence', '900', '--json'], env, story.now);
      const status = JSON.parse(json.out) as { events: number; controls: { id: string; status: string }[] };
      expect(status.events).toBeGreaterThan(500);
      expect(status.controls.find(({ id }) => id === 'PI1.2')).toMatchObject({ status: 'shown', since: '2026-03-01' });
    });

    it('shows neither to who may not review', async () => {
      const agent = { ...env, SALLYPORT_TOKEN: 'agent-token' };
      expect((await sallyport(['evidence', 'status'], agent)).exit).toBe(4);
      const output = join(story.scratch.dir(), 'refused');
      expect((await sallyport(['evidence', 'build', ...period, '--output', output], agent)).exit).toBe(4);
      expect(existsSync(output)).toBe(false);
    });
  });
});
