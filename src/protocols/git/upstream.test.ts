import { describe, expect, it } from 'vitest';
import type { Permit } from '../../audit/permit.ts';
import { Refusal } from '../../model/errors.ts';
import type { OutgoingRequest } from '../../web/connection.ts';
import type { AnswerSink } from '../../web/message.ts';
import { type GitAddress, parseGitAddress } from './address.ts';
import { unexpected } from './answers.ts';
import { type Connections, GitUpstream, noBody } from './upstream.ts';

const permit = {} as Permit;
const sink = {} as AnswerSink;

/** Connections that only note what they are to send. */
function noting(): { connections: Connections; sent: OutgoingRequest[] } {
  const sent: OutgoingRequest[] = [];
  const send = (_: Permit, request: OutgoingRequest) => {
    sent.push(request);
    return { cancel: () => undefined };
  };
  return { connections: { send, housekeeping: send }, sent };
}

const here = noting();
const there = noting();
const upstream = new GitUpstream(
  here.connections,
  parseGitAddress('https://code.example/scm') as GitAddress,
  async () => ({ header: 'Bearer s3cret', secrets: ['s3cret'] }),
  's1',
  (origin) => (origin === 'https://objects.example' ? there.connections : undefined),
);

describe('the credential', () => {
  it('goes to the target, below its path', async () => {
    upstream.command(permit, { method: 'GET', path: '/a/info/refs', fields: ['x', 'y'], body: noBody }, sink);
    await Promise.resolve();
    expect(here.sent.at(-1)).toMatchObject({
      target: '/scm/a/info/refs',
      authority: 'code.example',
      fields: ['user-agent', 'git/sallyport', 'x', 'y', 'authorization', 'Bearer s3cret'],
    });
  });

  it('goes nowhere else, and what is for elsewhere goes there', () => {
    const way = upstream.wayTo('https://objects.example/o/1?sig=a%2Fb', { 'X-Ticket': 't', Accept: 'z' });
    if (way instanceof Refusal) throw way;
    upstream.transfer(permit, way, { method: 'PUT', fields: ['accept', 'a'], body: noBody }, sink);
    expect(there.sent.at(-1)).toMatchObject({
      target: '/o/1?sig=a%2Fb',
      authority: 'objects.example',
      fields: ['user-agent', 'git/sallyport', 'x-ticket', 't', 'accept', 'z'],
    });
    expect(JSON.stringify(there.sent)).not.toContain('s3cret');
  });

  it('goes to the target for what it keeps itself, but where it wants another', async () => {
    const plain = upstream.wayTo('https://code.example/o/1', {});
    const other = upstream.wayTo('https://code.example/o/2', { Authorization: 'Other 1' });
    if (plain instanceof Refusal || other instanceof Refusal) throw new Error('no way');
    for (const way of [plain, other]) upstream.transfer(permit, way, { method: 'GET', fields: [], body: noBody }, sink);
    await Promise.resolve();
    const shown = here.sent.slice(-2).map(({ target, fields }) => [target, fields.slice(2)]);
    expect(Object.fromEntries(shown)).toEqual({
      '/o/1': ['authorization', 'Bearer s3cret'],
      '/o/2': ['authorization', 'Other 1'],
    });
  });
});

describe('a way that a target gives', () => {
  it.each([
    ['another origin', 'https://elsewhere.example/x', {}],
    ['another scheme', 'http://code.example/x', {}],
    ['another port', 'https://code.example:8443/x', {}],
    ['a user in it', 'https://user@code.example/x', {}],
    ['no address', 'code.example/x', {}],
    ['a file', 'file:///etc/passwd', {}],
    ['a host of its own', 'https://code.example/x', { Host: 'internal' }],
    ['framing of its own', 'https://code.example/x', { 'Transfer-Encoding': 'chunked' }],
  ])('is not gone where it has %s', (_, href, header) => {
    expect(upstream.wayTo(href, header)).toBeInstanceOf(Refusal);
  });
});

describe('an answer', () => {
  const type = ['content-type', 'application/x-git-upload-pack-result'];

  it.each([
    [200, type, undefined],
    [200, ['content-type', 'application/x-git-upload-pack-result; charset=x'], undefined],
    [200, ['content-type', 'application/x-git-upload-pack-resultat'], 'UPSTREAM_PROTOCOL'],
    [200, [], 'UPSTREAM_PROTOCOL'],
    [200, [...type, 'content-encoding', 'gzip'], 'UPSTREAM_PROTOCOL'],
    [206, type, 'UPSTREAM_UNAVAILABLE'],
    [301, type, 'UPSTREAM_UNAVAILABLE'],
    [401, type, 'UPSTREAM_UNAVAILABLE'],
    [404, type, 'TARGET_UNKNOWN'],
    [500, type, 'UPSTREAM_UNAVAILABLE'],
  ])('of status %d with %j is %s', (status, fields, kind) => {
    expect(unexpected({ status, fields }, 'application/x-git-upload-pack-result')?.kind).toBe(kind);
  });
});
