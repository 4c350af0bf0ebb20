import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { importSPKI, jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Refusal } from '../../../model/errors.ts';
import { GoogleTokens } from './google.ts';
import { createInjector } from './injector.ts';

const { publicKey, privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});

/** A token endpoint that speaks RFC 7523. */
class Endpoint {
  readonly assertions: string[] = [];
  answer: (count: number) => { status: number; body: unknown; location?: string } = (count) => ({
    status: 200,
    body: { access_token: `token-${count}`, id_token: `id-${count}`, expires_in: 3600, token_type: 'Bearer' },
  });
  readonly #server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const form = new URLSearchParams(Buffer.concat(chunks).toString());
      if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer')
        return response.writeHead(400).end();
      this.assertions.push(form.get('assertion') ?? '');
      const { status, body, location } = this.answer(this.assertions.length);
      response.writeHead(status, {
        'content-type': 'application/json',
        ...(location === undefined ? {} : { location }),
      });
      return response.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
  });

  async open(): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done));
  }

  get uri(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/token`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

let endpoint: Endpoint;
let now: number;
const deps = { now: () => now, fetch };
const scopes = ['https://www.googleapis.com/auth/bigquery', 'https://www.googleapis.com/auth/devstorage.read_only'];

beforeEach(async () => {
  endpoint = new Endpoint();
  await endpoint.open();
  now = Date.UTC(2026, 10, 20, 12);
});
afterEach(() => endpoint.close());

function account(changes: object = {}): string {
  return JSON.stringify({
    type: 'service_account',
    client_email: 'svc@project.iam.example',
    private_key: privateKey,
    private_key_id: 'key-1',
    token_uri: endpoint.uri,
    ...changes,
  });
}

describe('a Google service account', () => {
  it('is exchanged for an access token, by an assertion that its key signed', async () => {
    const injector = createInjector({ google: { scopes } }, deps);
    const injection = await injector.prepare({ secret: account() });
    expect(injection).toEqual({ kind: 'header', name: 'authorization', value: 'Bearer token-1', secrets: ['token-1'] });
    const { payload, protectedHeader } = await jwtVerify(
      endpoint.assertions[0] as string,
      await importSPKI(publicKey, 'RS256'),
      {
        audience: endpoint.uri,
        issuer: 'svc@project.iam.example',
        currentDate: new Date(now),
      },
    );
    expect(protectedHeader).toEqual({ alg: 'RS256', typ: 'JWT', kid: 'key-1' });
    expect(payload).toMatchObject({ sub: 'svc@project.iam.example', scope: scopes.join(' '), exp: now / 1000 + 3600 });
  });

  it('is exchanged for an ID token where an audience is asked for', async () => {
    const tokens = new GoogleTokens({ audience: 'https://run.example' }, deps);
    expect(await tokens.token(account())).toBe('id-1');
    const { payload } = await jwtVerify(endpoint.assertions[0] as string, await importSPKI(publicKey, 'RS256'), {
      currentDate: new Date(now),
    });
    expect(payload).toMatchObject({ target_audience: 'https://run.example' });
    expect(payload).not.toHaveProperty('scope');
  });

  it('keeps a token until shortly before its end, and asks once for all who wait', async () => {
    const tokens = new GoogleTokens({ scopes }, deps);
    expect(await Promise.all(Array.from({ length: 20 }, () => tokens.token(account())))).toEqual(
      Array(20).fill('token-1'),
    );
    now += 54 * 60_000;
    expect(await tokens.token(account())).toBe('token-1');
    now += 2 * 60_000;
    expect(await Promise.all([tokens.token(account()), tokens.token(account())])).toEqual(['token-2', 'token-2']);
    expect(endpoint.assertions).toHaveLength(2);
  });

  it('is exchanged anew when its key is another', async () => {
    const tokens = new GoogleTokens({ scopes }, deps);
    await tokens.token(account());
    expect(await tokens.token(account({ private_key_id: 'key-2' }))).toBe('token-2');
  });

  it('goes on with the old token while it is good, and no longer', async () => {
    const tokens = new GoogleTokens({ scopes }, deps);
    await tokens.token(account());
    endpoint.answer = () => ({ status: 503, body: {} });
    now += 58 * 60_000;
    expect(await tokens.token(account())).toBe('token-1');
    now += 3 * 60_000;
    await expect(tokens.token(account())).rejects.toThrow(/it answered 503/);
    endpoint.answer = () => ({ status: 200, body: { access_token: 'late', expires_in: 60 } });
    expect(await tokens.token(account())).toBe('late');
  });

  it.each([
    [
      'refuses',
      () => ({ status: 400, body: { error: 'invalid_grant', error_description: 'the secret is x' } }),
      'it answered 400 (invalid_grant)',
    ],
    ['redirects', () => ({ status: 307, body: {}, location: 'http://169.254.169.254/' }), 'it cannot be reached'],
    ['has no token', () => ({ status: 200, body: { expires_in: 3600 } }), 'its answer holds no token'],
    [
      'has a token that no field can hold',
      () => ({ status: 200, body: { access_token: 'a\r\nx: y' } }),
      'its answer holds no token',
    ],
    ['answers without JSON', () => ({ status: 200, body: '<html>' }), 'it answered 200'],
    [
      'answers without end',
      () => ({ status: 200, body: `{"access_token":"a","x":"${'x'.repeat(100_000)}"}` }),
      'it answered 200',
    ],
  ])('says so when the endpoint %s, and no more', async (_, answer, message) => {
    endpoint.answer = answer;
    const error = await new GoogleTokens({ scopes }, deps).token(account()).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(Refusal);
    expect((error as Refusal).kind).toBe('UPSTREAM_UNAVAILABLE');
    expect((error as Refusal).message).toBe(`no token for the target from Google's token endpoint: ${message}`);
  });

  it.each([
    ['no JSON', 'private_key', "the secret is not a service account's key file"],
    ['another type', JSON.stringify({ type: 'authorized_user' }), "the secret is not a service account's key file"],
  ])('is refused where the secret is %s', async (_, json, message) => {
    await expect(new GoogleTokens({ scopes }, deps).token(json)).rejects.toThrow(message);
  });

  it('is refused with a key that is none, without quoting it', async () => {
    const tokens = new GoogleTokens({ scopes }, deps);
    await expect(tokens.token(account({ private_key: 'canary-key' }))).rejects.toThrow(/private key cannot be used$/);
    await expect(tokens.token(account({ token_uri: 'http://example.com/token' }))).rejects.toThrow(
      /token_uri is not https$/,
    );
    await expect(tokens.token(account({ token_uri: 'http://127.0.0.1:1/' }))).rejects.toThrow(/it cannot be reached$/);
  });
});
