import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Issued, type TestAuthority, testAuthority } from '../../../test/support/certificates.ts';
import { startPostgres, type TestPostgres } from '../../../test/support/postgres.ts';
import { Permit } from '../../audit/permit.ts';
import { PeerError, Refusal } from '../../model/errors.ts';
import type { Target, TargetCredential } from '../../model/target.ts';
import { authenticationSasl, bind, Client, execute, parse, protocol32, query, sync } from './codec.ts';
import { type ConnectOptions, connectUpstream, type UpstreamConnection } from './connect.ts';
import { dial } from './dial.ts';
import { FakeDialogue, type Script, startFake } from './fake.ts';
import { QueryConnection } from './query-connection.ts';
import { type PostgresSettings, type PostgresSettingsInput, postgresSettings } from './settings.ts';
import { Upstream } from './upstream.ts';

const secret = 'pâß"wörd\\ %20';
let postgres: TestPostgres;
let authority: TestAuthority;
let stranger: TestAuthority;
let folder: string;
let files: { readonly ca: string; readonly otherCa: string; readonly certificate: string; readonly key: string };

beforeAll(async () => {
  [authority, stranger] = await Promise.all([testAuthority(), testAuthority('somebody else')]);
  const [server, client] = await Promise.all([
    authority.server('db.test', '127.0.0.1'),
    authority.client('by_certificate'),
  ]);
  folder = mkdtempSync(join(tmpdir(), 'sallyport-connect-'));
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  files = {
    ca: file('ca.crt', authority.certificate),
    otherCa: file('other.crt', stranger.certificate),
    certificate: file('client.crt', client.certificate),
    key: file('client.key', client.key),
  };
  postgres = await startPostgres({
    ssl: { ...server, ca: authority.certificate },
    hba: [
      'local all postgres scram-sha-256',
      'host all postgres 127.0.0.1/32 scram-sha-256',
      'hostssl all clear_tls 127.0.0.1/32 password',
      'hostnossl all clear_plain 127.0.0.1/32 password',
      'host all by_md5 127.0.0.1/32 md5',
      'host all by_scram 127.0.0.1/32 scram-sha-256',
      'host all few 127.0.0.1/32 scram-sha-256',
      'host all by_trust 127.0.0.1/32 trust',
      'hostssl all by_certificate 127.0.0.1/32 cert',
    ],
  });
  const setup = await QueryConnection.open(options({}, { user: 'postgres', secret: postgres.superuser.password }));
  const literal = `'${secret.replaceAll("'", "''")}'`;
  for (const role of ['clear_tls', 'clear_plain', 'by_scram', 'by_trust', 'by_certificate'])
    await setup.run(`create role ${role} login password ${literal}`, 5000);
  await setup.run(`set scram_iterations = 1; create role few login password ${literal}`, 5000);
  await setup.run(`set password_encryption = md5; create role by_md5 login password ${literal}`, 5000);
  setup.close();
});

afterAll(async () => {
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
});

type Tls = NonNullable<PostgresSettingsInput['tls']>;

function target(tls: Tls, port = postgres.port, rest: Partial<PostgresSettingsInput> = {}): Target<PostgresSettings> {
  const settings = postgresSettings.parse({ address: `127.0.0.1:${port}`, database: 'postgres', tls, ...rest });
  return { name: 'orders', protocol: 'postgres', labels: {}, holdMs: 1000, settings };
}

function options(tls: Tls, credential: TargetCredential, port?: number): ConnectOptions {
  const whole: Tls = { mode: 'disable', ...tls };
  return {
    target: target(whole, port),
    credential,
    permit: Permit.issue('session', 1),
    signal: new AbortController().signal,
    timeoutMs: 5000,
  };
}

/** Logs in, and asks the server who we are and how we came. */
async function whoami(how: ConnectOptions): Promise<string> {
  const connection = await QueryConnection.open(how);
  const [row] = await connection.run(
    `select current_user || ' ' || case when s.ssl then s.version else 'plain' end || ' ' || coalesce(split_part(s.client_dn, '=', 2), '')
     from pg_stat_ssl s where s.pid = pg_backend_pid()`,
    5000,
  );
  connection.close();
  return row?.[0] ?? '';
}

