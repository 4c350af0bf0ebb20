import { spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Api, createApi } from '../api/api.ts';
import { type Fake, populated } from '../api/fake.ts';
import { openAuditLog } from '../audit/log.ts';
import { parseConfig, protocolSchemas } from '../config.ts';
import { checkPolicies } from '../policy/check.ts';
import { createProtocols } from '../protocols/index.ts';
import { run } from './program.ts';
import { starterConfiguration } from './starter.ts';

const bin = resolve(import.meta.dirname, '../../bin/sallyport.mjs');
const folder = mkdtempSync(join(tmpdir(), 'sallyport-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Outcome {
  readonly exit: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs the command line as a process of its own, with nothing in its environment but what is given. */
function sallyport(args: readonly string[], env: Readonly<Record<string, string>> = {}, input = ''): Promise<Outcome> {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [bin, ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH, SALLYPORT_HOME: join(folder, 'nobody'), ...env },
    });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.on('error', fail);
    child.on('close', (exit) => done({ exit, out, err }));
    child.stdin.end(input);
  });
}

let fake: Fake;
let api: Api;
let server: string;
beforeEach(async () => {
  fake = populated();
  api = createApi(fake);
  server = await api.listen({ host: '127.0.0.1', port: 0 });
});
afterEach(() => api.close());

/** The same within this process: quicker, for what does not hang on being one of its own. */
async function inside(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input = '',
): Promise<Outcome> {
  let [out, err] = ['', ''];
  const exit = await run(args, {
    env: { SALLYPORT_HOME: join(folder, 'nobody'), ...env },
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
    input: async () => input,
    key: async () => 'q',
    ask: async () => 'n',
  });
  return { exit, out, err };
}

/** Runs a command with a bearer credential. */
const as = (token: string, ...args: string[]) => inside(args, { SALLYPORT_SERVER: server, SALLYPORT_TOKEN: token });
/** The same as a process of its own. */
const processAs = (token: string, ...args: string[]) =>
  sallyport(args, { SALLYPORT_SERVER: server, SALLYPORT_TOKEN: token });

describe('the command line', () => {
  it('teaches: help of every command says what it does, and the root says what exit codes mean', async () => {
    const help = await sallyport(['--help']);
    expect(help.exit).toBe(0);
    const commands = [...help.out.matchAll(/^ {2}([a-z]+)(?: \[options\]| \[dir\])* {2,}\S/gm)].map(
      ([, name]) => name ?? '',
    );
    expect(commands).toEqual(
      expect.arrayContaining([
        'serve',
        'demo',
        'init',
        'doctor',
        'login',
        'logout',
        'whoami',
        'ticket',
        'targets',
        'tickets',
        'sessions',
        'approvals',
        'audit',
        'policy',
      ]),
    );
    expect(help.out).toMatch(/Exit status:\n\s+0 {2}done/);
    const each = await Promise.all(
      ['ticket', 'sessions', 'approvals', 'audit', 'policy'].map((name) => inside([name, '--help'])),
    );
    for (const { exit, out } of each) expect([exit, out.length > 200]).toEqual([0, true]);
    expect(each[0]?.out).toContain('PGPASSWORD=$(sallyport ticket --target shop)');
  });

  it('exits with 2 and says what is wrong with a command line', async () => {
    const all = await Promise.all([
      sallyport(['frobnicate']),
      sallyport(['ticket']),
      inside(['sessions', 'list', '--limit', 'many'], { SALLYPORT_SERVER: server }),
      inside(['whoami']),
    ]);
    expect(all.map(({ exit }) => exit)).toEqual([2, 2, 2, 2]);
    expect(all.map(({ err }) => err).join('')).toMatch(
      /unknown command[\s\S]*--target[\s\S]*expected a number[\s\S]*which server/,
    );
    expect(all.map(({ out }) => out).join('')).toBe('');
  });

  it('exits with 6 where no server answers, and with 3 where the token is not accepted', async () => {
    const [nobody, refused] = await Promise.all([
      sallyport(['whoami'], { SALLYPORT_SERVER: 'http://127.0.0.1:1', SALLYPORT_TOKEN: 'x' }),
      as('wrong-token', 'whoami'),
    ]);
    expect([nobody.exit, refused.exit]).toEqual([6, 3]);
    expect(nobody.err).toContain('cannot reach http://127.0.0.1:1');
    expect(refused.err).toContain('SP1001');
  });

  it('sends no token in the clear, and none to where it is redirected', async () => {
    const heard: (string | undefined)[] = [];
    const elsewhere = createServer((request, response) => {
      heard.push(request.headers.authorization);
      response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end();
    });
    await new Promise<void>((ready) => elsewhere.listen(0, '127.0.0.1', ready));
    const { port } = elsewhere.address() as AddressInfo;
    const [clear, redirected] = await Promise.all([
      inside(['whoami'], { SALLYPORT_SERVER: 'http://gateway.example', SALLYPORT_TOKEN: 'agent-token' }),
      inside(['whoami'], { SALLYPORT_SERVER: `http://127.0.0.1:${port}`, SALLYPORT_TOKEN: 'agent-token' }),
    ]);
    elsewhere.close();
    expect([clear.exit, redirected.exit]).toEqual([2, 6]);
    expect(clear.err).toContain('not encrypted');
    expect(redirected.err).toContain('redirects');
    expect(heard).toHaveLength(1);
  });
});

