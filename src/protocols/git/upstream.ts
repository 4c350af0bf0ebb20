import type { Permit } from '../../audit/permit.ts';
import { Refusal } from '../../model/errors.ts';
import type { OutgoingCall, OutgoingRequest } from '../../web/connection.ts';
import { type AnswerSink, type Body, type Fields, without } from '../../web/message.ts';
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
