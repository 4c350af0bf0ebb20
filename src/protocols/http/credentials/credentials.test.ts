import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../model/errors.ts';
import { bytesBody } from '../../../web/body.ts';
import { type Body, type Fields, field, type RequestHead } from '../../../web/message.ts';
import { httpSettings } from '../settings.ts';
import { openCredentials } from './credentials.ts';
import type { Injection } from './injection.ts';
import { parseAmzDate, sha256Hex } from './sigv4/canonical.ts';
import { Collector } from './sigv4/collector.fixture.ts';
import { signV4 } from './sigv4/sign.ts';
import { callerKeyId, callerSecret } from './sigv4/verify.ts';
import { showableFields } from './strip.ts';

const now = Date.UTC(2026, 10, 20, 12);

function settings(as: unknown, more: object = {}) {
  const credential = as === undefined ? {} : { credential: { user: 'svc', env: 'KEY', as } };
  return httpSettings.parse({ address: 'https://api.example', ...credential, ...more });
}

async function put(
  as: unknown,
  request: { method?: string; target?: string; fields?: Fields; body?: string },
  { secret = 's3cr3t-value', more = {}, unread = false }: { secret?: string; more?: object; unread?: boolean } = {},
) {
  const { method = 'GET', target = '/a', fields = [], body } = request;
  const head: RequestHead = { version: '1.1', method, target: `/shop${target}`, authority: 'gw.example', fields };
  const bytes = Buffer.from(body ?? '');
  const credentials = openCredentials(settings(as, more), { user: 'svc', secret }, undefined, () => now);
  const known = body === undefined ? undefined : unread ? 'too large' : bytes;
  return credentials.put(
    { method, target, authority: 'api.example', fields },
    { request: head, body: bytesBody(bytes), known, length: bytes.length },
  );
}

