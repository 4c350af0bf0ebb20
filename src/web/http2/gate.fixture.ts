import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { PeerError, Refusal } from '../../model/errors.ts';
import { type HttpLimits, httpLimits } from '../connection.ts';
import type { Body, BodySink, Fields, ServerCall } from '../message.ts';
import { serveHttp2 } from './server.ts';

/** A server of ours on a port of its own. */
export interface Gate {
  readonly port: number;
  readonly calls: readonly ServerCall[];
  /** What serving each connection came to. */
  readonly served: readonly Promise<void>[];
  close(): Promise<void>;
}

export async function openGate(
  onCall: (call: ServerCall) => void,
  limits: Partial<HttpLimits> = {},
  signal?: AbortSignal,
): Promise<Gate> {
  const calls: ServerCall[] = [];
  const served: Promise<void>[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const done = serveHttp2(
      socket,
      { ...httpLimits, ...limits },
      (call) => {
        calls.push(call);
        onCall(call);
      },
      signal,
    );
    done.catch(() => undefined);
    served.push(done);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { port: (server.address() as AddressInfo).port, calls, served, close };
}

/** Takes a whole body. */
export function collect(body: Body): Promise<{ readonly bytes: Buffer; readonly trailers: Fields }> {
  return new Promise((resolve, reject) => body.pipe(collector(resolve, reject)));
}

export function collector(
  resolve: (whole: { bytes: Buffer; trailers: Fields }) => void,
  reject: (error: PeerError | Refusal) => void,
): BodySink {
  const parts: Buffer[] = [];
  return {
    data(bytes) {
      parts.push(bytes);
      return undefined;
    },
    end: (trailers) => resolve({ bytes: Buffer.concat(parts), trailers }),
    fail: reject,
  };
}
