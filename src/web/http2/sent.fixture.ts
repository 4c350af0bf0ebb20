import { Permit } from '../../audit/permit.ts';
import type { OutgoingCall, OutgoingRequest, UpstreamConnection } from '../connection.ts';
import type { AnswerSink, Body, BodySink, Fields, ResponseHead, Tunnel } from '../message.ts';

/** A request to a test's target. */
export function outgoing(changes: Partial<OutgoingRequest> = {}): OutgoingRequest {
  const body = bodyOf();
  return { method: 'GET', target: '/', authority: 'target.test', scheme: 'http', fields: [], body, ...changes };
}

/** A body of these pieces, or of none. */
export function bodyOf(...pieces: readonly (Buffer | string)[]): Body {
  const buffers = pieces.map((piece) => Buffer.from(piece));
  return {
    length: buffers.reduce((sum, { length }) => sum + length, 0),
    async pipe(sink) {
      for (const piece of buffers) await sink.data(piece);
      sink.end([]);
    },
    cancel: () => undefined,
  };
}

/** A body that the test sends by hand. */
export function openBody(length?: number): {
  readonly body: Body;
  readonly sink: Promise<BodySink>;
  cancelled: boolean;
} {
  const { promise, resolve } = Promise.withResolvers<BodySink>();
  const opened = {
    body: { length, pipe: resolve, cancel: () => Object.assign(opened, { cancelled: true }) } satisfies Body,
    sink: promise,
    cancelled: false,
  };
  return opened;
}

/** One request, and everything that came back for it. */
export class TestCall implements AnswerSink {
  readonly interim: { readonly status: number; readonly fields: Fields }[] = [];
  readonly #done = Promise.withResolvers<void>();
  call: OutgoingCall | undefined;
  answered: ResponseHead | undefined;
  bytes = 0;
  readonly parts: Buffer[] = [];
  trailers: Fields | undefined;
  error: { readonly kind: string; readonly message: string } | undefined;
  tunnel: Tunnel | undefined;
  switchedFields: Fields | undefined;
  /** Where a test takes bytes at its own pace. */
  take: ((bytes: Buffer) => Promise<void> | undefined) | undefined;
  /** Events, in their order. */
  readonly events: string[] = [];

  send(connection: Pick<UpstreamConnection, 'send'>, request: OutgoingRequest = outgoing()): this {
    this.call = connection.send(Permit.issue('command', 1), request, this);
    return this;
  }

  /** Resolves when the answer is complete, has failed, or became a tunnel. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  get body(): string {
    return Buffer.concat(this.parts).toString();
  }

  informed(status: number, fields: Fields): void {
    this.events.push('informed');
    this.interim.push({ status, fields });
  }

  head(head: ResponseHead): void {
    this.events.push('head');
    this.answered = head;
  }

  data(bytes: Buffer): Promise<void> | undefined {
    this.bytes += bytes.length;
    this.parts.push(bytes);
    return this.take?.(bytes);
  }

  end(trailers: Fields): void {
    this.events.push('end');
    this.trailers = trailers;
    this.#done.resolve();
  }

  fail(error: { readonly kind: string; readonly message: string }): void {
    this.events.push('fail');
    this.error = error;
    this.#done.resolve();
  }

  switched(fields: Fields, tunnel: Tunnel): void {
    this.events.push('switched');
    this.switchedFields = fields;
    this.tunnel = tunnel;
    this.#done.resolve();
  }
}

export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}
