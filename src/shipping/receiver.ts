import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { BatchRefused, receiverWords, Undelivered } from './sink.ts';
import type { ClientTls } from './tls.ts';

/** What a receiver answered. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

/** More than any receiver has to say. */
const answerBytes = 16 * 1024 * 1024;

/** Requests to one receiver, over one connection that is kept. Redirects are not followed: the address is the operator's word. */
export class HttpReceiver {
  readonly #url: URL;
  readonly #agent: HttpAgent | HttpsAgent;

  constructor(url: URL, tls: ClientTls = {}) {
    this.#url = url;
    const options = { keepAlive: true, maxSockets: 1, scheduling: 'lifo' as const };
    this.#agent = url.protocol === 'https:' ? new HttpsAgent({ ...options, ...tls }) : new HttpAgent(options);
  }

  /** `path` takes the place of the URL's own, where given. Throws Undelivered when there is no whole answer. */
  request(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    body: Buffer | string,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { hostname, port, protocol } = this.#url;
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void => reject(signal.aborted ? (signal.reason as Error) : undelivered(error));
      const send = protocol === 'https:' ? httpsRequest : httpRequest;
      const call = send(
        {
          method,
          host: hostname.replace(/^\[|\]$/g, ''),
          port: port === '' ? undefined : Number(port),
          path,
          agent: this.#agent,
          headers: { ...headers, 'content-length': bytes.length },
          signal,
        },
        (response) => {
          collect(response).then(
            (text) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
            fail,
          );
        },
      );
      call.on('error', fail);
      call.end(bytes);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

async function collect(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > answerBytes) throw new Undelivered(`the answer has more than ${answerBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The code only: the text of a network error may hold the address, and an address may hold a token. */
export function undelivered(error: Error): Undelivered {
  if (error instanceof Undelivered) return error;
  const { code } = error as NodeJS.ErrnoException;
  return new Undelivered(typeof code === 'string' ? code : error.name, { cause: error });
}

/**
 * Throws what an answer other than 2xx means. A batch is refused for good by 400, 413 and 422 alone: those are about what was sent. All
 * others are about who asks, where, or when, and may change.
 */
export function requireSuccess(answer: Answer, now: number): void {
  const { status, body } = answer;
  if (status >= 200 && status < 300) return;
  const words = receiverWords(body);
  const message = `answered ${status}${words === '' ? '' : `: ${words}`}`;
  if (status === 400 || status === 413 || status === 422) throw new BatchRefused(message);
  throw new Undelivered(message, { retryAfterMs: retryAfter(answer, now) });
}

/** RFC 9110, 10.2.3: seconds or a date. */
export function retryAfter({ headers }: Answer, now: number): number | undefined {
  const value = headers['retry-after'];
  if (typeof value !== 'string') return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

/** A receiver's answer as JSON; undefined where it is none. */
export function jsonOf(answer: Answer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(answer.body);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}
