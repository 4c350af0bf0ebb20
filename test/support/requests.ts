import { mkdirSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import pg from 'pg';

/** One HTTPS request to the API; a JSON body both ways where there is one. */
export function request(
  api: string,
  ca: string,
  token: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      authorization: `Bearer ${token}`,
      ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const call = httpsRequest(new URL(path, api), { method, ca, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({
          status: response.statusCode ?? 0,
          body:
            /json/.test(response.headers['content-type'] ?? '') &&
            !/ndjson/.test(response.headers['content-type'] ?? '')
              ? JSON.parse(text)
              : text,
        });
      });
    });
    call.on('error', reject);
    call.end(sent);
  });
}

/** Runs SQL over a connection of its own. */
export async function sql(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

/** A policy folder with one file. */
export function writeFolder(folder: string, text: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'test.cedar'), text);
}