describe('tickets', () => {
  it('are printed alone on standard output, so that they can be a password', async () => {
    const { exit, out, err } = await processAs('agent-token', 'ticket', '--target', 'shop', '--ttl', '5m');
    expect([exit, out]).toEqual([0, 'spt_the-secret\n']);
    expect(err).not.toContain('spt_');
    expect(fake.tickets.get('ticket-3')).toMatchObject({ principal: 'corp:bot', targets: ['shop'] });
  });

  it('go into a file that only its owner may read, and never over another file', async () => {
    const file = join(folder, 'ticket');
    expect((await as('agent-token', 'ticket', '-t', 'shop', '-o', file)).exit).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe('spt_the-secret\n');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await as('agent-token', 'ticket', '-t', 'shop', '-o', file)).exit).toBe(2);
  });

  it('are listed and revoked; those of others are not there', async () => {
    const list = await as('agent-token', 'tickets', 'list', '--json');
    expect((JSON.parse(list.out) as { id: string }[]).map(({ id }) => id)).toEqual(['t-agent']);
    const [own, foreign] = [
      await as('agent-token', 'tickets', 'revoke', 't-agent'),
      await as('agent-token', 'tickets', 'revoke', 't-other'),
    ];
    expect([own.exit, foreign.exit]).toEqual([0, 5]);
    expect([...fake.tickets.keys()]).toEqual(['t-other']);
  });
});

describe('a login', () => {
  it('is kept for its server alone, readable to its owner alone, and forgotten on logout', async () => {
    const home = join(folder, 'home');
    const env = { SALLYPORT_HOME: home };
    const login = await sallyport(['login', '--server', server, '--token-file', '-'], env, 'agent-token\n');
    expect([login.exit, login.err]).toEqual([0, expect.stringContaining('corp:bot')]);
    const profile = join(home, 'profile.json');
    expect([statSync(home).mode & 0o777, statSync(profile).mode & 0o777]).toEqual([0o700, 0o600]);
    expect(login.out + login.err).not.toContain('agent-token');
    // The fake's clock stands still, so what it accepts has run out long ago for this process.
    const kept = JSON.parse(readFileSync(profile, 'utf8')) as {
      servers: Record<string, { login: { expiresAt: number } }>;
    };
    kept.servers[server]!.login.expiresAt = Date.now() + 3_600_000;
    writeFileSync(profile, JSON.stringify(kept));

    const [here, elsewhere] = await Promise.all([
      inside(['whoami'], env),
      inside(['whoami', '--server', 'http://127.0.0.1:1'], env),
    ]);
    expect([here.exit, elsewhere.exit]).toEqual([0, 3]);
    expect(here.out).toContain('corp:bot');
    expect(elsewhere.err).toContain('not logged in at http://127.0.0.1:1');

    chmodSync(profile, 0o644);
    expect((await inside(['whoami'], env)).err).toContain('others may read it');
    chmodSync(profile, 0o600);
    expect((await inside(['logout'], env)).exit).toBe(0);
    expect(readFileSync(profile, 'utf8')).not.toContain('agent-token');
    expect((await inside(['whoami'], env)).exit).toBe(3);
  });

  it('that has run out asks for another', async () => {
    const env = { SALLYPORT_HOME: join(folder, 'stale') };
    await inside(['login', '--server', server, '--token-file', '-'], env, 'agent-token\n');
    const { exit, err } = await inside(['whoami'], env);
    expect([exit, err]).toEqual([3, expect.stringContaining('sallyport login')]);
  });

  it('refuses what is no token before it is sent', async () => {
    const { exit } = await inside(['login', '--server', server, '--token-file', '-'], {}, 'two words\nand lines');
    expect(exit).toBe(2);
  });
});

