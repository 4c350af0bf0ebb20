import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls';
import * as x509 from '@peculiar/x509';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type TestAuthority, testAuthority } from '../../../test/support/certificates.ts';
import { until } from '../http2/sent.fixture.ts';
import { readHost } from './addresses.ts';
import { type ConnectOptions, connectUpstream } from './connect.ts';

const closing: (() => unknown)[] = [];
const never = new AbortController().signal;
let folder: string;
let authority: TestAuthority;
let files: { ca: string; otherCa: string; clientCertificate: string; clientKey: string };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-connect-'));
  authority = await testAuthority();
  const other = await testAuthority('another authority');
  const client = await authority.client('sallyport');
  const put = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  files = {
    ca: await put('ca.pem', authority.certificate),
    otherCa: await put('other.pem', other.certificate),
    clientCertificate: await put('client.pem', client.certificate),
    clientKey: await put('client.key', client.key),
  };
});

afterAll(() => rm(folder, { recursive: true }));

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function tlsTarget(options: TlsOptions = {}, names = ['localhost']) {
  const { certificate, key } = await authority.server(...names);
  const peers: TLSSocket[] = [];
  const server = createTlsServer(
    { cert: certificate, key, ALPNProtocols: ['h2', 'http/1.1'], ...options },
    (socket) => {
      socket.on('error', () => undefined);
      peers.push(socket);
    },
  );
  server.on('tlsClientError', () => undefined);
  return { port: await listening(server), peers };
}

function options(port: number, changes: Partial<ConnectOptions> = {}): ConnectOptions {
  return {
    name: 'api',
    scheme: 'https',
    host: readHost('localhost')!,
    port,
    tls: { ca: files.ca },
    connectMs: 3000,
    resolve: async () => ['127.0.0.1'],
    ...changes,
  };
}

async function attempt(
  given: ConnectOptions,
  protocols: readonly ('h2' | 'http/1.1')[] = ['h2', 'http/1.1'],
  signal = never,
) {
  const connected = await connectUpstream(given, protocols, signal);
  closing.push(() => connected.stream.destroy());
  return connected;
}

describe('the name of a target', () => {
  it('is resolved once, and the connection goes to the address that was judged', async () => {
    const port = await listening(createServer());
    const answers = [['127.0.0.1'], ['169.254.169.254'], ['10.0.0.1']];
    let asked = 0;
    const { stream } = await attempt(options(port, { scheme: 'http', resolve: async () => answers[asked++]! }), [
      'http/1.1',
    ]);
    expect(asked).toBe(1);
    expect(stream.remoteAddress).toBe('127.0.0.1');
  });

  it.each([
    ['a private address', ['10.0.0.1']],
    ['this machine', ['127.0.0.1']],
    ['the metadata service', ['169.254.169.254']],
    ['the metadata service, dressed up', ['::ffff:169.254.169.254']],
    ['a public address and a private one', ['93.184.216.34', '10.0.0.1']],
    ['nothing numeric', ['localhost']],
    ['a zone', ['fe80::1%lo']],
  ])('that leads to %s is not connected to', async (_name, addresses) => {
    let connections = 0;
    const server = createServer(() => connections++);
    const port = await listening(server);
    const given = options(port, { scheme: 'http', host: readHost('api.example.com')!, resolve: async () => addresses });
    await expect(attempt(given, ['http/1.1'])).rejects.toMatchObject({
      kind: 'UPSTREAM_UNAVAILABLE',
      message: expect.stringContaining('not allowed'),
    });
    expect(connections).toBe(0);
  });

  it('may lead inside when the operator says so', async () => {
    const port = await listening(createServer());
    const given = options(port, { scheme: 'http', host: readHost('api.example.com')!, internal: true });
    expect((await attempt(given, ['http/1.1'])).stream.remoteAddress).toBe('127.0.0.1');
  });

  it('that changes between two connections is judged anew', async () => {
    const port = await listening(createServer());
    const answers = [['127.0.0.1'], ['169.254.169.254'], ['10.0.0.1'], ['127.0.0.1']];
    const given = options(port, { scheme: 'http', resolve: async () => answers.shift()! });
    await attempt(given, ['http/1.1']);
    await expect(attempt(given, ['http/1.1'])).rejects.toThrow('not allowed');
    await expect(attempt(given, ['http/1.1'])).rejects.toThrow('not allowed');
    await attempt(given, ['http/1.1']);
  });

  it('that has none, or cannot be resolved, says so', async () => {
    await expect(attempt(options(1, { resolve: async () => [] }))).rejects.toThrow('has no address');
    const failing = options(1, { resolve: () => Promise.reject(new Error('no such name')) });
    await expect(attempt(failing)).rejects.toMatchObject({ kind: 'UPSTREAM_UNAVAILABLE' });
  });

  it('may have a dead address before a living one', async () => {
    const port = await listening(createServer());
    const given = options(port, { scheme: 'http', resolve: async () => ['127.0.0.2', '127.0.0.1'], internal: true });
    // 127.0.0.2 refuses: the server listens on 127.0.0.1 alone.
    expect((await attempt(given, ['http/1.1'])).stream.remoteAddress).toBe('127.0.0.1');
  });
});

