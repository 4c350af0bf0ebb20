import { describe, expect, it } from 'vitest';
import { httpSettings, parseClassifiedField, parseHttpAddress } from './settings.ts';

const good = { address: 'https://api.internal:8443/v2' };

function complaints(given: object): string {
  const result = httpSettings.safeParse({ ...good, ...given });
  return result.success
    ? ''
    : result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n');
}

describe('the settings of an HTTP target', () => {
  it('need only an address, and are strict otherwise', () => {
    expect(httpSettings.parse(good)).toMatchObject({
      address: { scheme: 'https', host: 'api.internal', port: 8443, authority: 'api.internal:8443', basePath: '/v2' },
      http: 'auto',
      internal: false,
      paths: { allow: [], ignoreCase: false },
      messages: 'recorded',
      cookies: 'drop',
      detectors: true,
      inspectBytes: 65536,
    });
  });

  it.each([
    ['https://a.example', { port: 443, authority: 'a.example', basePath: '' }],
    ['https://A.Example:443/', { host: 'a.example', authority: 'a.example', basePath: '' }],
    [
      'https://[2001:db8::1]:8443/a/b/',
      { host: '2001:db8::1', port: 8443, authority: '[2001:db8::1]:8443', basePath: '/a/b' },
    ],
    ['http://127.0.0.1:80/v1', { scheme: 'http', port: 80, authority: '127.0.0.1', basePath: '/v1' }],
  ])('read the address %s', (text, address) => {
    expect(parseHttpAddress(text)).toMatchObject(address);
  });

  it.each([
    [{ address: 'api.internal' }, 'address: expected a URL'],
    [{ address: 'ftp://a.example' }, 'address: expected a URL'],
    [{ address: 'https://user:secret@a.example' }, 'address: cannot hold a user or password'],
    [{ address: 'https://a.example/?x=1' }, 'address: cannot have a query'],
    [{ address: 'https://a.example/#x' }, 'address: cannot have a query or a fragment'],
    [{ address: 'https://a.example/a/../b' }, 'address: its path must be plain'],
    [{ address: 'https://a.example//a' }, 'address: its path must be plain'],
    [{ address: 'https://a.example/%2e' }, 'address: its path must be plain'],
    [{ address: 'http://a.example' }, 'http:// is for this machine only'],
    [{ address: 'https://127.0.0.1' }, 'internal: the address is on this machine'],
    [{ address: 'http://localhost', internal: true, tls: { ca: 'ca.pem' } }, 'tls.ca: there is no TLS'],
    [{ adress: 'x' }, 'Unrecognized key'],
    [{ hosts: ['shop.example:443'] }, 'hosts.0: expected a host name'],
    [{ hosts: ['*.example'] }, 'hosts.0: expected a host name'],
    [{ hosts: ['a.example', 'A.example'] }, 'hosts: names a host twice'],
    [{ tls: { certificate: 'a.pem' } }, 'tls: certificate and key go together'],
    [{ http: '3' }, 'http: '],
    [{ credential: { env: 'KEY' } }, 'credential.as: '],
    [{ credential: { env: 'KEY', as: 'digest' } }, 'credential.as: '],
    [{ credential: { as: 'bearer', user: 'x' } }, 'credential.as: there is no secret'],
    [{ credential: { env: 'KEY', as: 'basic' } }, 'credential.user: required'],
    [{ credential: { env: 'KEY', user: 'a:b', as: 'basic' } }, 'credential.user: cannot hold a colon'],
    [{ credential: { env: 'KEY', file: 'x', as: 'bearer' } }, 'give only one of env, file and command'],
    [{ credential: { env: 'KEY', certificate: 'a', key: 'b', as: 'bearer' } }, 'has its client certificate under tls'],
    [{ credential: { env: 'KEY', as: { header: 'X Api' } } }, 'credential.as'],
    [{ credential: { env: 'KEY', as: { header: 'Host' } } }, 'credential.as'],
    [{ credential: { env: 'KEY', as: { header: 'Cookie' } } }, 'credential.as'],
    [{ credential: { env: 'KEY', as: { query: 'a b' } } }, 'credential.as'],
    [{ credential: { env: 'KEY', as: { aws: { region: 'x' } } } }, 'credential.as'],
    [{ credential: { env: 'KEY', as: { google: {} } } }, 'credential.as'],
    [{ credential: { env: 'KEY', as: { google: { scopes: ['a'], audience: 'b' } } } }, 'credential.as'],
    [{ graphql: ['graphql'] }, 'graphql.0: expected a path'],
    [{ classify: { ssn: 'pii.ssn' } }, 'classify.ssn: '],
    [{ classify: { '$.ssn': 'PII' } }, 'classify.$.ssn: expected a classification'],
    [{ paths: 'lax' }, 'paths: '],
    [{ paths: { allow: ['dots'] } }, 'paths'],
    [{ messages: 'dropped' }, 'messages: '],
    [{ inspectBytes: '2MiB' }, 'inspectBytes: expected a size'],
  ])('complain about %j', (given, message) => {
    expect(complaints(given)).toContain(message);
  });

  it.each([
    { credential: { env: 'KEY', as: 'bearer' } },
    { credential: { file: './key', user: 'svc', as: 'basic' } },
    { credential: { env: 'KEY', as: { header: 'Authorization', prefix: 'Token' } } },
    { credential: { env: 'KEY', as: { query: 'api_key' } } },
    {
      credential: {
        command: ['aws', 'configure', 'export-credentials'],
        as: { aws: { region: 'eu-central-1', service: 's3' } },
      },
    },
    { credential: { file: './sa.json', as: { google: { scopes: ['https://www.googleapis.com/auth/bigquery'] } } } },
    { paths: { allow: ['encoded-slash'] } },
    { address: 'http://127.0.0.1:8080', internal: true },
    { address: 'http://api.internal', insecure: true },
    { inspectBytes: '1MiB' },
  ])('take %j', (given) => {
    expect(complaints(given)).toBe('');
  });
});

describe('a classified field', () => {
  it.each([
    ['$.customers[*].ssn', { path: '$.customers[*].ssn' }],
    ['$..email', { path: '$..email' }],
    ["$['a b'][0]", { path: "$['a b'][0]" }],
    ['$.data.*.card', { path: '$.data.*.card' }],
    ['/v1/customers $.data[*].email', { route: '/v1/customers', path: '$.data[*].email' }],
    ['GET /v1/customers/{id} $.email', { method: 'GET', route: '/v1/customers/{id}', path: '$.email' }],
    ['$', { path: '$' }],
  ])('%s is read', (text, field) => {
    expect(parseClassifiedField(text)).toEqual(field);
  });

  it.each(['', 'ssn', '$ssn', '$.a b', 'GET $.a', 'v1 $.a', '$.a[', "$['a]", '$.a.', 'get /a $.b'])(
    '%j is none',
    (text) => {
      expect(parseClassifiedField(text)).toBeUndefined();
    },
  );
});