describe('sessions', () => {
  it('are listed, shown and ended', async () => {
    const [list, json, show, foreign] = await Promise.all([
      as('agent-token', 'sessions', 'list'),
      as('auditor-token', 'sessions', 'list', '--json'),
      as('agent-token', 'sessions', 'show', 's-agent'),
      as('agent-token', 'sessions', 'show', 's-other'),
    ]);
    expect(list.out.split('\n')).toEqual([
      expect.stringMatching(/^SESSION +STARTED +FOR +WHO +TARGET +COMMANDS +DENIED +HELD$/),
      expect.stringMatching(/^s-agent .* live .* shop +3 +1 +0$/),
      '',
    ]);
    expect((JSON.parse(json.out) as { id: string }[]).map(({ id }) => id)).toEqual(['s-agent', 's-other', 's-admin']);
    expect(show.out).toContain('target    shop (postgres)');
    expect([foreign.exit, foreign.out]).toEqual([5, '']);
    expect((await as('agent-token', 'sessions', 'terminate', 's-agent', '--reason', 'enough')).exit).toBe(0);
    expect(fake.calls).toEqual(['terminate s-agent by corp:bot: enough']);
  });

  it('are replayed as text and as JSON', async () => {
    const [text, json] = await Promise.all([
      processAs('agent-token', 'sessions', 'replay', 's-agent'),
      processAs('agent-token', 'sessions', 'replay', 's-agent', '--json', '--skip', '2'),
    ]);
    expect(text.out).toBe(
      '\n#1 +5ms  SELECT id, name FROM customers\n id | name\n----+------\n 1  | ***\n   SELECT 1  (+9ms)\n',
    );
    expect(
      json.out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([
      { kind: 'row', exchange: 1, values: ['1', '***'] },
      { kind: 'status', exchange: 1, at: 9, text: 'SELECT 1' },
    ]);
  });

  it('cannot drive the terminal of whoever looks at them', async () => {
    const evil = '\u001b]0;pwned\u0007\u009b2J\u202e';
    fake.recordings.set('s-agent', [
      { kind: 'command', exchange: 1, at: 0, text: evil },
      { kind: 'row', exchange: 1, values: [evil] },
    ]);
    fake.sessions.set('s-agent', {
      ...fake.sessions.get('s-agent')!,
      principalName: evil,
      client: { address: evil, application: evil },
    });
    fake.approvals.set('a-agent', {
      ...fake.approvals.get('a-agent')!,
      text: evil,
      requester: { id: 'corp:bot', name: evil, kind: 'agent' },
    });
    const all = await Promise.all([
      processAs('agent-token', 'sessions', 'replay', 's-agent'),
      processAs('agent-token', 'sessions', 'replay', 's-agent', '--json'),
      as('agent-token', 'sessions', 'list'),
      as('agent-token', 'sessions', 'show', 's-agent'),
      as('agent-token', 'sessions', 'show', 's-agent', '--json'),
      as('agent-token', 'approvals', 'list'),
      as('agent-token', 'approvals', 'show', 'a-agent'),
    ]);
    for (const { exit, out, err } of all) {
      expect(exit).toBe(0);
      expect(out).toContain('pwned');
      expect([...out, ...err].filter((character) => /\p{C}/u.test(character) && character !== '\n')).toEqual([]);
    }
  });

  it('say so when a recording breaks off', async () => {
    await api.close();
    async function* broken() {
      yield { kind: 'status' as const, exchange: 1, at: 0, text: 'x'.repeat(20_000) };
      throw new Error('the digest does not match');
    }
    api = createApi({
      ...fake,
      admin: { ...fake.admin, sessions: { ...fake.admin.sessions, replay: () => broken() } },
    });
    server = await api.listen({ host: '127.0.0.1', port: 0 });
    const { exit, err } = await processAs('agent-token', 'sessions', 'replay', 's-agent');
    expect([exit, err]).toEqual([6, expect.stringContaining('sallyport:')]);
  });
});

describe('approvals', () => {
  it('are shown as the server presents them, and answered with a reason', async () => {
    const shown = await as('dba-token', 'approvals', 'show', 'a-agent');
    expect(shown.out).toContain('bot asks at shop:\nDELETE FROM orders WHERE id = $1\n\nstate: open');
    expect((await as('dba-token', 'approvals', 'approve', 'a-agent')).exit).toBe(2);
    const approved = await processAs('dba-token', 'approvals', 'approve', 'a-agent', '--reason', 'checked');
    expect([approved.exit, approved.out]).toEqual([0, '']);
    expect(approved.err).toMatch(/DELETE FROM orders[\s\S]*The request is approved/);
    expect(fake.calls).toEqual(['approve a-agent by corp:dba: checked']);
  });

  it('tell why somebody may not answer, and exit with 4', async () => {
    const { exit, err } = await as('owner-token', 'approvals', 'approve', 'a-agent', '-m', 'mine');
    expect([exit, err]).toEqual([4, expect.stringContaining('SP2001, rule separation-of-duty')]);
  });

  it('can be watched', async () => {
    const { out } = await as('dba-token', 'approvals', 'watch', '--count', '1', '--json', '--interval', '100ms');
    expect(JSON.parse(out)).toMatchObject({ id: 'a-agent', state: 'open' });
  });
});

describe('the audit log', () => {
  it('is queried, followed, and exported whole', async () => {
    const output = join(folder, 'audit.tar');
    const [query, tail, checkpoint, exported] = await Promise.all([
      as('auditor-token', 'audit', 'query', '--type', 'session.started', '--json'),
      as('auditor-token', 'audit', 'tail', '--count', '2', '--json'),
      as('auditor-token', 'audit', 'checkpoint'),
      processAs('auditor-token', 'audit', 'export', '--output', output),
    ]);
    expect((JSON.parse(query.out) as { seq: number }[]).map(({ seq }) => seq)).toEqual([2]);
    expect(
      tail.out
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { seq: number }).seq),
    ).toEqual([1, 2]);
    expect(checkpoint.out).toMatch(/^gateway\.example\n2\n/);
    expect(checkpoint.err).toContain('gateway.example+00000000+AAAA');
    expect([exported.exit, readFileSync(output, 'utf8')]).toEqual([0, 'tar bytes']);
  });

  it('that could not be exported whole leaves no file', async () => {
    await api.close();
    async function* broken() {
      yield Buffer.alloc(100_000);
      throw new Error('disk failed');
    }
    api = createApi({ ...fake, admin: { ...fake.admin, audit: { ...fake.admin.audit, export: () => broken() } } });
    server = await api.listen({ host: '127.0.0.1', port: 0 });
    const output = join(folder, 'broken.tar');
    expect((await as('auditor-token', 'audit', 'export', '-o', output)).exit).not.toBe(0);
    expect([existsSync(output), existsSync(`${output}.part`)]).toEqual([false, false]);
  });

  it('is verified offline, with the key that was kept or the one in the log, and names the first entry that was changed', async () => {
    const dir = join(folder, 'log');
    const log = await openAuditLog({ dir, origin: 'gateway.example/audit' });
    for (const target of ['shop', 'vault', 'shop']) await log.record({ type: 'session.started', target });
    await log.close();
    const key = readFileSync(join(dir, 'log.vkey'), 'utf8').trim();

    const [kept, own, json] = await Promise.all([
      sallyport(['audit', 'verify', dir, '--vkey', key]),
      inside(['audit', 'verify', dir]),
      inside(['audit', 'verify', dir, '--json']),
    ]);
    expect([kept.exit, own.exit, json.exit]).toEqual([0, 0, 0]);
    expect(kept.out).toMatch(/^VERIFIED[\s\S]*gateway\.example\/audit/);
    expect(kept.out).not.toContain('--vkey');
    expect(own.out).toContain('Compare with one you kept');
    expect(JSON.parse(json.out)).toMatchObject({ ok: true });

    const segments = join(dir, 'segments');
    const segment = join(segments, readdirSync(segments).toSorted()[0] ?? '');
    const bytes = readFileSync(segment);
    bytes[bytes.indexOf('vault')]! ^= 1;
    writeFileSync(segment, bytes);
    const forged = await sallyport(['audit', 'verify', dir, '--vkey', key]);
    expect([forged.exit, forged.out]).toEqual([
      1,
      expect.stringMatching(/^NOT VERIFIED[^\n]*\nFirst bad entry: \d+, in /),
    ]);

    const other = await inside([
      'audit',
      'verify',
      dir,
      '--vkey',
      key.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
    ]);
    const absent = await inside(['audit', 'verify', join(folder, 'no-such-log'), '--vkey', key]);
    expect([other.exit, absent.exit]).toEqual([1, 1]);
  });

  it('is refused to others with 4', async () => {
    expect((await as('agent-token', 'audit', 'query')).exit).toBe(4);
  });
});

