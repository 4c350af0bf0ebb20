import type { IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { BareGateway } from './gateway.ts';

export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly bytes: Buffer;
}

/** One request through the gateway's HTTP listener, over Node's own client. */
export function callGateway(
  gateway: BareGateway,
  token: string,
  method: string,
  path: string,
  options: { readonly headers?: Record<string, string>; readonly body?: string | Buffer } = {},
): Promise<Answered> {
  const { hostname, port } = new URL(gateway.http);
  return new Promise((resolve, reject) => {
    // Path as it is: URL would tidy it.
    const call = httpsRequest(
      {
        hostname,
        port,
        path,
        method,
        ca: gateway.ca,
        servername: 'localhost',
        agent: false,
        headers: { authorization: `Bearer ${token}`, ...options.headers },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const bytes = Buffer.concat(chunks);
          const { statusCode = 0, headers } = response;
          resolve({ status: statusCode, headers, body: bytes.toString('utf8'), bytes });
        });
      },
    );
    call.on('error', reject);
    call.end(options.body);
  });
}
