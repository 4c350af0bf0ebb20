import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import { type BareGateway, startBareGateway } from '../../support/gateway.ts';
import { callGateway } from '../../support/http-client.ts';
import { rawCaller } from './raw-caller.ts';
import { filesWith } from './scan.ts';
import { startTalker, type Talker } from './talker.ts';

const key = 'key/of+the=target-0815';
const ssn = '912-34-5678';
const card = '4111 1111 1111 1111';

const policies = `
@id("connect") permit (principal, action == Action::"connect", resource);
@id("work") permit (principal, action in Action::"command", resource);
`;

describe('a target that talks', () => {
  let talker: Talker;
  let gateway: BareGateway;
  let token: string;
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-redteam-'));
  const upgrades = new WebSocketServer({ noServer: true });
  beforeAll(async () => {
    talker = await startTalker();
    gateway = await startBareGateway({
      folder,
      files: { 'api.key': key },
      policies,
      targets: {
        api: {
          protocol: 'http',
          address: `http://127.0.0.1:${talker.port}`,
          internal: true,
          labels: { env: 'test' },
          credential: { file: './api.key', as: 'bearer' },
          classify: { '$.ssn': 'pii.ssn' },
        },
      },
    });
    token = await gateway.tokenOf('agent');
  });
  afterAll(async () => {
    await gateway?.stop();
    await talker?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const get = (path: string, headers: Record<string, string> = {}) =>
    callGateway(gateway, token, 'GET', `/api${path}`, { headers });

  it('says nothing in an interim answer that it could not say in a final one', async () => {
    talker.on('/hints', (request, response, socket) => {
      socket.write(
        `HTTP/1.1 103 Early Hints\r\nlink: </x>; rel="${card}"\r\nx-key: ${request.headers.authorization}\r\nset-cookie: a=1\r\n\r\n`,
      );
      response.end('{}');
    });
    const caller = await rawCaller(gateway);
    caller.say(`GET /api/hints HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${token}\r\n\r\n`);
    const heard = await caller.heard(/HTTP\/1\.1 200[\s\S]*\r\n\r\n/);
    caller.end();
    expect(heard).toContain('HTTP/1.1 103');
    expect(heard).not.toContain(key);
    expect(heard).not.toContain(card);
    expect(heard).not.toContain('set-cookie');
  });

  it('says neither its credential nor a classified value in a ping, a pong or a farewell', async () => {
    talker.onUpgrade((request, socket) => {
      upgrades.handleUpgrade(request, socket as never, Buffer.alloc(0), (client) => {
        const secret = String(request.headers.authorization).slice('Bearer '.length);
        client.ping(`ping ${secret}`);
        client.pong(`pong ${card}`);
        client.on('message', () => client.close(4001, `bye ${secret} ${card}`));
      });
    });
    const socket = new WebSocket(`${gateway.http.replace('https', 'wss')}/api/live`, {
      agent: new Agent({ ca: gateway.ca, servername: 'localhost' }),
      headers: { authorization: `Bearer ${token}` },
      autoPong: true,
    });
    const control: string[] = [];
    socket.on('ping', (data) => control.push(String(data)));
    socket.on('pong', (data) => control.push(String(data)));
    await once(socket, 'open');
    socket.send('hello');
    const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
    expect(code).toBe(4001);
    const heard = `${control.join(' ')} ${reason}`;
    expect(heard).not.toContain(key);
    expect(heard).not.toContain(card);
    expect(String(reason)).toContain('bye');
  });

  it('gives no fingerprint of a masked value away', async () => {
    const body = JSON.stringify({ name: 'Ada', ssn });
    const md5 = createHash('md5').update(body).digest('hex');
    const sha256 = createHash('sha256').update(body).digest('hex');
    talker.on('/finger', (_, response) => {
      response.writeHead(200, {
        'content-type': 'application/json',
        etag: `"${md5}"`,
        'x-checksum-md5': md5,
        'x-ms-blob-content-md5': md5,
        'x-checksum-sha256': sha256,
        'content-length': body.length,
      });
      response.end(body);
    });
    for (const method of ['GET', 'HEAD']) {
      const answered = await callGateway(gateway, token, method, '/api/finger');
      const heads = JSON.stringify(answered.headers);
      expect(heads).not.toContain(md5);
      expect(heads).not.toContain(sha256);
      expect(heads).not.toContain(`"${body.length}"`);
      expect(answered.body).not.toContain(ssn);
    }
  });

  it('cannot be asked whether a masked value is still the one that was guessed', async () => {
    talker.on('/guess', (request, response) => {
      if (request.headers['if-none-match'] !== undefined) response.writeHead(304).end();
      else response.end('{}');
    });
    expect((await get('/guess')).status).toBe(200);
  });

  it('leaves nothing in the data folder that its caller could not see', async () => {
    await gateway.running.stop();
    expect(filesWith(join(folder, 'data'), [key, ssn, card, token])).toEqual([]);
    expect(filesWith(join(folder, 'data'), ['Early Hints', 'bye '])).not.toEqual([]);
  });
});
