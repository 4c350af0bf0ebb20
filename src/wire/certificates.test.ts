import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type PeerCertificate, TLSSocket as ServerSocket, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../model/errors.ts';
import { loadServerTls, type ServerTls, tlsSchema } from './certificates.ts';

let dir = '';
const open: ServerTls[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-tls-'));
});
afterEach(() => {
  for (const tls of open.splice(0)) tls.close();
  rmSync(dir, { recursive: true });
});

const day = 86_400_000;
const file = (name: string) => join(dir, 'tls', name);

async function load(
  config: object = {},
  options: Parameters<typeof loadServerTls>[2] = {},
  where = dir,
): Promise<ServerTls> {
  const tls = await loadServerTls(tlsSchema.parse(config), where, options);
  open.push(tls);
  return tls;
}

/** A real handshake with a client that trusts `ca` and expects `name`. Rejects as the client does. */
async function handshake(
  tls: ServerTls,
  name: string,
  client: object = {},
): Promise<{ certificate: PeerCertificate; protocol: string | null }> {
  const server = createServer((socket) =>
    new ServerSocket(socket, { isServer: true, secureContext: tls.context }).on('error', () => {}),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  let socket: TLSSocket | undefined;
  try {
    return await new Promise((resolve, reject) => {
      socket = connect(
        {
          port,
          host: '127.0.0.1',
          servername: name.includes(':') || /^[\d.]+$/.test(name) ? '' : name,
          ca: readFileSync(file('ca.crt')),
          ...client,
        },
        () => resolve({ certificate: socket!.getPeerCertificate(), protocol: socket!.getProtocol() }),
      );
      socket.on('error', reject);
    });
  } finally {
    socket?.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

const leaf = () => new X509Certificate(readFileSync(file('server.crt')));

describe('the development certificate', () => {
  it('is accepted by a client that trusts its authority, for every name', async () => {
    const tls = await load({ names: ['gw.example', '10.1.2.3', '*.apps.example'] });
    expect(tls.caFile).toBe(file('ca.crt'));
    for (const name of ['localhost', 'gw.example', 'a.apps.example', '127.0.0.1'])
      expect((await handshake(tls, name)).protocol).toBe('TLSv1.3');
    expect(leaf().checkIP('10.1.2.3')).toBe('10.1.2.3');
    expect(leaf().checkIP('::1')).toBe('::1');
    await expect(handshake(tls, 'evil.example')).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    await expect(handshake(tls, 'localhost', { ca: [] })).rejects.toThrow();
  });

  it('is made of what OpenSSL calls a sound chain', async () => {
    await load();
    const verified = execFileSync('openssl', [
      'verify',
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-CAfile',
      file('ca.crt'),
      file('server.crt'),
    ]);
    expect(verified.toString()).toContain('OK');
    expect(leaf().ca).toBe(false);
    expect(leaf().publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
  });

  it('refuses TLS 1.1', async () => {
    const tls = await load();
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
    await expect(handshake(tls, 'localhost', old)).rejects.toThrow();
    expect((await handshake(tls, 'localhost', { maxVersion: 'TLSv1.2' })).protocol).toBe('TLSv1.2');
  });

  it('shows its keys to nobody but the owner', async () => {
    await load();
    for (const name of ['server.key', 'ca.key']) expect(statSync(file(name)).mode & 0o777).toBe(0o600);
  });

  it('stays the same at the next start', async () => {
    await load();
    const before = ['ca.crt', 'ca.key', 'server.crt', 'server.key'].map((name) => readFileSync(file(name), 'utf8'));
    await load();
    expect(['ca.crt', 'ca.key', 'server.crt', 'server.key'].map((name) => readFileSync(file(name), 'utf8'))).toEqual(
      before,
    );
  });

  it('is renewed before it expires, by the same authority, while serving', async () => {
    let now = Date.now() - 61 * day;
    const tls = await load({}, { now: () => now });
    const [serial, authority] = [leaf().serialNumber, readFileSync(file('ca.crt'), 'utf8')];
    let changes = 0;
    tls.onChange(() => changes++);
    now += 59 * day;
    await tls.reload();
    expect([leaf().serialNumber, changes]).toEqual([serial, 0]);
    now += 2 * day;
    await tls.reload();
    expect(leaf().serialNumber).not.toBe(serial);
    expect(changes).toBe(1);
    expect(readFileSync(file('ca.crt'), 'utf8')).toBe(authority);
    expect((await handshake(tls, 'localhost')).certificate.serialNumber).toBe(leaf().serialNumber);
  });

  it('is made anew for other names, and by a new authority when that one is old', async () => {
    await load();
    const first = leaf().serialNumber;
    await load({ names: ['gw.example'] });
    expect(leaf().serialNumber).not.toBe(first);
    expect(leaf().checkHost('gw.example')).toBe('gw.example');
    const authority = readFileSync(file('ca.crt'), 'utf8');
    await load({}, { now: () => Date.now() + 3600 * day });
    expect(readFileSync(file('ca.crt'), 'utf8')).not.toBe(authority);
  });

  it.each(['ca.crt', 'ca.key', 'server.crt', 'server.key'])(
    'is mended when %s is damaged, cut short, foreign or gone',
    async (name) => {
      const foreign = mkdtempSync(join(tmpdir(), 'sallyport-tls-'));
      await load({}, {}, foreign);
      const damages = [
        () => writeFileSync(file(name), 'garbage'),
        () => writeFileSync(file(name), readFileSync(file(name)).subarray(0, 100)),
        () => copyFileSync(join(foreign, 'tls', name), file(name)),
        () => unlinkSync(file(name)),
      ];
      for (const damage of damages) {
        await load();
        damage();
        const tls = await load();
        expect((await handshake(tls, 'localhost')).certificate.serialNumber).toBe(leaf().serialNumber);
      }
      rmSync(foreign, { recursive: true });
    },
  );
});

describe('the operator’s certificate', () => {
  async function operatorFiles(): Promise<{ a: string; b: string }> {
    for (const name of ['a', 'b']) (await loadServerTls({ names: [`${name}.example`] }, join(dir, name))).close();
    return { a: join(dir, 'a', 'tls'), b: join(dir, 'b', 'tls') };
  }

  it('is used, and taken anew when its files are replaced', async () => {
    const { a, b } = await operatorFiles();
    symlinkSync(a, join(dir, 'live'));
    const tls = await load(
      { certificate: 'live/server.crt', key: 'live/server.key', ca: 'live/ca.crt' },
      { baseDir: dir },
    );
    expect(tls.caFile).toBe(join(dir, 'live', 'ca.crt'));
    const before = tls.context;
    let changes = 0;
    const stop = tls.onChange(() => changes++);
    await tls.reload();
    expect(tls.context).toBe(before);
    unlinkSync(join(dir, 'live'));
    symlinkSync(b, join(dir, 'live'));
    await tls.reload();
    expect(changes).toBe(1);
    expect(new X509Certificate(tls.pem.cert).checkHost('b.example')).toBe('b.example');
    stop();
    writeFileSync(join(b, 'server.crt'), `${tls.pem.cert}\n`);
    await tls.reload();
    expect(changes).toBe(1);
  });

  it('is noticed without anybody asking', async () => {
    const { a, b } = await operatorFiles();
    const tls = await load({ certificate: join(a, 'server.crt'), key: join(a, 'server.key') }, { checkEveryMs: 10 });
    const changed = new Promise<void>((resolve) => tls.onChange(resolve));
    copyFileSync(join(b, 'server.crt'), join(a, 'server.crt'));
    copyFileSync(join(b, 'server.key'), join(a, 'server.key'));
    await changed;
    expect(new X509Certificate(tls.pem.cert).checkHost('b.example')).toBe('b.example');
    expect(tls.caFile).toBeUndefined();
  });

  it('stays in use while its files do not fit together', async () => {
    const { a, b } = await operatorFiles();
    const warnings: string[] = [];
    let tell = () => {};
    const warned = new Promise<void>((resolve) => {
      tell = resolve;
    });
    const warn = (message: string) => {
      warnings.push(message);
      tell();
    };
    const tls = await load(
      { certificate: join(a, 'server.crt'), key: join(a, 'server.key') },
      { checkEveryMs: 10, warn },
    );
    const before = tls.context;
    copyFileSync(join(b, 'server.key'), join(a, 'server.key'));
    await warned;
    expect(tls.context).toBe(before);
    await expect(tls.reload()).rejects.toThrow(ConfigError);
    expect(warnings[0]).toContain('the old TLS certificate stays in use');
    expect(warnings[0]).not.toContain('PRIVATE');
  });

  it('is refused at start when it is missing, no certificate, or not with its key', async () => {
    const { a, b } = await operatorFiles();
    const key = join(a, 'server.key');
    for (const certificate of [join(a, 'missing'), key, join(b, 'server.crt')]) {
      await expect(load({ certificate, key })).rejects.toThrow(ConfigError);
    }
    expect(tlsSchema.safeParse({ certificate: 'x' }).success).toBe(false);
    expect(tlsSchema.safeParse({ key: 'x' }).success).toBe(false);
  });
});