describe('a target’s credential', () => {
  it.each([
    ['bearer', ['authorization', 'Bearer s3cr3t-value']],
    ['basic', ['authorization', `Basic ${Buffer.from('svc:s3cr3t-value').toString('base64')}`]],
    [{ header: 'X-Api-Key' }, ['x-api-key', 's3cr3t-value']],
    [{ header: 'Authorization', prefix: 'Token' }, ['authorization', 'Token s3cr3t-value']],
  ])('as %j is put in', async (as, fields) => {
    const { head, stripped } = await put(as, { fields: ['accept', '*/*'] });
    expect(head.fields).toEqual(['accept', '*/*', ...fields]);
    expect(stripped).toEqual([]);
  });

  it.each([
    ['/a', '/a?api_key=s3cr3t-value'],
    ['/a?x=1', '/a?x=1&api_key=s3cr3t-value'],
    ['/a?x=1&api_key=mine', '/a?x=1&api_key=s3cr3t-value'],
    ['/a?api_key=1&api_key=2', '/a?api_key=s3cr3t-value'],
    ['/a?API_KEY=1', '/a?api_key=s3cr3t-value'],
    ['/a?api%5Fkey=1&%61pi_key=2', '/a?api_key=s3cr3t-value'],
    ['/a?api.key=1&api+key=2&api-key=3', '/a?api_key=s3cr3t-value'],
    ['/a?api_key[]=1&api_key[x]=2', '/a?api_key=s3cr3t-value'],
    ['/a?x=1;api_key=2&y=3', '/a?y=3&api_key=s3cr3t-value'],
    ['/a?api_key', '/a?api_key=s3cr3t-value'],
    ['/a?+api_key=1', '/a?api_key=s3cr3t-value'],
    ['/a?x=api_key', '/a?x=api_key&api_key=s3cr3t-value'],
  ])('as a query parameter replaces what could be taken for it: %s', async (target, sent) => {
    const { head, stripped } = await put({ query: 'api_key' }, { target });
    expect(head.target).toBe(sent);
    expect(stripped).toEqual(
      /api.{0,3}key(?=[=[]|$)/i.test(target) && !/x=api_key$/.test(target) ? ['query.api_key'] : [],
    );
  });

  it('is encoded in the query, and refused where a field cannot hold it', async () => {
    expect((await put({ query: 'k' }, {}, { secret: 'a&b=c d' })).head.target).toBe('/a?k=a%26b%3Dc%20d');
    await expect(put('bearer', {}, { secret: 'a\r\nx-admin: 1' })).rejects.toThrow(
      /characters that no header field can hold/,
    );
    await expect(put('bearer', {}, { secret: 'geheim-ß' })).rejects.toThrow(Refusal);
  });

  it('that is not there is no reason to send without', async () => {
    const credentials = openCredentials(settings('bearer'), {}, undefined, () => now);
    const given = {
      request: { version: '1.1', method: 'GET', target: '/', authority: 'a', fields: [] } as const,
      body: bytesBody(Buffer.alloc(0)),
      known: undefined,
      length: 0,
    };
    const put = async () => credentials.put({ method: 'GET', target: '/', authority: 'a', fields: [] }, given);
    await expect(put()).rejects.toMatchObject({ kind: 'UPSTREAM_UNAVAILABLE' });
  });
});

describe('what a caller sends', () => {
  it.each([
    ['authorization', 'Bearer foreign'],
    ['proxy-authorization', 'Basic x'],
    ['cookie', 'session=1'],
    ['x-api-key', 'mine'],
    ['x_api_key', 'mine'],
    ['x.api.key', 'mine'],
    ['x-forwarded-for', '10.0.0.1'],
    ['x-forwarded-user', 'root'],
    ['x_forwarded_user', 'root'],
    ['x-forwarded-host', 'evil.example'],
    ['forwarded', 'for=10.0.0.1'],
    ['x-real-ip', '10.0.0.1'],
    ['remote_user', 'root'],
    ['x-remote-user', 'root'],
    ['x-auth-request-email', 'root@example'],
    ['x-ms-client-principal-name', 'root'],
    ['x-amz-security-token', 'token'],
  ])('as %s does not reach the target, and is told', async (name, value) => {
    const { head, stripped } = await put({ header: 'X-Api-Key' }, { fields: ['a', 'b', name, value, 'c', 'd'] });
    expect(head.fields).toEqual(['a', 'b', 'c', 'd', 'x-api-key', 's3cr3t-value']);
    expect(stripped).toEqual([name]);
  });

  it('is stripped where the target has no credential, too', async () => {
    const { head, stripped } = await put(undefined, {
      fields: ['authorization', 'Bearer foreign', 'x-api-key', 'mine'],
    });
    expect(head.fields).toEqual(['x-api-key', 'mine']);
    expect(stripped).toEqual(['authorization']);
  });

  it('behind its body is no way round that', async () => {
    const trailers = [
      'x-api-key',
      'mine',
      'authorization',
      'Bearer foreign',
      'x-amz-acl',
      'public-read',
      'x-checksum',
      '1',
    ];
    const trailed = async (as: unknown) => {
      const credentials = openCredentials(settings(as), { user: 'svc', secret: 's3cr3t-value' }, undefined, () => now);
      const request = { version: '1.1', method: 'PUT', target: '/b/k', authority: 'a', fields: [] } as const;
      const body = bytesBody(Buffer.from('hello'), trailers);
      const { body: sent } = await credentials.put(request, { request, body, known: 'too large', length: undefined });
      const sink = new Collector();
      sent.pipe(sink);
      return sink.outcome();
    };
    expect(await trailed({ header: 'X-Api-Key' })).toEqual({
      length: 5,
      trailers: ['x-amz-acl', 'public-read', 'x-checksum', '1'],
    });
    expect(await trailed({ aws: { region: 'eu-central-1', service: 's3' } })).toEqual({ length: 5, trailers: [] });
  });

  it('may hold cookies where the target’s settings let them pass', async () => {
    const fields = ['cookie', 'a=b'];
    expect((await put('bearer', { fields }, { more: { cookies: 'pass' } })).head.fields).toContain('a=b');
    const reply = ['set-cookie', 'a=b', 'www-authenticate', 'Bearer', 'content-type', 'text/plain'];
    expect(showableFields(reply, { cookies: 'drop' })).toEqual(['content-type', 'text/plain']);
    expect(showableFields(reply, { cookies: 'pass' })).toEqual(['set-cookie', 'a=b', 'content-type', 'text/plain']);
  });

  it('never leaves two fields that a server could take for the credential, whatever it is', async () => {
    const name = fc.string({ unit: fc.constantFrom(...'xapikey-_.'.split('')), minLength: 1, maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.oneof(name, fc.constantFrom('x-api-key', 'x_api_key', 'x-api_key')), fc.constant('v'))),
        async (pairs) => {
          const { head } = await put({ header: 'X-Api-Key' }, { fields: pairs.flat() });
          const folded = head.fields.filter((_, index) => index % 2 === 0).map((one) => one.replaceAll(/[_.]/g, '-'));
          expect(folded.filter((one) => one === 'x-api-key')).toHaveLength(1);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('a reply', () => {
  it.each([
    ['bearer', 's3cr3t-value', 's3cr3t-value'],
    ['basic', 's3cr3t-value', Buffer.from('svc:s3cr3t-value').toString('base64')],
    [{ header: 'x-api-key' }, 's3cr3t-value', 's3cr3t-value'],
    [{ query: 'k' }, 's3cr3t/value', 's3cr3t%2Fvalue'],
    [{ aws: { region: 'eu-central-1', service: 's3' } }, 's3cr3t-value', 's3cr3t-value'],
  ])('with the credential of %j in it does not show it', async (as, secret, echoed) => {
    const { guard } = await put(as, {}, { secret });
    const filter = guard.open();
    const bytes = Buffer.concat([filter.write(Buffer.from(`you sent ${echoed}!`)), filter.end()]).toString();
    expect(bytes).toBe(`you sent ${'*'.repeat(echoed.length)}!`);
    expect(guard.count).toBe(1);
  });
});

describe('a credential that is exchanged for tokens', () => {
  it('is kept out of replies with the token of the moment', async () => {
    let count = 0;
    const prepare = async (): Promise<Injection> => {
      const value = `token-number-${++count}`;
      return { kind: 'header', name: 'authorization', value, secrets: [value] };
    };
    const credentials = openCredentials(settings('bearer'), {}, { prepare }, () => now);
    const request = { version: '1.1', method: 'GET', target: '/', authority: 'a', fields: [] } as const;
    const body = bytesBody(Buffer.alloc(0));
    for (const number of [1, 2]) {
      const { guard } = await credentials.put(request, { request, body, known: undefined, length: 0 });
      expect(guard.fields(['a', `token-number-${number}`])).toEqual(['a', '*'.repeat(14)]);
    }
  });
});

describe('an AWS target', () => {
  const aws = { aws: { region: 'eu-central-1', service: 's3' } };
  const token = 'sp_ticket_1';
  const authorization = (fields: Fields) => field(fields, 'authorization') ?? '';

  async function relayed(result: Awaited<ReturnType<typeof put>>) {
    const sink = new Collector();
    result.body.pipe(sink);
    return sink;
  }

  const signedByCaller = (body: string, method = 'PUT') => {
    const key = {
      id: callerKeyId,
      secret: callerSecret(token),
      sessionToken: token,
      region: 'eu-central-1',
      service: 's3',
    };
    const sha256 = sha256Hex(body);
    return signV4(
      { method, target: '/shop/b/k', authority: 'gw.example', fields: [] },
      key,
      { kind: 'hash', sha256 },
      now,
    ).head.fields;
  };

  it('gets a signature of ours, and nothing of the caller’s', async () => {
    const result = await put(aws, { method: 'PUT', target: '/b/k', body: 'hello', fields: signedByCaller('hello') });
    const { fields } = result.head;
    expect(authorization(fields)).toMatch(
      /^AWS4-HMAC-SHA256 Credential=svc\/20261120\/eu-central-1\/s3\/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=[0-9a-f]{64}$/,
    );
    expect(fields.join()).not.toContain(token);
    expect(result.stripped).toEqual(['x-amz-date', 'x-amz-content-sha256', 'x-amz-security-token', 'authorization']);
    expect((await relayed(result)).outcome()).toEqual({ length: 5, trailers: [] });
  });

  it('is never handed all of a payload that is not the one its caller signed', async () => {
    const sink = await relayed(
      await put(aws, { method: 'PUT', target: '/b/k', body: 'hellp', fields: signedByCaller('hello') }),
    );
    expect(sink.outcome()).toContain('SHA-256 differs');
    expect(sink.bytes()).toHaveLength(0);
  });

  it('reads no further once a payload is wrong', async () => {
    const credentials = openCredentials(settings(aws), { user: 'svc', secret: 's3cr3t-value' }, undefined, () => now);
    let cancelled = 0;
    const fields = signedByCaller('hello');
    const body: Body = {
      length: 5,
      pipe(sink) {
        void sink.data(Buffer.from('hellp'));
        sink.end([]);
      },
      cancel: () => {
        cancelled++;
      },
    };
    const request = { version: '1.1', method: 'PUT', target: '/shop/b/k', authority: 'gw.example', fields } as const;
    const head = { method: 'PUT', target: '/b/k', authority: 'api.example', fields };
    const put = await credentials.put(head, { request, body, known: 'too large', length: 5 });
    const sink = new Collector();
    put.body.pipe(sink);
    expect(sink.outcome()).toContain('SHA-256 differs');
    expect(cancelled).toBe(1);
  });

  it('refuses a signature that is not its caller’s, before anything is sent', async () => {
    const fields = signedByCaller('hello').map((value) => value.replace('eu-central-1', 'us-east-1'));
    await expect(put(aws, { method: 'PUT', target: '/b/k', body: 'hello', fields })).rejects.toMatchObject({
      kind: 'LOGIN_FAILED',
    });
    await expect(put(aws, { method: 'DELETE', target: '/b/k', fields: signedByCaller('') })).rejects.toMatchObject({
      kind: 'LOGIN_FAILED',
    });
  });

  it('takes callers that do not sign, and signs what is known of their body', async () => {
    const known = await put(aws, {
      method: 'PUT',
      target: '/b/k',
      body: 'hello',
      fields: ['authorization', 'Bearer x'],
    });
    expect(field(known.head.fields, 'x-amz-content-sha256')).toBe(
      '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
    );
    const unread = await put(aws, { method: 'PUT', target: '/b/k', body: 'hello' }, { unread: true });
    expect(field(unread.head.fields, 'x-amz-content-sha256')).toBe('UNSIGNED-PAYLOAD');
    const queue = { aws: { region: 'eu-central-1', service: 'sqs' } };
    await expect(put(queue, { method: 'POST', body: 'hello' }, { unread: true })).rejects.toMatchObject({
      kind: 'LIMIT_EXCEEDED',
    });
  });

  it('takes temporary keys as the JSON of a credential process', async () => {
    const secret = JSON.stringify({
      Version: 1,
      AccessKeyId: 'ASIA1',
      SecretAccessKey: 'temporary-secret',
      SessionToken: 'session-token',
    });
    const { head, guard } = await put(aws, {}, { secret });
    expect(authorization(head.fields)).toContain('Credential=ASIA1/');
    expect(authorization(head.fields)).toContain('x-amz-security-token');
    expect(field(head.fields, 'x-amz-security-token')).toBe('session-token');
    expect(guard.fields(['a', 'session-token temporary-secret'])).toEqual(['a', `${'*'.repeat(13)} ${'*'.repeat(16)}`]);
    await expect(put(aws, {}, { secret: '{"AccessKeyId":"A","' })).rejects.toThrow(
      /is not the JSON that it should be$/,
    );
  });

  const recorded = JSON.parse(readFileSync(new URL('./sigv4/testdata/aws-cli.json', import.meta.url), 'utf8')) as {
    readonly requests: readonly (Omit<RequestHead, 'version'> & { readonly length?: number; readonly body: string })[];
  };
  const uploads = recorded.requests.filter(({ method, body }) => method === 'PUT' && body !== '');

  it.each(uploads)(
    'gets what the AWS command line sends, framed and signed anew: $target',
    async ({ body, length, ...sent }) => {
      const at = parseAmzDate(field(sent.fields, 'x-amz-date')) ?? 0;
      const credentials = openCredentials(
        settings(aws),
        { user: 'AKIATARGET', secret: 's3cr3t-value' },
        undefined,
        () => at,
      );
      const bytes = Buffer.from(body, 'latin1');
      const put = await credentials.put(
        {
          method: sent.method,
          target: sent.target.replace('/artifacts', ''),
          authority: 'api.example',
          fields: sent.fields,
        },
        { request: { version: '1.1', ...sent }, body: bytesBody(bytes), known: 'too large', length },
      );
      const sink = await relayed(put);
      expect(sink.outcome()).toEqual({ length: put.body.length, trailers: [] });
      // Framing that was unsigned goes on as it came; only the head is signed.
      expect(sink.bytes().toString('latin1')).toBe(body);
      expect(field(put.head.fields, 'x-amz-content-sha256')).toBe(field(sent.fields, 'x-amz-content-sha256'));
      expect(field(put.head.fields, 'x-amz-decoded-content-length')).toBe(
        field(sent.fields, 'x-amz-decoded-content-length'),
      );
      expect(authorization(put.head.fields)).toContain('Credential=AKIATARGET/');
      expect(put.head.fields.join()).not.toContain('sp_ticket');
    },
  );

  it('refuses presigned URLs', async () => {
    await expect(put(aws, { target: '/b/k?X-Amz-Signature=1' })).rejects.toMatchObject({ kind: 'UNSUPPORTED' });
  });
});