async function failure(promise: Promise<unknown>): Promise<Error> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Error)) throw new Error('it should have failed');
  expect(error.message).not.toContain(secret);
  return error;
}

const full = (): Tls => ({ mode: 'verify-full', ca: files.ca });

describe('logging in to a real server', () => {
  it.each([
    ['SCRAM inside TLS', () => full(), 'by_scram', 'by_scram TLSv1.3 '],
    ['SCRAM in the clear on this machine', () => ({ mode: 'disable' as const }), 'by_scram', 'by_scram plain '],
    ['SCRAM with a single iteration, of a server that TLS verified', () => full(), 'few', 'few TLSv1.3 '],
    ['md5', () => full(), 'by_md5', 'by_md5 TLSv1.3 '],
    ['md5 in the clear on this machine', () => ({ mode: 'disable' as const }), 'by_md5', 'by_md5 plain '],
    ['a cleartext password inside TLS', () => full(), 'clear_tls', 'clear_tls TLSv1.3 '],
    ['a cleartext password on this machine', () => ({ mode: 'disable' as const }), 'clear_plain', 'clear_plain plain '],
    ['nothing at all', () => full(), 'by_trust', 'by_trust TLSv1.3 '],
    [
      'a certificate',
      () => ({ ...full(), certificate: files.certificate, key: files.key }),
      'by_certificate',
      'by_certificate TLSv1.3 by_certificate',
    ],
    ['TLS from the first byte', () => ({ ...full(), direct: true }), 'by_scram', 'by_scram TLSv1.3 '],
    [
      'a certificate whose name is given',
      () => ({ ...full(), serverName: 'db.test' }),
      'by_scram',
      'by_scram TLSv1.3 ',
    ],
    [
      'a chain that is verified, under another name',
      () => ({ mode: 'verify-ca' as const, ca: files.ca, serverName: 'elsewhere' }),
      'by_scram',
      'by_scram TLSv1.3 ',
    ],
    ['TLS with whoever answers', () => ({ mode: 'require' as const }), 'by_scram', 'by_scram TLSv1.3 '],
  ])('works with %s', async (_, tls, user, expected) => {
    expect(await whoami(options(tls(), { user, secret }))).toBe(expected);
  });

  it.each([
    ['invisible characters', 'I\u00adX'],
    ['a Roman numeral', '\u2168'],
    ['other spaces', 'a\u00a0b\u3000c\u200bd'],
    ['a control character', 'a\u0007b\u00aa'],
    ['composed and decomposed letters', 'A\u030a \u00c5 \ufb01'],
    ['nothing that is left when it is prepared', '\u00ad'],
    ['an emoji', 'p🔑w'],
  ])('works with a password of %s', async (_, password) => {
    const admin = await QueryConnection.open(options({}, { user: 'postgres', secret: postgres.superuser.password }));
    await admin.run(`alter role by_scram password '${password}'`, 5000);
    try {
      expect(await whoami(options(full(), { user: 'by_scram', secret: password }))).toBe('by_scram TLSv1.3 ');
    } finally {
      await admin.run(`alter role by_scram password '${secret}'`, 5000);
      admin.close();
    }
  });

  it('works over a Unix socket', async () => {
    const settings = postgresSettings.parse({
      address: join(postgres.socketDir, `.s.PGSQL.${postgres.port}`),
      database: 'postgres',
      tls: { mode: 'disable' },
    });
    const how = options({}, { user: 'postgres', secret: postgres.superuser.password });
    expect(await whoami({ ...how, target: { ...how.target, settings } })).toBe('postgres plain ');
  });

  it('takes a certificate from the credential', async () => {
    const how = options(full(), { user: 'by_certificate' });
    const settings = {
      ...how.target.settings,
      credential: { certificate: files.certificate, key: files.key, timeoutMs: 1000 },
    };
    expect(await whoami({ ...how, target: { ...how.target, settings } })).toBe('by_certificate TLSv1.3 by_certificate');
  });

  it.each([
    ['a wrong password (SCRAM)', 'by_scram', /password authentication failed .*28P01/],
    ['a wrong password (md5)', 'by_md5', /password authentication failed .*28P01/],
    ['a wrong password (cleartext)', 'clear_tls', /password authentication failed .*28P01/],
    ['a role that does not exist', 'nobody', /no pg_hba.conf entry .*28000/],
  ])('fails with %s, naming the host and the reason', async (_, user, reason) => {
    const error = await failure(whoami(options(full(), { user, secret: 'not the password' })));
    expect(error).toMatchObject({ kind: 'UPSTREAM_UNAVAILABLE' });
    expect(error.message).toContain(`127.0.0.1:${postgres.port}`);
    expect(error.message).toMatch(reason);
    expect(error.message).not.toContain('not the password');
  });

  it.each([
    ['a certificate of another name', () => ({ ...full(), serverName: 'elsewhere' }), /altnames/],
    [
      'a certificate of an unknown authority',
      () => ({ mode: 'verify-full' as const, ca: files.otherCa }),
      /TLS \(verify-full\) failed/,
    ],
    [
      'a private authority when only public ones are known',
      () => ({ mode: 'verify-full' as const }),
      /TLS \(verify-full\) failed/,
    ],
    [
      'an unknown authority, though the name is not looked at',
      () => ({ mode: 'verify-ca' as const, ca: files.otherCa }),
      /TLS \(verify-ca\) failed/,
    ],
    [
      'a file that is not there',
      () => ({ mode: 'verify-full' as const, ca: '/nowhere/ca.crt' }),
      /\/nowhere\/ca.crt cannot be read/,
    ],
  ])('refuses %s', async (_, tls, reason) => {
    const error = await failure(whoami(options(tls(), { user: 'by_scram', secret })));
    expect(error).toMatchObject({ kind: 'UPSTREAM_UNAVAILABLE' });
    expect(error.message).toMatch(reason);
  });

  it('says so when a password is needed and there is none', async () => {
    const error = await failure(whoami(options(full(), { user: 'by_scram' })));
    expect(error.message).toContain('the target has no credential');
  });

  it('needs a session permit of the audit log', async () => {
    const how = options({}, { user: 'by_trust' });
    await expect(connectUpstream({ ...how, permit: Permit.issue('command', 1) })).rejects.toThrow(TypeError);
    await expect(connectUpstream({ ...how, permit: {} as Permit })).rejects.toThrow(TypeError);
  });

  it('pins what the meaning of text depends on, and passes allowed settings on', async () => {
    const startup = { application_name: 'psql', TimeZone: 'Asia/Tokyo' };
    const connection = await QueryConnection.open({ ...options({}, { user: 'by_trust' }), startup });
    const [row] = await connection.run(
      "select concat_ws(' ', current_setting('client_encoding'), current_setting('standard_conforming_strings'), current_setting('application_name'), current_setting('TimeZone'))",
      5000,
    );
    connection.close();
    expect(row).toEqual(['UTF8 on psql Asia/Tokyo']);
  });

  it.each([
    'options',
    'replication',
    'user',
    'database',
    'client_encoding',
    'standard_conforming_strings',
    'session_preload_libraries',
  ])('passes no %s on', async (name) => {
    await expect(connectUpstream({ ...options({}, { user: 'by_trust' }), startup: { [name]: 'x' } })).rejects.toThrow(
      TypeError,
    );
  });

  it('gives long cancel keys in protocol 3.2, and short ones in 3.0', async () => {
    const long = await connectUpstream({ ...options({}, { user: 'by_trust' }), version: protocol32 });
    const short = await connectUpstream(options({}, { user: 'by_trust' }));
    expect([long.version, long.key?.secret.length]).toEqual([protocol32, 32]);
    expect(short.key?.secret.length).toBe(4);
    expect(short.serverMajor).toBe(18);
    long.socket.destroy();
    short.socket.destroy();
  });
});