describe('policies and targets', () => {
  it('are explained and listed', async () => {
    const [explain, list, targets, reload] = await Promise.all([
      as('agent-token', 'policy', 'explain', '--target', 'shop', 'DROP TABLE t'),
      as('auditor-token', 'policy', 'list'),
      as('agent-token', 'targets', 'list'),
      as('admin-token', 'policy', 'reload'),
    ]);
    expect(explain.out).toMatch(
      /decision +deny\nrule +no-drop\nreason +dropping is not for agents\nadvice +ask the dba/,
    );
    expect(list.out).toContain('p1      permit  a.cedar');
    expect(targets.out).toMatch(/shop +postgres +env=prod/);
    expect(reload.err).toContain('version v2');
  });

  it('are checked offline', async () => {
    const dir = join(folder, 'start');
    expect((await inside(['init', dir])).exit).toBe(0);
    const good = await inside(['policy', 'check', join(dir, 'policies')]);
    expect([good.exit, good.out]).toEqual([0, 'The policies are valid.\n']);
    writeFileSync(join(dir, 'policies', 'bad.cedar'), 'permit (principal, action == Action::"fly", resource);\n');
    const bad = await inside(['policy', 'check', join(dir, 'policies')]);
    expect([bad.exit, bad.out]).toEqual([1, expect.stringContaining('bad.cedar:1')]);
  });
});

