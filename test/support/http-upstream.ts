import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { WebSocketServer } from 'ws';

/** A real HTTP server that stands for somebody's interface, on loopback. */
export interface HttpUpstream {
  readonly port: number;
  /** `METHOD path` of every request that reached it, a line each. */
  log(): string;
  /** Header fields of the last request. */
  readonly lastFields: () => Readonly<Record<string, string | string[] | undefined>>;
  /** Connections that have been opened to it. */
  readonly connections: () => number;
  stop(): Promise<void>;
}

export const customers = [
  { id: 1, name: 'Ada Lovelace', ssn: '912-34-5678', card: '4111 1111 1111 1111' },
  { id: 2, name: 'Grace Hopper', ssn: '923-45-6789', card: '5500 0000 0000 0004' },
];

export async function startHttpUpstream(): Promise<HttpUpstream> {
  const log: string[] = [];
  let last: IncomingMessage['headers'] = {};
  let connections = 0;
  const server = createServer((request, response) => {
    log.push(`${request.method} ${request.url}`);
    last = request.headers;
    answer(request, response).catch(() => response.destroy());
  });
  server.on('connection', () => {
    connections += 1;
  });
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    log.push(`${request.method} ${request.url}`);
    last = request.headers;
    sockets.handleUpgrade(request, socket, head, (client) => {
      client.on('message', (data, binary) => {
        const text = data.toString();
        log.push(`MESSAGE ${text}`);
        client.send(text === 'customers' ? JSON.stringify({ customers }) : data, { binary });
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    log: () => log.join('\n'),
    lastFields: () => last,
    connections: () => connections,
    async stop() {
      sockets.close();
      for (const client of sockets.clients) client.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://target');
  const [, first = '', second = ''] = url.pathname.split('/');
  const json = (value: unknown, status = 200) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  switch (first) {
    case 'orders':
      await drain(request);
      return void json({ id: Number(second), status: 'paid', method: request.method });
    case 'customers':
      return void json({ customers });
    case 'coded': {
      const body = Buffer.from(JSON.stringify({ customers }));
      const coded = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync }[second];
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': second });
      return void response.end(coded?.(body) ?? body);
    }
    case 'echo':
      return void json({ fields: request.headers, raw: request.rawHeaders });
    case 'redirect':
      response.writeHead(302, {
        location: `http://${request.headers.host}/customers?token=${request.headers.authorization?.split(' ')[1] ?? ''}`,
        'set-cookie': 'a=1; Path=/; Domain=target.example',
      });
      return void response.end();
    case 'upload': {
      const hash = createHash('sha256');
      let bytes = 0;
      for await (const chunk of request as AsyncIterable<Buffer>) {
        hash.update(chunk);
        bytes += chunk.length;
      }
      return void json({ bytes, sha256: hash.digest('hex') });
    }
    case 'bytes':
      return streamBytes(response, Number(second));
    case 'events':
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const { name, ssn } of customers) {
        response.write(`data: ${JSON.stringify({ name, ssn })}\n\n`);
        await sleep(20);
      }
      return void response.end();
    case 'page':
      response.writeHead(200, { 'content-type': 'text/plain' });
      return void response.end(`Ada pays with ${customers[0]!.card}.\n`);
    case 'broken':
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"customers":[{"ssn":"912');
      await sleep(20);
      return void response.destroy();
    case 'status':
      await drain(request);
      return void json({ error: 'as asked' }, Number(second));
    default:
      await drain(request);
      return void json({ error: 'not found' }, 404);
  }
}

async function drain(request: IncomingMessage): Promise<void> {
  for await (const _ of request);
}

const mebibyte = Buffer.alloc(1024 * 1024, 'x');

async function streamBytes(response: ServerResponse, mebibytes: number): Promise<void> {
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': mebibytes * mebibyte.length,
  });
  const chunks = Array.from({ length: mebibytes }, () => mebibyte);
  await pipeline(Readable.from(chunks), response).catch(() => undefined); // the caller may have had enough
}