/** Listens with a certificate of its own, speaks TLS to the real server, and passes on what it reads, changed by `change`. */
async function manInTheMiddle(
  certificate: Issued,
  change: (bytes: Buffer) => Buffer,
): Promise<{ port: number; stop(): void }> {
  const sockets: Socket[] = [];
  const server: Server = createServer(async (plain) => {
    sockets.push(plain.on('error', () => undefined));
    const dialogue = new FakeDialogue(plain);
    await dialogue.packet();
    dialogue.send(Buffer.from('S'));
    const client = new TLSSocket(plain, {
      isServer: true,
      secureContext: createSecureContext({ cert: certificate.certificate, key: certificate.key }),
    });
    const { socket: upstream } = await dial(target({ mode: 'require' }).settings, new AbortController().signal);
    sockets.push(
      upstream,
      client.on('error', () => undefined),
    );
    upstream.on('data', (bytes: Buffer) => client.write(change(bytes))).on('close', () => client.end());
    client.on('data', (bytes: Buffer) => upstream.write(bytes)).on('close', () => upstream.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const stop = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port: address.port, stop };
}

describe('a man in the middle', () => {
  it('is noticed by channel binding, even where nobody checks certificates', async () => {
    const middle = await manInTheMiddle(await stranger.server('127.0.0.1'), (bytes) => bytes);
    const error = await failure(whoami(options({ mode: 'require' }, { user: 'by_scram', secret }, middle.port)));
    middle.stop();
    expect(error.message).toMatch(/SCRAM channel binding check failed/);
  });

  it('is noticed when it hides that the server can bind', async () => {
    const offer = authenticationSasl(['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256']);
    const middle = await manInTheMiddle(await stranger.server('127.0.0.1'), (bytes) =>
      bytes.equals(offer) ? authenticationSasl(['SCRAM-SHA-256']) : bytes,
    );
    const error = await failure(whoami(options({ mode: 'require' }, { user: 'by_scram', secret }, middle.port)));
    middle.stop();
    expect(error.message).toMatch(/SCRAM channel binding negotiation error/);
  });

  it('gets nothing at all where certificates are checked', async () => {
    const middle = await manInTheMiddle(await stranger.server('127.0.0.1'), (bytes) => bytes);
    const error = await failure(whoami(options(full(), { user: 'by_scram', secret }, middle.port)));
    middle.stop();
    expect(error.message).toMatch(/TLS \(verify-full\) failed/);
  });
});

describe('an upstream connection', () => {
  const open = async () => {
    const connection = await connectUpstream(options({}, { user: 'by_trust' }));
    const read: Buffer[] = [];
    const ended = Promise.withResolvers<unknown>();
    const upstream = new Upstream(
      connection,
      (chunk) => read.push(chunk),
      (end) => ended.resolve(end),
    );
    upstream.resume();
    return { connection, upstream, ended: ended.promise, text: () => Buffer.concat(read).toString('latin1') };
  };
  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
  };

  it('takes one command for one command permit, and nothing without', async () => {
    const { upstream, ended, text } = await open();
    const permit = Permit.issue('command', 2);
    upstream.send(permit, query("select 'first'"));
    expect(() => upstream.send(permit, query("select 'second'"))).toThrow(TypeError);
    expect(() => upstream.send(Permit.issue('session', 3), query("select 'third'"))).toThrow(TypeError);
    expect(() => upstream.housekeeping(Permit.issue('command', 4), query("select 'fourth'"))).toThrow(TypeError);
    expect(() => upstream.more(Permit.issue('command', 5), query("select 'fifth'"))).toThrow(TypeError);
    await until(() => text().includes('first'));
    upstream.end(Permit.issue('session', 1));
    expect(await ended).toEqual({ kind: 'closed' });
    expect(text()).not.toMatch(/second|third|fourth|fifth/);
  });

  it('takes the rest of a command that it began', async () => {
    const { upstream, text } = await open();
    const permit = Permit.issue('command', 2);
    upstream.send(permit, Buffer.concat([parse('', "select 'whole'"), bind(), execute()]));
    upstream.more(permit, sync);
    await until(() => text().includes('whole'));
    upstream.destroy();
  });

  it('cancels what runs, over a connection of its own', async () => {
    const { upstream, text } = await open();
    upstream.send(Permit.issue('command', 2), query('select pg_sleep(60)'));
    // The server must have begun before there is anything to cancel.
    const watch = await QueryConnection.open(options({}, { user: 'postgres', secret: postgres.superuser.password }));
    for (;;) {
      const [row] = await watch.run(
        "select count(*) from pg_stat_activity where state = 'active' and query = 'select pg_sleep(60)'",
        5000,
      );
      if (row?.[0] === '1') break;
    }
    watch.close();
    await upstream.cancel(Permit.issue('session', 3), 5000);
    await until(() => text().includes('57014'));
    upstream.destroy();
  });

  it('says when the server ends it', async () => {
    const { connection, ended } = await open();
    const killer = await QueryConnection.open(options({}, { user: 'postgres', secret: postgres.superuser.password }));
    await killer.run(`select pg_terminate_backend(${connection.key?.processId})`, 5000);
    killer.close();
    expect(await ended).toMatchObject({ kind: expect.stringMatching(/closed|failed/) });
  });
});

describe('a hostile server', () => {
  const credential: TargetCredential = { user: 'app', secret };

  async function against(script: Script, tls: Tls = { mode: 'disable' }, timeoutMs = 5000): Promise<Error> {
    const fake = await startFake(script);
    try {
      return await failure(connectUpstream({ ...options(tls, credential, fake.port), timeoutMs }));
    } finally {
      await fake.stop();
    }
  }

  const after =
    (...bytes: readonly Buffer[]): Script =>
    async (client) => {
      await client.startup();
      client.send(...bytes);
      await client.hungUp();
    };
  const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
  const ok = hex('52 00000008 00000000');

  it.each([
    ['has no TLS', 'N', /offers no TLS/],
    ['answers the request for TLS with an error', 'EFATAL: give me your password', /answered with an error/],
    ['answers the request for TLS with nonsense', 'X', /neither S nor N/],
    ['sends plaintext behind its yes to TLS', `S${ok.toString('latin1')}`, /bytes before TLS began/],
    ['hangs up when asked for TLS', '', /hung up/],
  ])('that %s gets no further', async (_, answer, reason) => {
    const script: Script = async (client) => {
      await client.packet();
      if (answer === '') return;
      client.send(Buffer.from(answer, 'latin1'));
      await client.hungUp();
    };
    const error = await against(script, { mode: 'verify-full' });
    expect(error.message).toMatch(reason);
    expect(error.message).not.toContain('give me');
  });

  it('that agreed to TLS and speaks plaintext gets no further', async () => {
    const error = await against(
      async (client) => {
        await client.packet();
        client.send(Buffer.from('S'));
        await new Promise((resolve) => client.socket.once('data', resolve));
        client.send(ok);
        await client.hungUp();
      },
      { mode: 'require' },
    );
    expect(error).toMatchObject({ kind: 'UPSTREAM_UNAVAILABLE' });
  });

  it.each([
    ['asks for GSSAPI', hex('52 00000008 00000007'), Refusal, /GSSAPI, which is not supported/],
    ['asks for SSPI', hex('52 00000008 00000009'), Refusal, /SSPI, which is not supported/],
    ['asks for Kerberos V5', hex('52 00000008 00000002'), Refusal, /Kerberos V5, which is not supported/],
    ['asks for something nobody knows', hex('52 00000008 00000063'), Refusal, /authentication method 99/],
    ['goes on with SASL that never began', hex('52 00000009 0000000b 78'), PeerError, /had not begun/],
    [
      'offers only mechanisms that are not supported',
      authenticationSasl(['OAUTHBEARER']),
      Refusal,
      /no SASL mechanism/,
    ],
    ['lies about a length', hex('52 7fffffff 00000000'), PeerError, /lies about a length/],
    ['sends a negative length', hex('52 ffffffff'), PeerError, /lies about a length/],
    ['sends a length below 4', hex('52 00000003'), PeerError, /lies about a length/],
    [
      'is a web server',
      Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
      PeerError,
      /does not speak the PostgreSQL protocol/,
    ],
    ['asks for a short md5 salt', hex('52 0000000a 00000005 0102'), PeerError, /ends before its last field/],
    ['sends rows before anybody is logged in', hex('44 00000006 0000'), PeerError, /“D” during login/],
    ['is ready before anybody is logged in', hex('5a 00000005 49'), PeerError, /“Z” during login/],
    ['asks for another authentication after Ok', Buffer.concat([ok, ok]), PeerError, /“R” during login/],
    ['does not say which version it is', Buffer.concat([ok, hex('5a 00000005 49')]), Refusal, /which version/],
    ['begins inside a transaction', Buffer.concat([ok, hex('5a 00000005 54')]), PeerError, /inside a transaction/],
    ['negotiates a protocol nobody asked for', hex('76 0000000c 00030002 00000000'), PeerError, /negotiates/],
    ['sends an error without a SQLSTATE', hex('45 0000000b 4d 6f6f7073 00 00'), Refusal, /oops \(XX000\)/],
    ['sends an error without any field', hex('45 00000005 00'), Refusal, /no reason \(XX000\)/],
    [
      'sends a cancel key of 300 bytes',
      Buffer.concat([ok, hex('4b 00000134'), Buffer.alloc(304)]),
      PeerError,
      /lies about a length/,
    ],
  ])('that %s is refused', async (_, bytes, kind, reason) => {
    const error = await against(after(bytes));
    expect(error).toBeInstanceOf(kind);
    expect(error.message).toMatch(reason);
    expect(error.message).toContain('127.0.0.1');
  });

  it.each([
    ['client_encoding', 'SJIS'],
    ['standard_conforming_strings', 'off'],
  ])('that sets %s to %s is refused', async (name, value) => {
    const error = await against(async (client) => {
      await client.startup();
      client.welcome({
        server_version: '18.4',
        client_encoding: 'UTF8',
        standard_conforming_strings: 'on',
        [name]: value,
      });
      await client.hungUp();
    });
    expect(error).toMatchObject({ kind: 'UPSTREAM_UNAVAILABLE' });
  });

  it('that sends our password back in an error does not get it into our message', async () => {
    const error = await against(async (client) => {
      await client.startup();
      client.send(hex('52 00000008 00000003'));
      await client.until(Client.Password);
      const fields = Buffer.from(`SFATAL\0C28P01\0Mwrong password: ${secret}\nreally\0\0`);
      const head = Buffer.alloc(5, 'E');
      head.writeInt32BE(4 + fields.length, 1);
      client.send(head, fields);
      await client.hungUp();
    });
    expect(error.message).toContain('wrong password: … really (28P01)');
  });

  it('that never stops talking is cut off', async () => {
    const error = await against(async (client) => {
      await client.startup();
      client.send(ok, ...Array.from({ length: 2000 }, () => hex('4e 00000005 00')));
      await client.hungUp();
    });
    expect(error.message).toContain('does not come to an end');
  });

  it.each([
    ['after connecting', { mode: 'require' } as Tls, async () => undefined],
    [
      'inside the TLS handshake',
      { mode: 'require' } as Tls,
      async (client: FakeDialogue) => {
        await client.packet();
        client.send(Buffer.from('S'));
      },
    ],
    [
      'after the start-up message',
      { mode: 'disable' } as Tls,
      async (client: FakeDialogue) => void (await client.startup()),
    ],
    [
      'after authentication',
      { mode: 'disable' } as Tls,
      async (client: FakeDialogue) => {
        await client.startup();
        client.send(ok);
      },
    ],
  ])('that falls silent %s is given up', async (_, tls, begin) => {
    const error = await against(
      async (client) => {
        await begin(client);
        await client.hungUp();
      },
      tls,
      200,
    );
    expect(error).toMatchObject({ kind: 'UPSTREAM_UNAVAILABLE' });
    expect(error.message).toContain('within 200 ms');
  });

  it('is given up at once when the session ends meanwhile', async () => {
    const reason = new Refusal('SESSION_ENDED', 'terminated');
    const controller = new AbortController();
    const fake = await startFake(async (client) => {
      await client.startup();
      controller.abort(reason);
      await client.hungUp();
    });
    await expect(connectUpstream({ ...options({}, credential, fake.port), signal: controller.signal })).rejects.toBe(
      reason,
    );
    await fake.stop();
  });

  it('that is not there at all is named', async () => {
    const fake = await startFake(() => undefined);
    await fake.stop();
    const error = await failure(connectUpstream(options({}, credential, fake.port)));
    expect(error.message).toMatch(/connecting failed .*ECONNREFUSED/);
  });
});

it('leaves in the socket what a server sends right behind its first ReadyForQuery', async () => {
  const fake = await startFake(async (client) => {
    await client.startup();
    client.welcome();
    client.send(Buffer.from('4e000000050041', 'hex').subarray(0, 6));
    await client.hungUp();
  });
  const connection: UpstreamConnection = await connectUpstream(options({}, { user: 'app' }, fake.port));
  const data = await new Promise<Buffer>((resolve) => {
    new Upstream(connection, resolve, () => undefined).resume();
  });
  expect(data).toEqual(Buffer.from('4e0000000500', 'hex'));
  connection.socket.destroy();
  await fake.stop();
});