describe('policy test', () => {
  it('runs the cases of a folder, and exits with 1 where one does not hold', async () => {
    const pack = resolve(import.meta.dirname, '../../policies/readonly-agents');
    const good = await inside(['policy', 'test', pack]);
    expect([good.exit, good.out]).toEqual([0, expect.stringMatching(/^(\d+) of \1 cases hold\.\n$/)]);
    const dir = join(folder, 'failing');
    cpSync(pack, dir, { recursive: true });
    const permissive = '@id("all") permit (principal, action, resource);\n';
    for (const file of readdirSync(dir)) if (file.endsWith('.cedar')) writeFileSync(join(dir, file), permissive);
    const bad = await inside(['policy', 'test', dir]);
    expect([bad.exit, bad.out]).toEqual([1, expect.stringMatching(/\.yaml:\d+: /)]);
  });
});

describe('a new configuration', () => {
  it('is written once, is valid, and has valid policies', async () => {
    const dir = join(folder, 'fresh');
    expect((await inside(['init', dir])).exit).toBe(0);
    expect((await inside(['init', dir])).err).toContain('is there already');
    const protocols = protocolSchemas(createProtocols());
    expect([
      ...parseConfig(readFileSync(join(dir, 'sallyport.yaml'), 'utf8'), 'sallyport.yaml', protocols).targets.keys(),
    ]).toEqual(['shop']);
    expect(await checkPolicies(join(dir, 'policies'))).toEqual([]);
  });

  it('is examined by doctor, which names what is wrong', async () => {
    const dir = join(folder, 'ill');
    await inside(['init', dir]);
    const file = join(dir, 'sallyport.yaml');
    const { port } = new URL(server);
    writeFileSync(
      file,
      starterConfiguration
        .replace('127.0.0.1:8443', `127.0.0.1:${port}`)
        .replace('127.0.0.1:6432', '127.0.0.1:0')
        .replace('# tls:', 'tls:'),
    );
    const ill = await inside(['doctor', '--config', file]);
    expect(ill.exit).toBe(1);
    expect(ill.out).toMatch(
      /ok .*is valid[\s\S]*WRONG .*certificate cannot be used[\s\S]*WRONG .*something listens there already[\s\S]*ok .*postgres: .* is free/,
    );
    writeFileSync(file, `${starterConfiguration}\nextra: 1\n`);
    const broken = await inside(['doctor', '--config', file, '--json']);
    expect([broken.exit, broken.out]).toEqual([1, expect.stringMatching(/sallyport\.yaml:\d+: extra: unknown key/)]);
  });
});
