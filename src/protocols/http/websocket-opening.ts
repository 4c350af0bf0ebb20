import { PeerError, Refusal } from '../../model/errors.ts';
import { type AnswerSink, type Fields, field, without } from '../../web/message.ts';
import { isWebsocketKey, websocketAccept, websocketKey } from '../../wire/websocket/handshake.ts';

/** What the two ends of each side's own handshake settle between themselves (RFC 6455 §4); extensions would hide what messages say. */
const ofTheHandshake = new Set([
  'sec-websocket-key',
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-version',
]);

export interface Opening {
  /** What the target is asked with: a key of our own. */
  readonly fields: Fields;
  /** `answer`, given what the target said only if it answers our key, and then with the answer to the caller's. */
  checking(answer: AnswerSink): AnswerSink;
}

/** `asked` are the caller's fields, `outgoing` those that go to the target. Throws Refusal UNPARSABLE for a handshake that is none. */
export function openWebSocket(asked: Fields, outgoing: Fields): Opening {
  const version = field(asked, 'sec-websocket-version');
  const callerKey = field(asked, 'sec-websocket-key');
  // HTTP/2 has no key (RFC 8441 §5).
  if (version !== '13' || (callerKey !== undefined && !isWebsocketKey(callerKey)))
    throw new Refusal('UNPARSABLE', 'this is no WebSocket handshake of version 13', {
      advice: 'use a WebSocket client',
    });
  const key = websocketKey();
  return {
    fields: [...without(outgoing, ofTheHandshake), 'sec-websocket-version', '13', 'sec-websocket-key', key],
    checking: (answer) => ({
      informed: (status, fields) => answer.informed(status, fields),
      head: (head) => answer.head(head),
      data: (bytes) => answer.data(bytes),
      end: (trailers) => answer.end(trailers),
      fail: (error) => answer.fail(error),
      switched(fields, tunnel) {
        const wrong =
          field(fields, 'sec-websocket-accept') !== websocketAccept(key)
            ? 'did not answer the handshake'
            : field(fields, 'sec-websocket-extensions') !== undefined
              ? 'uses an extension that nobody asked for'
              : undefined;
        if (wrong !== undefined) {
          tunnel.abort();
          answer.fail(new PeerError('UPSTREAM_PROTOCOL', `the target's WebSocket ${wrong}`));
          return;
        }
        const accept = callerKey === undefined ? [] : ['sec-websocket-accept', websocketAccept(callerKey)];
        answer.switched([...without(fields, ofTheHandshake), ...accept], tunnel);
      },
    }),
  };
}
