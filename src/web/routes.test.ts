import { describe, expect, it } from 'vitest';
import type { Gateway } from '../gateway/protocol.ts';
import type { RequestHead } from './message.ts';
import type { WebProtocol } from './protocol.ts';
import { destinationOf, hostsOf } from './routes.ts';

const http = { name: 'http', prefix: '', hosts: () => ['api.example'] } as unknown as WebProtocol;
const git = { name: 'git', prefix: 'git' } as unknown as WebProtocol;
const gateway = { targets: (name: string) => (name === 'http' ? [{ name: 'api' }] : []) } as unknown as Gateway;

function destination(target: string, authority = 'gateway.example:8444') {
  const request: RequestHead = { version: '1.1', method: 'GET', target, authority, fields: [] };
  const { protocol, ...rest } = destinationOf(request, [http, git], hostsOf([http, git], gateway));
  return { protocol: protocol.name, ...rest };
}

describe('the target of a request', () => {
  it.each([
    ['/api/v1/things?x=1', { protocol: 'http', target: 'api', path: '/v1/things?x=1', base: '/api' }],
    ['/api', { protocol: 'http', target: 'api', path: '/', base: '/api' }],
    ['/api?x=/git/y', { protocol: 'http', target: 'api', path: '/?x=/git/y', base: '/api' }],
    ['/api//x', { protocol: 'http', target: 'api', path: '//x', base: '/api' }],
    [
      '/git/code/group/repo.git/info/refs?service=git-upload-pack',
      {
        protocol: 'git',
        target: 'code',
        path: '/group/repo.git/info/refs?service=git-upload-pack',
        base: '/git/code',
      },
    ],
    ['/%61pi/x', { protocol: 'http', target: '%61pi', path: '/x', base: '/%61pi' }],
    ['/Git/code/x', { protocol: 'http', target: 'Git', path: '/code/x', base: '/Git' }],
    ['/..//api/x', { protocol: 'http', target: '..', path: '//api/x', base: '/..' }],
  ])('of %s', (target, expected) => {
    expect(destination(target)).toEqual(expected);
  });

  it.each(['/', '//api', '/git', '/git/', '/git?x', '*', '/?/api'])('is none for %s', (target) => {
    expect(() => destination(target)).toThrow(/names no target/);
  });

  it("is by host name where one stands for a target, with any port, and then the whole path is the target's", () => {
    expect(destination('/git/code/x', 'api.example:8444')).toEqual({
      protocol: 'http',
      target: 'api',
      path: '/git/code/x',
      base: '',
    });
    expect(destination('/x', 'api.example')).toMatchObject({ target: 'api' });
    expect(destination('/x/y', 'api.example.evil')).toMatchObject({ target: 'x' });
  });
});
