import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { Permit } from '../../../audit/permit.ts';
import { PeerError, Refusal } from '../../../model/errors.ts';
import type { OutgoingRequest } from '../../../web/connection.ts';
import type { AnswerSink, Body, Fields, ServerCall } from '../../../web/message.ts';
import type { Connections } from '../upstream.ts';

/** The caller's side over node:http, as thin as can be: what the protocol does is what is tested. */
export async function listenNode(
  onCall: (call: ServerCall) => void,
): Promise<{ port: number; close(): Promise<void> }> {
  const server: Server = createServer((request, response) => onCall(callOf(request, response)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function callOf(request: IncomingMessage, response: ServerResponse): ServerCall {
  const gone = new AbortController();
  let aborted = false;
  response.on('close', () => {
    if (!response.writableFinished && !aborted) gone.abort(new Error('the caller is gone'));
  });
  const fields = lower(request.rawHeaders).filter((_, i, all) => {
    const name = all[i - (i % 2)];
    return name !== 'content-length' && name !== 'transfer-encoding' && name !== 'host' && name !== 'connection';
  });
  const length = request.headers['content-length'];
  return {
    request: {
      version: '1.1',
      method: request.method ?? '',
      target: request.url ?? '',
      authority: request.headers.host ?? '',
      fields,
    },
    body: bodyOf(request, length === undefined ? undefined : Number(length)),
    signal: gone.signal,
    onGone(listener) {
      if (gone.signal.aborted) listener();
      else gone.signal.addEventListener('abort', listener, { once: true });
    },
    get answered() {
      return response.headersSent;
    },
    inform: () => undefined,
    answer(head) {
      for (let i = 0; i < head.fields.length; i += 2) response.setHeader(head.fields[i]!, head.fields[i + 1]!);
      if (head.length !== undefined) response.setHeader('content-length', head.length);
      response.writeHead(head.status);
      response.flushHeaders();
    },
    write(bytes) {
      if (response.write(bytes) || response.destroyed) return undefined;
      return new Promise((resolve) => {
        const go = () => {
          response.off('drain', go);
          response.off('close', go);
          resolve();
        };
        response.on('drain', go);
        response.on('close', go);
      });
    },
    end: () => void response.end(),
    abort() {
      aborted = true;
      response.destroy();
    },
    switchProtocols: () => {
      throw new Error('not here');
    },
  };
}

function bodyOf(source: IncomingMessage, length: number | undefined): Body {
  return {
    length,
    pipe(sink) {
      source.on('data', (bytes: Buffer) => {
        const wait = sink.data(bytes);
        if (wait === undefined) return;
        source.pause();
        void wait.then(() => source.resume());
      });
      source.on('end', () => sink.end([]));
      source.on('close', () => {
        if (!source.complete) sink.fail(new PeerError('CLIENT_PROTOCOL', 'the body broke off'));
      });
    },
    cancel: () => void source.resume(),
  };
}

/** The target's side over node:http. */
export function nodeConnections(port: number): Connections {
  const go = (request: OutgoingRequest, answer: AnswerSink) => {
    let over = false;
    const headers: Record<string, string> = {};
    for (let i = 0; i < request.fields.length; i += 2) headers[request.fields[i]!] = request.fields[i + 1]!;
    if (request.body.length !== undefined) headers['content-length'] = String(request.body.length);
    const outgoing = httpRequest({ host: '127.0.0.1', port, method: request.method, path: request.target, headers });
    const fail = (error: PeerError | Refusal) => {
      if (over) return;
      over = true;
      answer.fail(error);
    };
    outgoing.on('response', (response) => {
      if (over) return;
      answer.head({ status: response.statusCode ?? 0, fields: lower(response.rawHeaders) });
      // A stream that is paused ends all the same once its last piece has been read.
      let working: Promise<void> | undefined;
      response.on('data', (bytes: Buffer) => {
        if (over) return;
        working = answer.data(bytes);
        if (working === undefined) return;
        response.pause();
        void working.then(() => response.resume());
      });
      response.on('end', () => {
        const end = () => {
          if (over) return;
          over = true;
          answer.end([]);
        };
        if (working === undefined) end();
        else void working.then(end);
      });
      response.on('close', () => {
        if (!response.complete) fail(new PeerError('UPSTREAM_PROTOCOL', 'the answer broke off'));
      });
    });
    outgoing.on('error', () => fail(new Refusal('UPSTREAM_UNAVAILABLE', 'the target could not be reached')));
    request.body.pipe({
      data: (bytes) =>
        outgoing.write(bytes) ? undefined : new Promise((resolve) => void outgoing.once('drain', resolve)),
      end: () => void outgoing.end(),
      fail: () => void outgoing.destroy(),
    });
    return {
      cancel() {
        over = true;
        outgoing.destroy();
      },
    };
  };
  return {
    send(permit, request, answer) {
      Permit.spend(permit, 'command');
      return go(request, answer);
    },
    housekeeping(permit, request, answer) {
      Permit.spend(permit, 'session');
      return go(request, answer);
    },
  };
}

function lower(raw: readonly string[]): Fields {
  return raw.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
}
