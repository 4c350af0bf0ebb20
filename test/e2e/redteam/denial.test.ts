import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { Agent } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect as connectPlain, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { type BareGateway, startBareGateway } from '../../support/gateway.ts';
import { callGateway } from '../../support/http-client.ts';
import { rawCaller } from './raw-caller.ts';
import { startTalker, type Talker } from './talker.ts';

const policies = `
@id("connect") permit (principal, action == Action::"connect", resource);
@id("work") permit (principal, action in Action::"command", resource);
`;

describe('a caller or a target that wears the gateway out', () => {
  let talker: Talker;
  let mute: Server;
  const muted = new Set<Socket>();
  let gateway: BareGateway;
  let token: string;
  beforeAll(async () => {
    talker = await startTalker();
    mute = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('close', () => muted.delete(socket));
      socket.once('data', (bytes: Buffer) => {
        if (bytes.toString('latin1').startsWith('GET ')) muted.add(socket);
      });
    });
    mute.listen(0, '127.0.0.1');
    await once(mute, 'listening');
    const target = (port: number, extra: object = {}) => ({
      protocol: 'http',
      address: `http://127.0.0.1:${port}`,
      internal: true,
      labels: {},
      ...extra,
    });
    gateway = await startBareGateway({
      policies,
      targets: {
        api: target(talker.port),
        mute: target((mute.address() as AddressInfo).port),
        live: target(talker.port, { messages: 'commands' }),
      },
    });
    token = await gateway.tokenOf('agent');
  });
  afterAll(async () => {
    await gateway?.stop();
    await talker?.stop();
    mute?.close();
  });
  /** Requests that reached the target that never answers. */
  const asked = () => muted.size;
  const serves = async () => expect((await callGateway(gateway, token, 'GET', '/api/x')).status).toBe(200);

  it('is served beside hundreds of connections that never say a word, or only half of one', async () => {
    const { hostname, port } = new URL(gateway.http);
    const idle: Socket[] = [];
    for (let i = 0; i < 300; i++) {
      const socket = connectPlain(Number(port), hostname);
      socket.on('error', () => undefined);
      if (i % 3 === 1) socket.write(Buffer.from([0x16, 0x03, 0x01, 0x40, 0x00]));
      if (i % 3 === 2) socket.write('GE');
      idle.push(socket);
    }
    await serves();
    for (const socket of idle) socket.destroy();
  });

  it('lets go of a target that never answers when its caller goes', async () => {
    const caller = await rawCaller(gateway);
    caller.say(`GET /mute/x HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${token}\r\n\r\n`);
    await expect.poll(asked).toBe(1);
    caller.end();
    await expect.poll(asked).toBe(0);
  });

  it('cannot take all connections of a target from the others', async () => {
    const callers = await Promise.all(Array.from({ length: 70 }, () => rawCaller(gateway)));
    for (const caller of callers)
      caller.say(`GET /mute/x HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${token}\r\n\r\n`);
    await expect.poll(asked, { timeout: 5000 }).toBe(48);
    const other = await rawCaller(gateway);
    other.say(`GET /mute/x HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${await gateway.tokenOf('dana')}\r\n\r\n`);
    await expect.poll(asked, { timeout: 5000 }).toBe(49);
    for (const caller of [...callers, other]) caller.end();
    await expect.poll(asked, { timeout: 5000 }).toBe(0);
  });

  it('goes on serving a caller that asks for more than its share', async () => {
    talker.on('/slow', (_, response) => void setTimeout(() => response.end('{}'), 5));
    for (let round = 0; round < 3; round++) {
      const session = connectHttp2(gateway.http, { ca: gateway.ca, servername: 'localhost' });
      const ask = () =>
        new Promise<number>((resolve, reject) => {
          const stream = session.request({ ':path': '/api/slow', authorization: `Bearer ${token}` });
          stream.on('response', (fields) => resolve(Number(fields[':status'])));
          stream.on('error', reject);
          stream.resume();
        });
      const statuses = await Promise.all(Array.from({ length: 90 }, ask));
      expect(new Set(statuses)).toEqual(new Set([200]));
      session.destroy();
    }
  });

  it('is not fed interim answers without end', async () => {
    talker.on('/interim', (_request, _response, socket) => {
      const more = () => {
        if (!socket.destroyed)
          socket.write('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'.repeat(50), () => setImmediate(more));
      };
      more();
    });
    const caller = await rawCaller(gateway);
    caller.say(`GET /api/interim HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${token}\r\n\r\n`);
    expect(await caller.heard(/SP6002/)).toContain('502');
    caller.end();
    await serves();
  });

  it('takes no more of a body than it wants, refused or not', async () => {
    const caller = await rawCaller(gateway);
    caller.say(
      `POST /nowhere/x HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${token}\r\ncontent-length: 99999999999\r\n\r\n`,
    );
    let said = 0;
    const more = () => {
      if (caller.socket.destroyed || said > 512) return;
      said++;
      caller.socket.write(Buffer.alloc(65_536), more);
    };
    more();
    expect(await caller.heard(/never/)).toMatch(/HTTP\/1\.1 404[\s\S]*connection: close/i);
    expect(said).toBeLessThan(400);
    await serves();
  });

  it('gets its largest message into neither the log nor the way of others', async () => {
    talker.onUpgrade((_, socket) => socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n'));
    const { WebSocketServer } = await import('ws');
    const upgrades = new WebSocketServer({ noServer: true });
    talker.onUpgrade((request, socket) => {
      upgrades.handleUpgrade(request, socket as never, Buffer.alloc(0), (client) => {
        client.on('message', (data: Buffer) => client.send(String(data.length)));
      });
    });
    const socket = new WebSocket(`${gateway.http.replace('https', 'wss')}/live/socket`, {
      agent: new Agent({ ca: gateway.ca, servername: 'localhost' }),
      headers: { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
    });
    await once(socket, 'open');
    socket.send(Buffer.alloc(15 * 1024 * 1024, 1).toString());
    const [length] = (await once(socket, 'message')) as [Buffer];
    expect(String(length)).toBe(String(15 * 1024 * 1024));
    socket.terminate();
    await serves();
    const { body } = await gateway.call('dana', 'GET', '/v1/whoami');
    expect(body).toBeDefined();
  });
});
