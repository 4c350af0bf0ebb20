import { Permit } from '../../audit/permit.ts';
import type { BodySink, ServerCall, Tunnel } from '../message.ts';
import type { Upstream } from './upstream.ts';

/** Passes a request on as it came, and the answer back: what the line does, without the line. */
export function relay(call: ServerCall, upstream: Upstream, scheme: 'http' | 'https' = 'http'): void {
  const { method, target, fields, upgrade } = call.request;
  const sent = upstream.send(
    Permit.issue('command', 1),
    {
      ...{ method, target, fields, scheme, authority: 'target.test', body: call.body },
      ...(upgrade === undefined ? {} : { upgrade }),
    },
    {
      informed: (status, interim) => call.inform(status, interim),
      head: (head) => call.answer(head),
      data: (bytes) => call.write(bytes),
      end: (trailers) => call.end(trailers),
      fail: (error) => {
        if (call.answered) return call.abort();
        const text = Buffer.from(`${error.kind}: ${error.message}`);
        call.answer({ status: 502, fields: ['content-type', 'text/plain'], length: text.length });
        call.write(text);
        call.end();
      },
      switched: (switched, tunnel) => join(call.switchProtocols(switched), tunnel),
    },
  );
  call.signal.addEventListener('abort', () => sent.cancel());
}

function join(one: Tunnel, other: Tunnel): void {
  one.pipe(into(other));
  other.pipe(into(one));
}

function into(tunnel: Tunnel): BodySink {
  return { data: (bytes) => tunnel.write(bytes), end: () => tunnel.end(), fail: () => tunnel.abort() };
}
