import type { Permit } from '../../audit/permit.ts';
import { PeerError, Refusal } from '../../model/errors.ts';
import type { OutgoingCall, OutgoingRequest } from '../../web/connection.ts';
import { type AnswerSink, type Body, type Fields, field, type ResponseHead, without } from '../../web/message.ts';
import type { GitAddress } from './address.ts';
import type { Authorization } from './authorization.ts';
import { refusalOf } from './refusals.ts';
import { harmless } from './sideband.ts';

/** Connections to one target: what `openUpstream` of the web room gives. */
export interface Connections {
  /** Spends a command's permit. */
  send(permit: Permit, request: OutgoingRequest, answer: AnswerSink, source?: string): OutgoingCall;
  /** Needs a session's permit. */
  housekeeping(permit: Permit, request: OutgoingRequest, answer: AnswerSink): OutgoingCall;
}

/** What is asked of the target, without credential. */
export interface Ask {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** Path and query within the target. */
  readonly path: string;
  readonly fields: Fields;
  readonly body: Body;
}

/** The only writer to a git server. Puts the target's credential on; the caller's never comes this far. */
export class GitUpstream {
  readonly #elsewhere: (origin: string) => Connections | undefined;
  readonly #connections: Connections;
  readonly #address: GitAddress;
  readonly #authorization: () => Promise<Authorization | undefined>;
  readonly #source: string;
  #secrets: readonly string[] = [];

  /**
   * `source` is whose turn it is where many wait for a connection; `elsewhere` gives connections to other origins, where the
   * operator lets the target keep things.
   */
  constructor(
    connections: Connections,
    address: GitAddress,
    authorization: () => Promise<Authorization | undefined>,
    source: string,
    elsewhere: (origin: string) => Connections | undefined = () => undefined,
  ) {
    this.#elsewhere = elsewhere;
    this.#connections = connections;
    this.#address = address;
    this.#authorization = authorization;
    this.#source = source;
  }

  /** Whether a text of the target's tells what the gateway proves itself with. */
  reveals(text: string): boolean {
    return this.#secrets.some((secret) => text.includes(secret));
  }

  /** Sends a command and spends its permit. */
  command(permit: Permit, ask: Ask, answer: AnswerSink): OutgoingCall {
    return this.#send(ask, answer, (request) => this.#connections.send(permit, request, answer, this.#source));
  }

  /** Sends what no command is behind: looks at refs, fills the mirror. */
  housekeeping(permit: Permit, ask: Ask, answer: AnswerSink): OutgoingCall {
    return this.#send(ask, answer, (request) => this.#connections.housekeeping(permit, request, answer));
  }

  /** Where an address leads that the target gave; a Refusal where it may not lead there. Fields that it wants to be sent along go there only. */
  wayTo(href: string, header: Readonly<Record<string, string>>): Way | Refusal {
    const url = URL.parse(href);
    const fields = Object.entries(header).flatMap(([name, value]) => [name.toLowerCase(), value.trim()]);
    if (
      url === null ||
      url.username !== '' ||
      url.password !== '' ||
      fields.some((name, i) => i % 2 === 0 && ours.has(name))
    ) {
      return new Refusal('UPSTREAM_PROTOCOL', 'the target points to an address that is none');
    }
    const { scheme, authority } = this.#address;
    const target = `${url.pathname}${url.search}`;
    if (url.origin === `${scheme}://${authority}`)
      return { connections: this.#connections, scheme, authority, target, fields, own: true };
    const connections = this.#elsewhere(url.origin);
    if (connections === undefined) {
      return new Refusal(
        'UPSTREAM_UNAVAILABLE',
        `the target keeps this at ${harmless(url.origin).slice(0, 200)}, which is not allowed`,
        {
          advice: 'its operator can name that address in lfsStorage',
        },
      );
    }
    return { connections, scheme: 'https', authority: url.host, target, fields, own: false };
  }

  /** Sends a command the way that the target gave. Its credential goes only to the target itself. */
  transfer(permit: Permit, way: Way, ask: Omit<Ask, 'path'>, answer: AnswerSink): OutgoingCall {
    const named = new Set(way.fields.filter((_, i) => i % 2 === 0));
    const fields = [...without(ask.fields, named), ...way.fields];
    const { scheme, authority, target } = way;
    const go = (credential: Fields) =>
      way.connections.send(
        permit,
        { method: ask.method, target, authority, scheme, fields: [...agent, ...fields, ...credential], body: ask.body },
        answer,
        this.#source,
      );
    return way.own && !named.has('authorization') ? this.#authorized(ask.body, answer, go) : go([]);
  }

  #send(ask: Ask, answer: AnswerSink, go: (request: OutgoingRequest) => OutgoingCall): OutgoingCall {
    const { scheme, authority, basePath } = this.#address;
    return this.#authorized(ask.body, answer, (credential) => {
      const fields = [...agent, ...ask.fields, ...credential];
      return go({ method: ask.method, target: `${basePath}${ask.path}`, authority, scheme, fields, body: ask.body });
    });
  }

  /** Sends once the credential is there. */
  #authorized(body: Body, answer: AnswerSink, go: (credential: Fields) => OutgoingCall): OutgoingCall {
    let call: OutgoingCall | undefined;
    let cancelled = false;
    this.#authorization().then(
      (authorization) => {
        if (cancelled) return;
        this.#secrets = authorization?.secrets ?? [];
        call = go(authorization === undefined ? [] : ['authorization', authorization.header]);
      },
      (error: unknown) => {
        body.cancel();
        if (!cancelled) answer.fail(refusalOf(error));
      },
    );
    return {
      cancel() {
        cancelled = true;
        if (call === undefined) body.cancel();
        else call.cancel();
      },
    };
  }
}

const agent: Fields = ['user-agent', 'git/sallyport'];

/** A way to something that the target keeps, at its own origin or elsewhere. */
export interface Way {
  readonly connections: Connections;
  readonly scheme: 'http' | 'https';
  readonly authority: string;
  readonly target: string;
  readonly fields: Fields;
  /** At the target's own origin. */
  readonly own: boolean;
}

/** Fields that say how a message travels: nobody else's business. */
const ours: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'expect',
  'keep-alive',
  'proxy-connection',
  'cookie',
]);

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

export const noBody: Body = {
  length: 0,
  pipe: (sink) => sink.end([]),
  cancel: () => undefined,
};

export function bytesBody(bytes: Buffer): Body {
  return {
    length: bytes.length,
    pipe(sink) {
      const taken = sink.data(bytes);
      if (taken === undefined) sink.end([]);
      else
        taken.then(
          () => sink.end([]),
          () => undefined,
        );
    },
    cancel: () => undefined,
  };
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
