import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isLoopbackAddress, isLoopbackHost } from './loopback.ts';

export interface FetchLimits {
  readonly timeoutMs: number;
  readonly maxBytes: number;
  /** PEM; the system's authorities when absent. */
  readonly ca?: string;
}

/**
 * GETs a JSON document over https, or over http where it cannot leave the machine. Follows no redirect, sends no cookie or credential, gives up at the limits.
 * Rejects with an Error whose text names the URL and what went wrong, and nothing of what was received.
 */
export async function fetchJson(url: URL, limits: FetchLimits): Promise<unknown> {
  const where = `${url.origin}${url.pathname}`;
  const body = await get(url, limits).catch((error: Error) => {
    const why =
      error.name === 'TimeoutError' || error.name === 'AbortError'
        ? `no answer within ${limits.timeoutMs} ms`
        : error.message;
    throw new Error(`${where}: ${why}`, { cause: error });
  });
  try {
    return JSON.parse(body) as unknown;
  } catch {
    throw new Error(`${where}: the answer is not JSON`);
  }
}

function get(url: URL, limits: FetchLimits): Promise<string> {
  const plain = url.protocol === 'http:';
  if (plain ? !isLoopbackHost(url.hostname) : url.protocol !== 'https:')
    return Promise.reject(new Error('only https is followed'));
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(limits.timeoutMs);
    const options = {
      signal,
      agent: false,
      headers: { accept: 'application/json', 'accept-encoding': 'identity' },
      ...(limits.ca === undefined ? {} : { ca: limits.ca }),
    };
    const request = (plain ? httpRequest : httpsRequest)(url, options, (response) => {
      const fail = (why: string) => {
        reject(new Error(why));
        request.destroy();
      };
      // `localhost` is a name like any other to the resolver.
      if (plain && !isLoopbackAddress(response.socket.remoteAddress ?? '')) return fail('plain http left the machine');
      if (response.statusCode !== 200) return fail(`answered with status ${response.statusCode}`);
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > limits.maxBytes) fail(`the answer is larger than ${limits.maxBytes} bytes`);
        else chunks.push(chunk);
      });
      response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
      response.on('error', reject);
    });
    request.on('error', (error) => reject(signal.aborted ? (signal.reason as Error) : error));
    request.end();
  });
}
