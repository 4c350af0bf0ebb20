import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** A target whose every word the test chooses. */
export interface Talker {
  readonly port: number;
  /** `METHOD path` of what arrived, and its header fields. */
  readonly seen: { readonly line: string; readonly fields: IncomingMessage['headers']; body: string }[];
  /** Answers one path with the given function. */
  on(path: string, answer: Answer): void;
  onUpgrade(answer: (request: IncomingMessage, socket: Duplex) => void): void;
  /** Connections open now. */
  readonly open: () => number;
  stop(): Promise<void>;
}

type Answer = (request: IncomingMessage, response: ServerResponse, socket: Socket) => void;

export async function startTalker(): Promise<Talker> {
  const seen: Talker['seen'] = [];
  const answers = new Map<string, Answer>();
  const sockets = new Set<Socket>();
  let upgrade: (request: IncomingMessage, socket: Duplex) => void = (_, socket) => socket.destroy();
  const server: Server = createServer((request, response) => {
    const entry = { line: `${request.method} ${request.url}`, fields: request.headers, body: '' };
    seen.push(entry);
    request.on('data', (chunk: Buffer) => {
      entry.body += chunk.toString('latin1');
    });
    response.on('error', () => undefined);
    const path = (request.url ?? '').split('?', 1)[0] as string;
    const answer = answers.get(path) ?? ((_, reply) => reply.end(`{"path":${JSON.stringify(path)}}`));
    if (request.headers.expect === undefined && answers.has(path)) answer(request, response, request.socket);
    else request.on('end', () => answer(request, response, request.socket));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (request, socket) => {
    seen.push({ line: `${request.method} ${request.url}`, fields: request.headers, body: '' });
    socket.on('error', () => undefined);
    upgrade(request, socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    on: (path, answer) => void answers.set(path, answer),
    onUpgrade: (answer) => {
      upgrade = answer;
    },
    open: () => sockets.size,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
