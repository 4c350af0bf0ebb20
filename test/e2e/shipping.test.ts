import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeReceiver, type Got, type Reply, until } from '../../src/shipping/testing.fixture.ts';
import { type BareGateway, startBareGateway } from '../support/gateway.ts';
import { callGateway } from '../support/http-client.ts';
import { type HttpUpstream, startHttpUpstream } from '../support/http-upstream.ts';

/** As Elasticsearch answers a bulk request whose documents are all new. It is a fake. */
function created({ body }: Got): Reply {
  const items = body
    .split('\n')
    .flatMap((line, i) => (line !== '' && i % 2 === 0 ? [{ create: { status: 201 } }] : []));
  return { status: 200, body: { errors: false, items } };
}

interface Shipped {
  readonly seq: number;
  readonly type: string;
  readonly sallyport: { readonly after: number; readonly id: string };
}

describe('a gateway that ships its log', () => {
  let upstream: HttpUpstream;
  let hook: FakeReceiver;
  let elastic: FakeReceiver;
  let gateway: BareGateway;
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-test-'));
  const lines = join(folder, 'shipped', 'audit.jsonl');

  const start = () =>
    startBareGateway({
      folder,
      files: { 'hook.secret': `whsec_${Buffer.alloc(32, 7).toString('base64')}\n`, 'elastic.key': 'bG9naW46a2V5\n' },
      targets: {
        api: {
          protocol: 'http',
          address: `http://127.0.0.1:${upstream.port}`,
          internal: true,
          labels: { env: 'prod' },
        },
      },
      shipping: [
        { name: 'lines', kind: 'file', path: './shipped/audit.jsonl' },
        { name: 'hook', kind: 'webhook', url: hook.url.href, credential: { file: './hook.secret' }, timeout: '300ms' },
        {
          name: 'elastic',
          kind: 'elastic',
          url: elastic.url.href,
          credential: { file: './elastic.key' },
          format: 'ecs',
        },
      ],
    });
  beforeAll(async () => {
    upstream = await startHttpUpstream();
    hook = await FakeReceiver.start();
    elastic = await FakeReceiver.start();
    elastic.reply = created;
    hook.reply = () => 'hang';
    gateway = await start();
  });
  afterAll(async () => {
    await gateway?.stop();
    await Promise.all([upstream?.stop(), hook?.close(), elastic?.close()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const shippedLines = (): Shipped[] =>
    readFileSync(lines, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Shipped);
  const sink = (name: string) => gateway.running.shipping().find((one) => one.name === name)!;
  const call = async (path: string) => callGateway(gateway, await gateway.tokenOf('agent'), 'GET', `/api${path}`);
  /** The newest event, by the API. */
  const head = async (): Promise<number> => {
    const { body } = await gateway.call('dana', 'GET', '/v1/audit/events?limit=1');
    return (body as { items: { seq: number }[] }).items[0]!.seq;
  };

  it('answers its callers while a receiver hangs, and the other receivers get everything', async () => {
    for (let n = 0; n < 20; n++) expect((await call(`/orders/${n}`)).status).toBe(200);
    const last = await head();
    await until(() => sink('lines').seq >= last && sink('elastic').seq >= last);
    await until(() => sink('hook').failures > 1);
    expect(sink('hook')).toMatchObject({ state: 'failing', sent: 0, reason: 'no answer within 300 ms' });
    expect(sink('hook').lagEvents).toBeGreaterThanOrEqual(last);
    expect(hook.got.length).toBeGreaterThan(0);
    const shipped = shippedLines();
    expect(shipped.filter(({ type }) => type === 'command.intent')).toHaveLength(20);
    expect(shipped.filter(({ type }) => type === 'shipping.started')).toHaveLength(3);
    expect(shipped.map(({ sallyport }) => sallyport.after)).toEqual([0, ...shipped.slice(0, -1).map(({ seq }) => seq)]);
    expect(statSync(lines).mode & 0o777).toBe(0o600);
  });

  it('sends no secret of its receivers to any of them', () => {
    const everything = readFileSync(lines, 'utf8') + elastic.got.map(({ body }) => body).join('');
    for (const secret of ['whsec_', 'bG9naW46a2V5']) expect(everything).not.toContain(secret);
    expect(elastic.got[0]!.headers.authorization).toBe('ApiKey bG9naW46a2V5');
  });

  it('goes on after a restart where each receiver was', async () => {
    await gateway.stop();
    const stopped = shippedLines();
    hook.got.length = 0;
    hook.reply = () => ({ status: 204, body: '' });
    gateway = await start();
    for (let n = 0; n < 5; n++) expect((await call(`/orders/${n}`)).status).toBe(200);
    const last = await head();
    await until(() => ['lines', 'hook', 'elastic'].every((name) => sink(name).seq >= last));
    const seqs = shippedLines().map(({ seq }) => seq);
    expect(new Set(seqs).size).toBe(seqs.length);
    expect(seqs.slice(0, stopped.length)).toEqual(stopped.map(({ seq }) => seq));
    const hooked = hook.got.flatMap(({ body }) => (JSON.parse(body) as { records: Shipped[] }).records);
    expect(hooked.map(({ seq }) => seq).filter((seq) => seq <= last)).toEqual(seqs.filter((seq) => seq <= last));
    const ids = elastic.got.flatMap(({ body }) =>
      [...body.matchAll(/"_id":"[^"]*#(\d+)"/g)].map(([, seq]) => Number(seq)),
    );
    expect(ids.filter((seq) => seq <= last)).toEqual(seqs.filter((seq) => seq <= last));
    expect(readdirSync(join(folder, 'data', 'shipping')).sort()).toEqual(['elastic', 'hook', 'lines']);
  });
});
