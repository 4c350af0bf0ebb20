import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type BareGateway, startBareGateway } from '../support/gateway.ts';

/** Ways to write /admin, and requests in a request; each line is sent as it stands. */
const attacks = parse(readFileSync(new URL('./http-attacks.yaml', import.meta.url), 'utf8')) as {
  readonly paths: readonly string[];
  readonly requests: readonly { readonly name: string; readonly bytes: string }[];
};

const policies = `
@id("connect") permit (principal, action == Action::"connect", resource);
@id("read") permit (principal, action == Action::"read", resource in Target::"api");
@id("no-admin") forbid (principal, action in Action::"command", resource is Path)
when { resource.name like "/admin*" || resource.name like "/Admin*" || resource.name like "/ADMIN*" };
`;

describe('a caller who wants to get past policy', () => {
  let target: Server;
  let received = '';
  let gateway: BareGateway;
  let token: string;

  beforeAll(async () => {
    // Takes whatever it gets, and answers every blank line: what a lenient server would have understood is in what it received.
    target = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (bytes) => {
        received += bytes.toString('latin1');
        if (bytes.includes('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      });
    });
    await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
    gateway = await startBareGateway({
      policies,
      targets: {
        api: {
          protocol: 'http',
          address: `http://127.0.0.1:${(target.address() as AddressInfo).port}`,
          internal: true,
          labels: { env: 'test' },
          paths: { ignoreCase: true },
        },
      },
    });
    token = await gateway.tokenOf('agent');
  });
  afterAll(async () => {
    await gateway?.stop();
    target?.close();
  });

  /** Sends bytes on a connection of its own; resolves with all that came back. */
  const send = (bytes: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(gateway.http);
      const socket = connect({ host: hostname, port: Number(port), ca: gateway.ca, servername: 'localhost' });
      let answer = '';
      const done = () => {
        socket.destroy();
        resolve(answer);
      };
      socket.setTimeout(1500, done);
      socket.on('secureConnect', () => socket.write(Buffer.from(bytes, 'latin1')));
      socket.on('data', (chunk) => {
        answer += chunk.toString('latin1');
        // One answer is enough to know; a second one would have come along.
        if (/\r\n\r\n/.test(answer)) setTimeout(done, 30);
      });
      socket.on('end', done);
      socket.on('error', (error) => (answer === '' ? reject(error) : done()));
    });

  it('is answered where it asks plainly', async () => {
    const allowed = await send(`GET /api/public HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${token}\r\n\r\n`);
    expect(allowed).toMatch(/^HTTP\/1.1 200/);
    const denied = await send(`GET /api/admin HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${token}\r\n\r\n`);
    expect(denied).toMatch(/^HTTP\/1.1 403[\s\S]*no-admin/);
  });

  it.each(attacks.paths)('does not reach the forbidden path as %s', async (path) => {
    received = '';
    const answer = await send(`GET /api${path} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${token}\r\n\r\n`);
    expect(answer, path).toMatch(/^HTTP\/1.1 (?:4\d\d|200)/);
    for (const line of received.split('\r\n').filter((text) => / HTTP\/1\.1$/.test(text))) {
      const sent = line.slice(line.indexOf(' ') + 1, -' HTTP/1.1'.length);
      expect(readings(sent).filter((reading) => /^\/admin/i.test(reading))).toEqual([]);
      expect(sent).toBe(path); // byte for byte what was decided on
    }
  });

  it.each(attacks.requests)('smuggles nothing by $name', async ({ bytes }) => {
    received = '';
    const answer = await send(
      bytes.replaceAll('\n', '\r\n').replaceAll('<LF>', '\n').replaceAll('<CR>', '\r').replaceAll('<TOKEN>', token),
    ).catch(() => '');
    expect(received).not.toMatch(/admin/i);
    expect(answer).not.toMatch(/HTTP\/1.1 200[\s\S]*HTTP\/1.1 200/);
  });
});

/** What servers, proxies and frameworks are known to make of a path, one habit upon the other. */
function readings(path: string): readonly string[] {
  const found = new Set([path.split('?', 1)[0] as string]);
  const habits: readonly ((text: string) => string)[] = [
    (text) => text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    (text) => text.replaceAll('\\', '/'),
    (text) => text.replaceAll(/\/{2,}/g, '/'),
    (text) => text.replaceAll(/;[^/]*/g, ''),
    (text) => new URL(`http://x${text.startsWith('/') ? text : `/${text}`}`).pathname,
    (text) => text.replace(/#.*$/s, ''),
    (text) => text.replaceAll(/[\0-\x20]/g, ''),
  ];
  for (let round = 0; round < 4; round++)
    for (const text of [...found])
      for (const habit of habits) {
        try {
          found.add(habit(text));
        } catch {
          // not a path in that reading
        }
      }
  return [...found];
}
