import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../../model/errors.ts';
import { type Fields, field, type RequestHead } from '../../../../web/message.ts';
import { canonicalRequest, emptyHash, hmac, parseAmzDate, sha256Hex, signingKey, stringToSign } from './canonical.ts';
import { ChunkedReader } from './chunked-reader.ts';
import { Collector } from './collector.fixture.ts';
import { signV4 } from './sign.ts';
import { callerSecret, signedToken, type Verified, type VerifyOptions, verifyV4 } from './verify.ts';

interface Recorded {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly fields: Fields;
  readonly length?: number;
  readonly body: string;
}

/** Requests as the AWS command line sent them with a ticket's key pair. */
const recorded = JSON.parse(readFileSync(new URL('./testdata/aws-cli.json', import.meta.url), 'utf8')) as {
  readonly token: string;
  readonly requests: readonly Recorded[];
};
const { token } = recorded;

function optionsOf({ fields, length, body }: Recorded): VerifyOptions {
  const [, , region = '', service = ''] =
    /Credential=([^,]*)/.exec(field(fields, 'authorization') ?? '')?.[1]?.split('/') ?? [];
  return {
    token,
    region,
    service,
    now: parseAmzDate(field(fields, 'x-amz-date')) ?? 0,
    length,
    body: body === '' ? undefined : Buffer.from(body, 'latin1'),
  };
}

function verify(request: Recorded, changes: Partial<VerifyOptions> = {}): Verified | string {
  const head: RequestHead = { version: '1.1', ...request };
  try {
    return verifyV4(head, { ...optionsOf(request), ...changes });
  } catch (error) {
    if (error instanceof Refusal) return `${error.code} ${error.message}`;
    throw error;
  }
}

function changed(request: Recorded, name: string, change: (value: string) => string | undefined): Recorded {
  const fields: string[] = [];
  for (let index = 0; index < request.fields.length; index += 2) {
    const value = request.fields[index + 1] as string;
    const next = request.fields[index] === name ? change(value) : value;
    if (next !== undefined) fields.push(request.fields[index] as string, next);
  }
  return { ...request, fields };
}

const named = recorded.requests.map((request) => ({ ...request, name: `${request.method} ${request.target}` }));

describe.each(named)('$name of the AWS command line', (request) => {
  it('is known by its token and verified by its signature', () => {
    expect(signedToken(request.fields)).toBe(token);
    expect(verify(request)).toMatchObject({ payload: { kind: expect.any(String) } });
  });

  it('is refused with another token, though it claims this one', () => {
    expect(verify(request, { token: `${token}x` })).toContain('SP1001');
  });

  it('is refused when anything that was signed is changed', () => {
    const signed = /SignedHeaders=([^,]*)/.exec(field(request.fields, 'authorization') ?? '')?.[1]?.split(';') ?? [];
    expect(signed.length).toBeGreaterThan(2);
    expect(verify({ ...request, method: request.method === 'PUT' ? 'POST' : 'PUT' })).toContain('SP1001');
    expect(verify({ ...request, target: `${request.target}x` })).toContain('SP1001');
    expect(verify({ ...request, target: `/x${request.target}` })).toContain('SP1001');
    expect(verify({ ...request, authority: 'other.example' })).toContain('SP1001');
    for (const name of signed.filter((one) => one !== 'host')) {
      expect(
        verify(changed(request, name, (value) => `${value.slice(0, -1)}${value.endsWith('1') ? 2 : 1}`)),
      ).toContain('SP1001');
      expect(verify(changed(request, name, () => undefined))).toContain('SP1001');
    }
    expect(
      verify(changed(request, 'authorization', (value) => value.replace(/.$/, (last) => (last === '0' ? '1' : '0')))),
    ).toContain('SP1001');
  });

  it('is refused when a field that speaks to AWS is added unsigned', () => {
    expect(verify({ ...request, fields: [...request.fields, 'x-amz-acl', 'public-read'] })).toContain(
      'does not cover x-amz-acl',
    );
  });

  it('is refused too early, too late, and for another region or service', () => {
    const { now } = optionsOf(request);
    expect(verify(request, { now: now + 299_000 })).not.toBeTypeOf('string');
    expect(verify(request, { now: now + 301_000 })).toContain('5 minutes');
    expect(verify(request, { now: now - 301_000 })).toContain('5 minutes');
    expect(verify(request, { region: 'us-east-1' })).toContain('this target is us-east-1/');
    expect(verify(request, { service: 'sqs' })).toContain('/sqs');
  });
});

