import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';

/**
 * `fetch` over node:https that trusts `ca` (PEM; the system's authorities where absent). Follows no redirect: a token must not
 * be led elsewhere. One connection per request.
 */
export function fetchTrusting(ca: readonly string[] | undefined): typeof fetch {
  return async (input, init = {}) => {
    const source = input instanceof Request ? input : undefined;
    const url = new URL(source === undefined ? String(input) : source.url);
    const headers = Object.fromEntries(new Headers(init.headers ?? source?.headers));
    const body = init.body === undefined || init.body === null ? source?.body : init.body;
    const method = init.method ?? source?.method ?? 'GET';
    const bytes = body === undefined || body === null ? undefined : Buffer.from(await new Response(body).arrayBuffer());
    return new Promise<Response>((resolve, reject) => {
      const signal = init.signal ?? undefined;
      const options = { method, headers, agent: false as const, ...(signal === undefined ? {} : { signal }) };
      const sent =
        url.protocol === 'https:'
          ? httpsRequest(url, { ...options, minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca: [...ca] }) })
          : httpRequest(url, options);
      sent.once('error', reject);
      sent.once('response', (answer) => {
        const status = answer.statusCode ?? 0;
        if (status >= 300 && status < 400) {
          answer.destroy();
          reject(new Error(`${url.origin} redirects, which is not followed`));
          return;
        }
        const received = new Headers();
        for (const [name, values] of Object.entries(answer.headersDistinct))
          for (const value of values ?? []) received.append(name, value);
        const empty = method === 'HEAD' || status === 204 || status === 205;
        if (empty) answer.resume();
        resolve(
          new Response(empty ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>), {
            status,
            headers: received,
          }),
        );
      });
      sent.end(bytes);
    });
  };
}
