import type { Gateway } from '../../gateway/protocol.ts';
import type { Classified } from '../../model/command.ts';
import { tappedBody } from '../../web/body.ts';
import type { ServerCall } from '../../web/message.ts';
import type { Route } from '../../web/protocol.ts';
import type { HttpRoute } from './exchange.ts';
import { acceptable } from './fields.ts';
import { ReplyShow } from './reply-show.ts';
import { isRecordedAsParameter, type RequestBody } from './request-body.ts';
import type { HttpTarget } from './target.ts';
import { WebSocketRelay } from './websocket.ts';
import { openWebSocket } from './websocket-opening.ts';

/**
 * A request's way to the target, with the target's credential put in, and its reply's way back, with the credential kept out.
 * Rejects with Refusal where there is no credential, or the caller's signature is wrong.
 */
export async function forwarding(
  call: ServerCall,
  { line, path, base, origin }: Route,
  given: RequestBody,
  classified: Classified,
  target: HttpTarget,
  gateway: Gateway,
): Promise<Pick<HttpRoute, 'send' | 'show' | 'coder' | 'detail' | 'showSwitched' | 'relay'>> {
  const { request } = call;
  const { settings } = target;
  const { address } = settings;
  const credentials = await target.credentials(line, gateway);
  const { head, body, stripped, guard } = await credentials.put(
    {
      method: request.method,
      target: `${address.basePath}${path}`,
      authority: address.authority,
      fields: acceptable(request.fields),
    },
    { request, body: given.body, known: given.known, length: call.body.length },
  );
  const show = new ReplyShow(call, { origin, base }, settings, guard, target.bodyRulesFor(classified));
  const opening = request.upgrade === undefined ? undefined : openWebSocket(request.fields, head.fields);
  let sent = 0;
  return {
    send(permit, reply, answer) {
      const recorded = tappedBody(body, (bytes) => {
        sent += bytes.length;
        return isRecordedAsParameter(given) ? undefined : reply.sent(bytes);
      });
      const outgoing = { ...head, scheme: address.scheme, body: recorded };
      if (opening === undefined) return target.upstream.send(permit, outgoing, show.decoding(answer), line.session.id);
      const upgrading = { ...outgoing, fields: opening.fields, upgrade: 'websocket' };
      return target.upstream.send(permit, upgrading, opening.checking(show.decoding(answer)), line.session.id);
    },
    show: (answered, masks) => show.open(answered, masks),
    coder: () => show.coder(),
    showSwitched: (fields, masks) => show.openSwitched(fields, masks),
    relay: (caller, to, reply) =>
      new WebSocketRelay({
        line,
        caller,
        target: to,
        reply,
        path,
        meaningOf: target.rules.messages === 'commands' ? (payload) => target.messageMeaning(path, payload) : undefined,
      }),
    detail: () => ({
      ...(sent === 0 ? {} : { sent }),
      ...(stripped.length === 0 ? {} : { stripped }),
      ...(guard.count === 0 ? {} : { reflected: guard.count }),
    }),
  };
}