describe('a signature', () => {
  const now = Date.UTC(2026, 10, 20, 12);
  const key = {
    id: 'SALLYPORT',
    secret: callerSecret(token),
    sessionToken: token,
    region: 'eu-central-1',
    service: 's3',
  };
  const given = (changes: Partial<Recorded> = {}, service = 's3'): Recorded => {
    const head = { method: 'GET', target: '/t/b/k', authority: 'gw.example', fields: [] as Fields, ...changes };
    const { head: signed } = signV4(head, { ...key, service }, { kind: 'hash', sha256: emptyHash }, now);
    return { ...signed, body: '' };
  };
  const check = (request: Recorded, changes: Partial<VerifyOptions> = {}) =>
    verify(request, { token, now, region: 'eu-central-1', service: 's3', ...changes });

  it('of ours is one that we verify, for any path, query and fields', () => {
    const text = fc.string({ unit: fc.constantFrom(...'abc09-._~!$&()*+,:=@/%éä '.split('')) }).map(encodeURIComponent);
    const pair = fc.tuple(text, text).map(([name, value]) => `${name}=${value}`);
    fc.assert(
      fc.property(fc.array(text), fc.array(pair), fc.constantFrom('s3', 'sqs'), (segments, pairs, service) => {
        const target = `/${segments.join('/')}${pairs.length > 0 ? `?${pairs.join('&')}` : ''}`;
        const request = given({ target, fields: ['x-amz-meta-a', ' b   c ', 'content-type', 'text/plain'] }, service);
        expect(check(request, { service, body: undefined })).toMatchObject({ payload: { kind: 'hash' } });
      }),
      { numRuns: 200 },
    );
  });

  it('may cover Content-Length, as some clients have it', () => {
    const authorization = (request: Recorded) => field(request.fields, 'authorization');
    const request = given({ fields: ['x-amz-meta-a', 'b'] });
    expect(authorization(request)).toContain('host;');
    expect(check({ ...request, length: 0 })).not.toBeTypeOf('string');
  });

  const withAuthorization = (change: (value: string) => string) => changed(given(), 'authorization', change);

  it.each([
    ['is missing', changed(given(), 'authorization', () => undefined)],
    ['comes twice', { ...given(), fields: [...given().fields, 'authorization', 'Basic x'] }],
    ['has a date twice', { ...given(), fields: [...given().fields, 'x-amz-date', '20261120T120000Z'] }],
    ['has no date', changed(given(), 'x-amz-date', () => undefined)],
    ['has a date that is none', changed(given(), 'x-amz-date', () => '20261345T990000Z')],
    ['is of version 2', withAuthorization(() => 'AWS SALLYPORT:abc=')],
    [
      'is of another algorithm',
      withAuthorization((value) => value.replace('AWS4-HMAC-SHA256', 'AWS4-ECDSA-P256-SHA256')),
    ],
    ['is for another key', withAuthorization((value) => value.replace('SALLYPORT', 'AKIAIOSFODNN7EXAMPLE'))],
    ['has another day', withAuthorization((value) => value.replace('20261120', '20261119'))],
    ['has no end of scope', withAuthorization((value) => value.replace('aws4_request', 'aws4'))],
    ['has no host', withAuthorization((value) => value.replace('host;', ''))],
    [
      'has names out of order',
      withAuthorization((value) => value.replace(/SignedHeaders=host;([^;]*);/, 'SignedHeaders=$1;host;')),
    ],
    ['has a name twice', withAuthorization((value) => value.replace('host;', 'host;host;'))],
    ['covers what is not there', withAuthorization((value) => value.replace('host;', 'host;range;'))],
    ['has no signature', withAuthorization((value) => value.replace(/, Signature=.*/, ''))],
    ['is too short', withAuthorization((value) => value.slice(0, -2))],
    ['has more parts', withAuthorization((value) => `${value}, Signature=${'0'.repeat(64)}`)],
    ['has no payload', changed(given(), 'x-amz-content-sha256', () => undefined)],
    [
      'has a payload of no known kind',
      changed(given(), 'x-amz-content-sha256', () => 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD'),
    ],
  ])('that %s is refused', (_, request) => {
    expect(check(request)).toMatch(/^SP1001 the request's AWS signature /);
  });

  /** A signature that fits, over whatever its caller chose. */
  const signedOver = (names: readonly string[], date: string): Recorded => {
    const scope = { date, region: 'eu-central-1', service: 's3' };
    const request = given();
    const time = field(request.fields, 'x-amz-date') as string;
    const canonical = canonicalRequest(request, '/t/b/k', names, emptyHash);
    const mac = hmac(signingKey(key.secret, scope), stringToSign(time, scope, canonical)).toString('hex');
    const value = `AWS4-HMAC-SHA256 Credential=SALLYPORT/${date}/eu-central-1/s3/aws4_request, SignedHeaders=${names.join(';')}, Signature=${mac}`;
    return changed(request, 'authorization', () => value);
  };
  const names = ['host', 'x-amz-content-sha256', 'x-amz-date', 'x-amz-security-token'];

  it('has to cover the host, and to be for the day it was made', () => {
    expect(check(signedOver(names, '20261120'))).not.toBeTypeOf('string');
    expect(check(signedOver(names, '20261119'))).toContain('another day');
    expect(check(signedOver(names.slice(1), '20261120'))).toContain('must cover host');
    expect(check(signedOver(names.toReversed(), '20261120'))).toContain('in order');
  });

  it('in a URL is refused, whatever it says', () => {
    expect(check({ ...given(), target: '/t/b/k?X-Amz-Signature=00' })).toContain('SP2003 presigned URLs');
  });

  it('without a hash of the payload needs the payload', () => {
    const request = given({}, 'sqs');
    expect(check(request, { service: 'sqs', body: 'too large' })).toContain('SP7001');
    expect(check(request, { service: 'sqs', body: Buffer.from('x') })).toContain('does not fit');
  });
});

describe('the recorded chunked upload', () => {
  const request = recorded.requests.find(({ fields }) => field(fields, 'x-amz-trailer') !== undefined) as Recorded;
  const body = Buffer.from(request.body, 'latin1');
  const read = (bytes: readonly Buffer[]) => {
    const verified = verify(request);
    if (typeof verified === 'string') throw new Error(verified);
    const sink = new Collector();
    const reader = new ChunkedReader(verified, field(request.fields, 'x-amz-trailer'), sink);
    for (const piece of bytes) void reader.data(piece);
    reader.end([]);
    return sink;
  };

  it('is read the same however it is cut', () => {
    for (let at = 0; at <= body.length; at++) {
      const sink = read([body.subarray(0, at), body.subarray(at)]);
      expect(sink.outcome()).toMatchObject({
        trailers: [expect.stringMatching(/^x-amz-checksum-/), expect.any(String)],
      });
      expect(sha256Hex(sink.bytes())).toBe(sha256Hex('hello sallyport'));
    }
  });

  it('is incomplete at every byte but the last', () => {
    for (let at = 0; at < body.length; at++) expect(read([body.subarray(0, at)]).outcome()).toContain('ends too early');
    expect(read([body, Buffer.from('x')]).outcome()).toContain('goes on behind its end');
    expect(read([body, Buffer.from('x\r\n')]).outcome()).toContain('goes on behind its end');
  });
});