describe('TLS to a target', () => {
  it('is verified, and agrees on a protocol', async () => {
    const { port } = await tlsTarget();
    expect((await attempt(options(port))).protocol).toBe('h2');
    expect((await attempt(options(port), ['http/1.1'])).protocol).toBe('http/1.1');
    const old = await tlsTarget({ ALPNProtocols: undefined as never });
    expect((await attempt(options(old.port))).protocol).toBe('http/1.1');
  });

  it('without the protocol that is wanted fails', async () => {
    const { port } = await tlsTarget({ ALPNProtocols: ['http/1.1'] });
    await expect(attempt(options(port), ['h2'])).rejects.toMatchObject({ kind: 'UPSTREAM_UNAVAILABLE' });
    const old = await tlsTarget({ ALPNProtocols: undefined as never });
    await expect(attempt(options(old.port), ['h2'])).rejects.toThrow('ALPN');
  });

  it('fails for a certificate with another name, an unknown signer, or past its time', async () => {
    const wrongName = await tlsTarget({}, ['other.test']);
    await expect(attempt(options(wrongName.port))).rejects.toThrow('TLS failed');
    const { port } = await tlsTarget();
    await expect(attempt(options(port, { tls: { ca: files.otherCa } }))).rejects.toThrow('TLS failed');
    await expect(attempt(options(port, { tls: {} }))).rejects.toThrow('TLS failed');
    const expired = await tlsTarget(await past('localhost'));
    await expect(attempt(options(expired.port))).rejects.toThrow(/TLS failed.*expired/i);
  });

  it('can be asked to expect another name', async () => {
    const { port, peers } = await tlsTarget({}, ['api.inside.test']);
    await expect(attempt(options(port))).rejects.toThrow('TLS failed');
    const serverName = 'api.inside.test';
    await attempt(options(port, { tls: { ca: files.ca, serverName } }));
    await until(() => peers.length > 0);
    expect(peers.at(-1)?.servername).toBe(serverName);
  });

  it('compares an address with the certificate where the target is an address', async () => {
    const host = readHost('127.0.0.1')!;
    const named = await tlsTarget({}, ['localhost']);
    await expect(attempt(options(named.port, { host }))).rejects.toThrow('TLS failed');
    const numbered = await tlsTarget({}, ['127.0.0.1']);
    await attempt(options(numbered.port, { host }));
  });

  it('takes any certificate only where that is asked for', async () => {
    const { port } = await tlsTarget({}, ['other.test']);
    expect((await attempt(options(port, { tls: { insecure: true } }))).protocol).toBe('h2');
  });

  it('is 1.2 at least', async () => {
    const { port } = await tlsTarget({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' });
    await expect(attempt(options(port, { tls: { insecure: true } }))).rejects.toThrow('TLS failed');
  });

  it('shows our certificate where there is one', async () => {
    const { port, peers } = await tlsTarget({ requestCert: true, rejectUnauthorized: true, ca: authority.certificate });
    const tls = { ca: files.ca, certificate: files.clientCertificate, key: files.clientKey };
    await attempt(options(port, { tls }));
    await until(() => peers.length > 0);
    expect(peers[0]?.getPeerCertificate().subject.CN).toBe('sallyport');
  });

  it('says which setting is wrong without saying what is in it', async () => {
    const { port } = await tlsTarget();
    const missing = attempt(options(port, { tls: { ca: join(folder, 'missing.pem') } }));
    await expect(missing).rejects.toThrow('a file of its TLS settings cannot be read (ENOENT)');
  });
});

describe('a target that', () => {
  it('is not there is unavailable', async () => {
    const server = createServer();
    const port = await listening(server);
    server.close();
    await expect(attempt(options(port))).rejects.toMatchObject({
      kind: 'UPSTREAM_UNAVAILABLE',
      message: expect.stringMatching(/^the target api cannot be reached: connecting failed/),
    });
  });

  it('accepts and says nothing is given up', async () => {
    const port = await listening(createServer());
    await expect(attempt(options(port, { connectMs: 60 }))).rejects.toThrow('connecting took too long');
  });

  it('hangs up in the handshake, or speaks no TLS, is unavailable', async () => {
    const hangsUp = await listening(createServer((socket) => socket.destroy()));
    await expect(attempt(options(hangsUp))).rejects.toThrow('TLS failed');
    const other = await listening(createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')));
    await expect(attempt(options(other))).rejects.toThrow('TLS failed');
  });

  it('has a name that nobody ever resolves is given up', async () => {
    const hanging = options(1, { resolve: () => new Promise(() => undefined), connectMs: 50 });
    await expect(attempt(hanging)).rejects.toThrow('connecting took too long');
  });

  it('is being connected to when nobody wants it any more is left', async () => {
    const port = await listening(createServer());
    const stop = new AbortController();
    const attempted = attempt(options(port), ['h2'], stop.signal);
    stop.abort(new Error('not wanted'));
    await expect(attempted).rejects.toThrow('not wanted');
  });
});

/** A certificate of our authority whose time is over. */
async function past(name: string): Promise<TlsOptions> {
  x509.cryptoProvider.set(webcrypto);
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
  const own = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    x509.PemConverter.decodeFirst(authority.key),
    algorithm,
    true,
    ['sign'],
  );
  const certificate = await x509.X509CertificateGenerator.create({
    notBefore: new Date(Date.now() - 7_200_000),
    notAfter: new Date(Date.now() - 3_600_000),
    issuer: new x509.X509Certificate(authority.certificate).subject,
    subject: `CN=${name}`,
    publicKey: own.publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
  });
  const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', own.privateKey), 'PRIVATE KEY');
  return { cert: certificate.toString('pem'), key };
}
