import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** An LFS server that keeps objects in memory, as an `override` of the git backend. */
export class LfsServer {
  readonly objects = new Map<string, Buffer>();
  readonly seen: { readonly method: string; readonly url: string; readonly authorization: string | undefined }[] = [];
  /** What downloads and uploads want to be sent along. */
  header: Record<string, string> = { 'X-Storage-Ticket': 'storage-secret' };
  /** Where objects are said to be, instead of here. */
  elsewhere: string | undefined;
  /** What is sent in place of an object. */
  forged: Buffer | undefined;
  /** Takes any bytes for the object that they are said to be. */
  believes = false;
  readonly #locks: { id: string; path: string; locked_at: string; owner: { name: string } }[] = [];

  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const url = request.url ?? '';
    if (!/\/info\/lfs\/|^\/storage\//.test(url)) return false;
    this.seen.push({ method: request.method ?? '', url, authorization: request.headers.authorization });
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => this.#answer(request, response, url, Buffer.concat(chunks)));
    return true;
  }

  #answer(request: IncomingMessage, response: ServerResponse, url: string, body: Buffer): void {
    const json = (status: number, value: unknown) =>
      response
        .writeHead(status, { 'content-type': 'application/vnd.git-lfs+json; charset=utf-8' })
        .end(JSON.stringify(value));
    const origin = this.elsewhere ?? `http://${request.headers.host}`;
    const id = /[0-9a-f]{64}/.exec(url)?.[0] ?? '';
    if (url.endsWith('/objects/batch')) {
      const { operation, objects } = JSON.parse(body.toString()) as {
        operation: string;
        objects: { oid: string; size: number }[];
      };
      json(200, { transfer: 'basic', objects: objects.map((object) => this.#offer(operation, object, origin)) });
    } else if (url.endsWith('/verify') && url.startsWith('/storage/')) json(this.objects.has(id) ? 200 : 404, {});
    else if (url.startsWith('/storage/')) this.#store(request, response, id, body);
    else if (url.endsWith('/locks/verify')) json(200, { ours: this.#locks, theirs: [] });
    else if (url.endsWith('/unlock')) json(200, { lock: this.#locks.pop() });
    else if (url.includes('/locks') && request.method === 'POST') {
      const { path } = JSON.parse(body.toString()) as { path: string };
      const lock = { id: `${this.#locks.length + 1}`, path, locked_at: '2026-01-01T00:00:00Z', owner: { name: 'a' } };
      this.#locks.push(lock);
      json(201, { lock });
    } else json(200, { locks: this.#locks });
  }

  #offer(operation: string, object: { oid: string; size: number }, origin: string) {
    const { oid } = object;
    const href = `${origin}/storage/${oid}?sig=signed`;
    const here = this.objects.has(oid);
    const action = { href, header: this.header, expires_in: 3600 };
    if (operation === 'download') {
      return here ? { ...object, actions: { download: action } } : { ...object, error: { code: 404, message: 'x' } };
    }
    if (here) return object;
    return {
      ...object,
      actions: { upload: action, verify: { href: `${origin}/storage/${oid}/verify`, header: this.header } },
    };
  }

  #store(request: IncomingMessage, response: ServerResponse, id: string, body: Buffer): void {
    if (request.headers['x-storage-ticket'] !== this.header['X-Storage-Ticket']) response.writeHead(403).end();
    else if (request.method === 'GET')
      response.writeHead(200, { 'content-type': 'text/plain' }).end(this.forged ?? this.objects.get(id));
    else if (!request.complete || (!this.believes && createHash('sha256').update(body).digest('hex') !== id))
      response.writeHead(400).end();
    else {
      this.objects.set(id, body);
      response.writeHead(200).end();
    }
  }
}
