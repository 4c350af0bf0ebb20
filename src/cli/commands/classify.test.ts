import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type Api, createApi } from '../../api/api.ts';
import { type Fake, populated } from '../../api/fake.ts';
import { run } from '../program.ts';

let fake: Fake;
let api: Api;
let server: string;
beforeEach(async () => {
  fake = populated();
  api = createApi(fake);
  server = await api.listen({ host: '127.0.0.1', port: 0 });
});
afterEach(() => api.close());

async function as(token: string, ...args: readonly string[]) {
  let [out, err] = ['', ''];
  const exit = await run(args, {
    env: { SALLYPORT_HOME: '/nowhere', SALLYPORT_SERVER: server, SALLYPORT_TOKEN: token },
    now: Date.now,
    interactive: false,
    answerable: false,
    columns: 100,
    rows: 24,
    out: async (text) => {
      out += String(text);
    },
    err: (text) => {
      err += text;
    },
    input: async () => '',
    key: async () => 'q',
    ask: async () => 'n',
  });
  return { exit, out, err };
}

describe('classify', () => {
  it('prints what is proposed and why, and the section, which reads back as exactly that', async () => {
    const { exit, out, err } = await as('admin-token', 'classify', 'shop');
    expect(exit).toBe(0);
    expect(out).toMatch(
      /^SURE +CLASSIFICATION +FIELD +WHY\n0\.97 +pii\.ssn +public\.customers\.ssn +the name suggests/,
    );
    expect(parse(out.slice(out.indexOf('\nclassify:\n')))).toEqual({
      classify: {
        'public.customers.ssn': 'pii.ssn',
        'public.customers."a: b.\u001b]0;x\u0007\n  evil: pii.x #"': 'pii.ssn',
      },
    });
    expect(err).toContain('12 fields, 1 classified already; values of 9 sampled; 2 proposed. 1 more below 0.5');
  });

  it('cannot drive the terminal by names or warnings', async () => {
    for (const args of [
      ['classify', 'shop'],
      ['classify', 'shop', '--json'],
    ]) {
      const { out, err } = await as('admin-token', ...args);
      expect(out + err).not.toMatch(/[^\P{C}\n]/u);
      expect(out + err).toContain('evil');
    }
  });

  it('takes the least confidence, and nothing that is none', async () => {
    const all = JSON.parse((await as('admin-token', 'classify', 'shop', '--min-confidence', '0', '--json')).out) as {
      entries: unknown[];
    };
    expect(all.entries.length).toBe(3);
    for (const wrong of ['', '.', '2', '-1', '0x1', '1.5', 'x'])
      expect((await as('admin-token', 'classify', 'shop', `--min-confidence=${wrong}`)).exit, wrong).toBe(2);
    const sure = await as('admin-token', 'classify', 'shop', '--min-confidence', '1');
    expect(sure.out).toBe('Nothing to propose.\n');
  });

  it('is refused to others with 4, and answers 5 where there is no such target', async () => {
    expect((await as('auditor-token', 'classify', 'shop')).exit).toBe(4);
    expect((await as('admin-token', 'classify', 'nowhere')).exit).toBe(5);
  });
});
