import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Gateway, Line } from '../gateway/protocol.ts';
import { Refusal } from '../model/errors.ts';
import { WebSessions } from './sessions.ts';

const restMs = 60_000;

interface Opened {
  readonly key: string;
  readonly controller: AbortController;
  readonly closed: string[];
}

/** A gateway whose tokens are good for `lifeMs`, and what it has opened. */
function gatewayOf(lifeMs = 3_600_000): { readonly gateway: Gateway; readonly opened: Opened[] } {
  const opened: Opened[] = [];
  const login: Gateway['login'] = (protocol, target, credential, { address }) => {
    if (credential === 'bad') return Promise.reject(new Refusal('LOGIN_FAILED', 'no'));
    const controller = new AbortController();
    const entry: Opened = { key: [protocol, target, credential, address].join(' '), controller, closed: [] };
    opened.push(entry);
    const line = {
      signal: controller.signal,
      expiresAt: Date.now() + lifeMs,
      session: { startedAt: Date.now() },
      close: (reason: string) => Promise.resolve(void entry.closed.push(reason)),
    };
    return Promise.resolve(line as unknown as Line);
  };
  const limits = { restMs, sessionMs: 3_600_000 };
  return { gateway: { login, limits } as unknown as Gateway, opened };
}

const client = { address: '10.0.0.1' };

describe('sessions of requests', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('are one for the requests of one token at one target from one address, however many come at once', async () => {
    const { gateway, opened } = gatewayOf();
    const sessions = new WebSessions();
    const entered = await Promise.all([1, 2, 3].map(() => sessions.enter(gateway, 'http', 'api', 'token', client)));
    for (const { leave } of entered) leave();
    await sessions.enter(gateway, 'http', 'api', 'token', client);
    expect(opened.map(({ key }) => key)).toEqual(['http api token 10.0.0.1']);
  });

  it('are never shared between tokens, targets, protocols or addresses', async () => {
    const { gateway, opened } = gatewayOf();
    const sessions = new WebSessions();
    await sessions.enter(gateway, 'http', 'api', 'token', client);
    await sessions.enter(gateway, 'http', 'api', 'token2', client);
    await sessions.enter(gateway, 'http', 'api2', 'token', client);
    await sessions.enter(gateway, 'git', 'api', 'token', client);
    await sessions.enter(gateway, 'http', 'api', 'token', { address: '10.0.0.2' });
    expect(opened).toHaveLength(5);
  });

  it('end when they have rested, and not while a request is under way', async () => {
    const { gateway, opened } = gatewayOf();
    const sessions = new WebSessions();
    const first = await sessions.enter(gateway, 'http', 'api', 'token', client);
    vi.advanceTimersByTime(10 * restMs);
    expect(opened[0]?.closed).toEqual([]);
    first.leave();
    vi.advanceTimersByTime(restMs - 1);
    const second = await sessions.enter(gateway, 'http', 'api', 'token', client);
    second.leave();
    vi.advanceTimersByTime(restMs - 1);
    expect(opened[0]?.closed).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(opened[0]?.closed).toEqual(['no request for a while']);
    expect(sessions.size).toBe(0);
  });

  it('are opened anew, so that the token is looked at again, once it has expired; what is under way may end', async () => {
    const { gateway, opened } = gatewayOf(1000);
    const sessions = new WebSessions();
    const first = await sessions.enter(gateway, 'http', 'api', 'token', client);
    vi.advanceTimersByTime(1000);
    await sessions.enter(gateway, 'http', 'api', 'token', client);
    expect(opened).toHaveLength(2);
    expect(opened[0]?.closed).toEqual([]);
    first.leave();
    expect(opened[0]?.closed).toEqual(['the credential has expired']);
  });

  it('keep their token out for a while when somebody has ended them, and let other tokens in', async () => {
    const { gateway, opened } = gatewayOf();
    const sessions = new WebSessions();
    const first = await sessions.enter(gateway, 'http', 'api', 'token', client);
    opened[0]?.controller.abort(new Refusal('SESSION_ENDED', 'terminated'));
    expect(opened[0]?.closed).toEqual(['terminated']);
    await expect(sessions.enter(gateway, 'http', 'api', 'token', client)).rejects.toThrow('terminated');
    await sessions.enter(gateway, 'http', 'api', 'other', client);
    first.leave();
    vi.advanceTimersByTime(restMs);
    await sessions.enter(gateway, 'http', 'api', 'token', client);
    expect(opened).toHaveLength(3);
  });

  it('keep their token out in every spelling, wherever it comes from', async () => {
    const { gateway, opened } = gatewayOf();
    const sessions = new WebSessions();
    await sessions.enter(gateway, 'http', 'api', 'head.payload.signature', client);
    opened[0]?.controller.abort(new Refusal('SESSION_ENDED', 'terminated'));
    const again = (token: string, address = client.address) =>
      sessions.enter(gateway, 'http', 'api', token, { address });
    await expect(again('head.payload.signaturf')).rejects.toThrow('terminated');
    await expect(again('head.payload.signature', '10.0.0.9')).rejects.toThrow('terminated');
    await again('head.payload2.signature');
    vi.advanceTimersByTime(restMs);
    await again('head.payload.signaturf');
    expect(opened).toHaveLength(3);
  });

  it('take only so many requests at once', async () => {
    const { gateway } = gatewayOf();
    const sessions = new WebSessions();
    const enter = () => sessions.enter(gateway, 'http', 'api', 'token', client);
    const entered = await Promise.all(Array.from({ length: 500 }, enter));
    await expect(enter()).rejects.toThrow('under way already');
    entered[0]?.leave();
    await enter();
  });

  it('are followed by the next at once when they were as old as they may get', async () => {
    const { gateway, opened } = gatewayOf(10 * 3_600_000);
    const sessions = new WebSessions();
    await sessions.enter(gateway, 'http', 'api', 'token', client);
    vi.advanceTimersByTime(3_600_000);
    opened[0]?.controller.abort(new Refusal('SESSION_ENDED', 'it has lasted as long as a session may'));
    await sessions.enter(gateway, 'http', 'api', 'token', client);
    expect(opened).toHaveLength(2);
  });

  it('keep nothing of a login that failed', async () => {
    const { gateway } = gatewayOf();
    const sessions = new WebSessions();
    const tries = [1, 2].map(() => sessions.enter(gateway, 'http', 'api', 'bad', client));
    for (const attempt of tries) await expect(attempt).rejects.toThrow(Refusal);
    expect(sessions.size).toBe(0);
  });
});
