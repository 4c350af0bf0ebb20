import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { type Api, createApi } from '../api/api.ts';
import { populated } from '../api/fake.ts';
import { ApiError, Client, serverOrigin, UnreachableError } from './client.ts';
import { lines } from './lines.ts';

let api: Api | undefined;
afterEach(() => api?.close());

async function connected(token: string) {
  const fake = populated();
  api = createApi(fake);
  const server = await api.listen({ host: '127.0.0.1', port: 0 });
  return { fake, client: new Client({ server, token: async () => token }) };
}

/** A client whose server answers this. */
function answering(body: string | null, init: ResponseInit = {}): Client {
  return new Client({
    server: 'https://gateway.example',
    token: async () => 't',
    fetch: async () => new Response(body, init),
  });
}

describe('the client', () => {
  it('speaks to the API in types', async () => {
    const { client } = await connected('admin-token');
    expect((await client.whoami()).may).toEqual({ review: true, configure: true });
    expect((await client.sessions({ target: 'shop', live: true, limit: 2 })).items.map(({ id }) => id)).toEqual([
      's-agent',
      's-other',
    ]);
    expect((await client.session('s-agent')).principal).toBe('corp:bot');
    expect((await client.approvals({ state: 'open' })).items).toHaveLength(2);
    expect((await client.auditEvents({ type: 'session.started' })).items).toMatchObject([
      { seq: 2, session: 's-agent' },
    ]);
    expect((await client.explain({ target: 'vault', text: 'DROP TABLE t' })).decision.outcome).toBe('deny');
    expect((await client.issueTicket({ targets: ['vault'], ttlMs: 5000 })).secret).toBe('spt_the-secret');
    expect(await client.revokeTicket('ticket-3')).toBe(true);
    expect((await client.targets()).map(({ name }) => name)).toEqual(['shop', 'vault']);
    expect((await client.policies()).policies).toHaveLength(1);
    expect(await new Response(await client.exportAudit()).text()).toBe('tar bytes');
    const kinds: string[] = [];
    for await (const item of client.replay('s-agent', 1)) kinds.push(item.kind);
    expect(kinds).toEqual(['columns', 'row', 'status']);
  });

  it('gives refusals with their code and what would work', async () => {
    const { client } = await connected('agent-token');
    const refused = await client.answer('a-agent', 'approve', 'mine').catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ApiError);
    expect((refused as ApiError).problem).toMatchObject({ status: 403, code: 'SP2001', rule: 'separation-of-duty' });
  });

  it('does not let an id reach another path', async () => {
    const { client, fake } = await connected('admin-token');
    for (const id of ['../whoami', 's-agent/terminate', '..', '%2e%2e/whoami', 's-agent?x=1', 's-agent#x']) {
      await expect(client.session(id)).rejects.toMatchObject({ problem: { status: expect.any(Number) } });
    }
    expect(fake.calls).toEqual([]);
  });

  it('takes nothing for an answer that is not the API’s', async () => {
    for (const client of [
      answering('<html>log in here</html>'),
      answering('{"principal":{}}'),
      answering(null),
      answering('[]'),
    ]) {
      await expect(client.whoami()).rejects.toThrow(UnreachableError);
    }
    await expect(answering('<html>', { status: 502 }).whoami()).rejects.toMatchObject({ problem: { status: 502 } });
  });

  it('has no token where none was given, and sends none where none is needed', async () => {
    const sent: Headers[] = [];
    const client = new Client({
      server: 'https://gateway.example',
      fetch: async (_, init) => {
        sent.push(new Headers(init?.headers));
        return Response.json({ items: [] });
      },
    });
    expect(await client.issuers()).toEqual({ items: [] });
    expect(sent[0]?.has('authorization')).toBe(false);
    await expect(client.whoami()).rejects.toThrow(TypeError);
  });
});

describe('a server', () => {
  it.each([
    ['gateway.example:8443', 'https://gateway.example:8443'],
    ['https://gateway.example/', 'https://gateway.example'],
    ['http://localhost:8443', 'http://localhost:8443'],
    ['http://127.0.0.1:1', 'http://127.0.0.1:1'],
    ['http://[::1]:1', 'http://[::1]:1'],
  ])('%s is %s', (given, origin) => {
    expect(serverOrigin(given)).toBe(origin);
  });

  it.each([
    'http://gateway.example',
    'http://127.0.0.1.evil.example',
    'http://localhost.evil.example',
    'https://user:pass@gateway.example',
    'ftp://x',
    'file:///etc/passwd',
    '',
  ])('%s is refused', (given) => {
    expect(() => serverOrigin(given)).toThrow(TypeError);
  });
});

describe('lines of a stream', () => {
  async function read(chunks: readonly Uint8Array[]): Promise<string[]> {
    const found: string[] = [];
    for await (const line of lines(new Response(ReadableStream.from(chunks)))) found.push(line);
    return found;
  }

  it('are the same however the bytes are cut', async () => {
    const text = 'first\nzweite ü 漢字 👍\n\nlast';
    const bytes = Buffer.from(text);
    for (let at = 0; at <= bytes.length; at++)
      expect(await read([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(text.split('\n'));
    expect(await read([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(text.split('\n'));
  });

  it('are the same for any text', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ maxLength: 20 }), { maxLength: 10 }),
        fc.integer({ min: 1, max: 7 }),
        async (parts, size) => {
          const wanted = parts.map((part) => part.replaceAll('\n', ' '));
          const bytes = Buffer.from(wanted.map((line) => `${line}\n`).join(''));
          const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
            bytes.subarray(i * size, (i + 1) * size),
          );
          expect(await read(chunks)).toEqual(wanted);
        },
      ),
    );
  });

  it('end with an error when one of them never ends', async () => {
    const chunk = Buffer.alloc(8 * 1024 * 1024, 'x');
    await expect(read(Array.from({ length: 9 }, () => chunk))).rejects.toThrow('longer than');
  });
});
