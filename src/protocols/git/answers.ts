import { PeerError, Refusal } from '../../model/errors.ts';
import type { OutgoingCall } from '../../web/connection.ts';
import { type AnswerSink, field, type ResponseHead } from '../../web/message.ts';

/** Whether the head is that of the answer that was asked for; what the caller is told otherwise. Redirects are not followed. */
export function unexpected(head: ResponseHead, contentType: string): Refusal | undefined {
  const { status, fields } = head;
  if (status === 200) {
    if (field(fields, 'content-encoding') !== undefined) {
      return new Refusal('UPSTREAM_PROTOCOL', 'the target answered in an encoding that was not asked for');
    }
    const type = field(fields, 'content-type')?.toLowerCase();
    if (type === contentType || type?.startsWith(`${contentType};`) === true) return undefined;
    return new Refusal('UPSTREAM_PROTOCOL', 'the target answered, but not as a git server does');
  }
  if (status === 404) return new Refusal('TARGET_UNKNOWN', 'the target has no such repository (HTTP 404)');
  if (status === 401 || status === 403) {
    return new Refusal('UPSTREAM_UNAVAILABLE', `the target refuses the gateway's credential here (HTTP ${status})`);
  }
  if (status >= 300 && status < 400) {
    return new Refusal(
      'UPSTREAM_UNAVAILABLE',
      `the target points elsewhere (HTTP ${status}); redirects are not followed`,
      {
        advice: 'ask for the repository by the name it has now',
      },
    );
  }
  return new Refusal('UPSTREAM_UNAVAILABLE', `the target answered with an error (HTTP ${status})`);
}

/** The whole of a small answer. Rejects with Refusal or PeerError, also when it is longer than `limit` bytes. */
export function collect(
  send: (answer: AnswerSink) => OutgoingCall,
  contentType: string,
  limit: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  return stream(send, contentType, signal, (bytes, size) => {
    if (size > limit) throw new PeerError('UPSTREAM_PROTOCOL', 'the answer of the target is too long');
    chunks.push(bytes);
  }).then(() => Buffer.concat(chunks));
}

/** Gives an answer away piece by piece; resolves at its end. What `take` throws ends it. */
export function stream(
  send: (answer: AnswerSink) => OutgoingCall,
  contentType: string,
  signal: AbortSignal,
  take: (bytes: Buffer, size: number) => Promise<void> | undefined | void,
): Promise<void> {
  const over = Promise.withResolvers<void>();
  let size = 0;
  let done = false;
  const finish = (error?: unknown) => {
    if (done) return;
    done = true;
    signal.removeEventListener('abort', aborted);
    if (error === undefined) over.resolve();
    else {
      over.reject(error);
      queueMicrotask(() => call?.cancel());
    }
  };
  const aborted = () => finish(signal.reason);
  let call: OutgoingCall | undefined;
  if (signal.aborted) return Promise.reject(signal.reason);
  signal.addEventListener('abort', aborted, { once: true });
  call = send({
    informed: () => undefined,
    head(head) {
      const wrong = unexpected(head, contentType);
      if (wrong !== undefined) finish(wrong);
    },
    data(bytes) {
      if (done) return undefined;
      size += bytes.length;
      try {
        return take(bytes, size) as Promise<void> | undefined;
      } catch (error) {
        finish(error);
        return undefined;
      }
    },
    end: () => finish(),
    fail: (error) => finish(error),
    switched: () => finish(new PeerError('UPSTREAM_PROTOCOL', 'the target switched protocols')),
  });
  return over.promise;
}
