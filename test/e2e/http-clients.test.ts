import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BareGateway, startBareGateway } from '../support/gateway.ts';
import { type HttpUpstream, startHttpUpstream } from '../support/http-upstream.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Programs as an agent would write them: they know a base URL and a token from the environment. */
const programs: readonly (readonly [string, string])[] = [
  [
    'fetch',
    `const call = async (path, init = {}) => {
      const answer = await fetch(process.env.BASE + path, { ...init, headers: { authorization: 'Bearer ' + process.env.TOKEN, ...init.headers } });
      return { status: answer.status, body: await answer.json() };
    };`,
  ],
  [
    'axios',
    `import axios from 'axios';
    const client = axios.create({ baseURL: process.env.BASE, headers: { authorization: 'Bearer ' + process.env.TOKEN }, validateStatus: () => true });
    const call = async (path, { method = 'GET', body, headers } = {}) => {
      const { status, data } = await client.request({ url: path, method, headers, data: body });
      return { status, body: data };
    };`,
  ],
];

const story = `
const json = { method: 'POST', body: JSON.stringify({ reason: 'broken' }), headers: { 'content-type': 'application/json' } };
console.log(JSON.stringify([
  await call('/customers'),
  await call('/coded/gzip'),
  await call('/orders/3', { method: 'DELETE' }),
  await call('/orders/3/refund', json),
]));`;

describe('HTTP clients as they are', () => {
  let upstream: HttpUpstream;
  let gateway: BareGateway;
  let folder: string;
  let token: string;
  beforeAll(async () => {
    upstream = await startHttpUpstream();
    gateway = await startBareGateway({
      targets: {
        api: {
          protocol: 'http',
          address: `http://127.0.0.1:${upstream.port}`,
          internal: true,
          labels: { env: 'test' },
          hold: '200ms',
          classify: { '$.customers[*].ssn': 'pii.ssn' },
        },
      },
    });
    token = await gateway.tokenOf('agent');
    folder = mkdtempSync(join(tmpdir(), 'sallyport-clients-'));
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  it.each(programs)('%s: masked, decoded, refused, held', async (name, prelude) => {
    const file = join(root, `node_modules/.sallyport-client-${name}-${process.pid}.mjs`); // where packages are found
    writeFileSync(file, `${prelude}\n${story}`);
    try {
      const env = {
        PATH: process.env.PATH,
        BASE: `${gateway.http}/api`,
        TOKEN: token,
        NODE_EXTRA_CA_CERTS: gateway.caFile,
      };
      const { stdout } = await run(process.execPath, [file], { env });
      const [customers, coded, deleted, refund] = JSON.parse(stdout) as {
        status: number;
        body: Record<string, string>;
      }[];
      for (const answer of [customers, coded]) {
        expect(answer?.status).toBe(200);
        expect(JSON.stringify(answer?.body)).toContain('Ada Lovelace');
        expect(JSON.stringify(answer?.body)).not.toContain('912-34-5678');
      }
      expect(deleted).toMatchObject({ status: 403, body: { code: 'SP2001', rule: 'agents-no-deletes' } });
      expect(refund).toMatchObject({ status: 403, body: { code: 'SP3001', retry: true } });
    } finally {
      rmSync(file);
    }
  });

  it('wget: a file, whole, and its exit status where it is refused', async () => {
    const file = join(folder, 'file');
    const wget = (path: string, ...more: string[]) =>
      run('wget', [
        ...['--quiet', `--ca-certificate=${gateway.caFile}`, '--tries=1', `--header=Authorization: Bearer ${token}`],
        ...['--output-document', file, ...more, `${gateway.http}/api${path}`],
      ]);
    await wget('/bytes/3');
    expect(readFileSync(file).length).toBe(3 * 1024 * 1024);
    await expect(wget('/orders/3', '--method=DELETE')).rejects.toMatchObject({ code: 8 });
  });

  it('curl: uploads a file, follows a redirect to the gateway', async () => {
    const curl = async (...args: string[]) =>
      (
        await run('curl', [
          '--silent',
          '--show-error',
          '--cacert',
          gateway.caFile,
          '-H',
          `authorization: Bearer ${token}`,
          ...args,
        ])
      ).stdout;
    const sent = join(folder, 'sent');
    writeFileSync(sent, Buffer.alloc(300_000, 'z'));
    const dana = `authorization: Bearer ${await gateway.tokenOf('dana')}`;
    const { stdout } = await run('curl', [
      ...['--silent', '--cacert', gateway.caFile, '-H', dana, '--data-binary', `@${sent}`],
      `${gateway.http}/api/upload`,
    ]);
    expect(JSON.parse(stdout)).toMatchObject({ bytes: 300_000 });
    expect(await curl('--location', `${gateway.http}/api/redirect`)).toContain('Ada Lovelace');
  });
});
