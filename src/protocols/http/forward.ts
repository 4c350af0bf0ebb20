import type { Permit } from '../../audit/permit.ts';
import type { Gateway, Masks, Reply } from '../../gateway/protocol.ts';
import type { Classified } from '../../model/command.ts';
import type { Outcome } from '../../model/event.ts';
import { tappedBody } from '../../web/body.ts';
import type { OutgoingCall } from '../../web/connection.ts';
import type { AnswerSink, Body, Fields, ResponseHead, ServerCall, Tunnel } from '../../web/message.ts';
import type { Route } from '../../web/protocol.ts';
import type { Credentials, Put } from './credentials/credentials.ts';
import type { Coder, HttpFrame, HttpWay, Showing, SwitchedShowing } from './exchange.ts';
import { acceptable } from './fields.ts';
import { ReplyShow } from './reply-show.ts';
import { isRecordedAsParameter, type RequestBody } from './request-body.ts';
import type { HttpTarget } from './target.ts';
import { WebSocketRelay } from './websocket.ts';
import { openWebSocket } from './websocket-opening.ts';

/**
 * A request's way to the target, with the target's credential put in, and its reply's way back, with the credential kept out. A promise
 * while the credential is fetched or exchanged. Throws, or rejects with, Refusal where there is none, or the caller's signature is wrong.
 */
export function forwarding(asked: Asked, gateway: Gateway): HttpWay | Promise<HttpWay> {
  const { target, route } = asked;
  const credentials = target.credentials(route.line, gateway);
  if (credentials instanceof Promise) return credentials.then((opened) => withCredentials(asked, opened));
  return withCredentials(asked, credentials);
}

/** One request, read and understood. */
export interface Asked {
  readonly call: ServerCall;
  readonly route: Route;
  readonly body: RequestBody;
  readonly classified: Classified;
  readonly target: HttpTarget;
}

function withCredentials(asked: Asked, credentials: Credentials): HttpWay | Promise<HttpWay> {
  const { call, route, body, target } = asked;
  const { request } = call;
  const { address } = target.settings;
  const put = credentials.put(
    {
      method: request.method,
      target: address.basePath === '' ? route.path : `${address.basePath}${route.path}`,
      authority: address.authority,
      fields: acceptable(request.fields),
    },
    { request, body: body.body, known: body.known, length: call.body.length },
  );
  return put instanceof Promise ? put.then((done) => new Forwarding(asked, done)) : new Forwarding(asked, put);
}

class Forwarding implements HttpWay {
  readonly #asked: Asked;
  readonly #put: Put;
  readonly #show: ReplyShow;
  readonly #opening: ReturnType<typeof openWebSocket> | undefined;
  #sent = 0;

  constructor(asked: Asked, put: Put) {
    const { call, route, classified, target } = asked;
    this.#asked = asked;
    this.#put = put;
    this.#show = new ReplyShow(call, route, target.settings, put.guard, target.bodyRulesFor(classified));
    this.#opening =
      call.request.upgrade === undefined ? undefined : openWebSocket(call.request.fields, put.head.fields);
  }

  send(permit: Permit, reply: Reply<HttpFrame>, answer: AnswerSink): OutgoingCall {
    const { target, route } = this.#asked;
    const { method, target: path, authority, fields } = this.#put.head;
    const { scheme } = target.settings.address;
    const body = this.#recorded(reply);
    const decoding = this.#show.decoding(answer);
    const source = route.line.session.id;
    const opening = this.#opening;
    if (opening === undefined)
      return target.upstream.send(permit, { method, target: path, authority, scheme, fields, body }, decoding, source);
    const upgrading = { ...this.#put.head, scheme, body, fields: opening.fields, upgrade: 'websocket' };
    return target.upstream.send(permit, upgrading, opening.checking(decoding), source);
  }

  showInterim(fields: Fields, masks: Masks): Fields {
    return this.#show.interim(fields, masks);
  }

  show(head: ResponseHead, masks: Masks): Showing {
    return this.#show.open(head, masks);
  }

  coder(): Coder {
    return this.#show.coder();
  }

  showSwitched(fields: Fields, masks: Masks): SwitchedShowing {
    return this.#show.openSwitched(fields, masks);
  }

  relay(caller: Tunnel, to: Tunnel, reply: Reply<HttpFrame>): WebSocketRelay {
    const { target, route } = this.#asked;
    const { line, path } = route;
    return new WebSocketRelay({
      line,
      caller,
      target: to,
      reply,
      path,
      meaningOf: target.rules.messages === 'commands' ? (payload) => target.messageMeaning(path, payload) : undefined,
    });
  }

  detail(): Outcome['detail'] {
    const { stripped, guard } = this.#put;
    return {
      ...(this.#sent === 0 ? {} : { sent: this.#sent }),
      ...(stripped.length === 0 ? {} : { stripped }),
      ...(guard.count === 0 ? {} : { reflected: guard.count }),
    };
  }

  /** The body, which is recorded as it passes where it does not stand in the command already. */
  #recorded(reply: Reply<HttpFrame>): Body {
    const { body } = this.#put;
    if (body.length === 0) return body;
    const known = isRecordedAsParameter(this.#asked.body);
    return tappedBody(body, (bytes) => {
      this.#sent += bytes.length;
      return known ? undefined : reply.sent(bytes);
    });
  }
}
