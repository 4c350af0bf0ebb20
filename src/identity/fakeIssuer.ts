import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTHeaderParameters, SignJWT } from 'jose';

export interface FakeKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

export async function fakeKey(kid: string, alg = 'ES256'): Promise<FakeKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

/** An issuer that signs whatever a test asks for. `keys` is what it publishes; tests change it to rotate. */
export interface FakeIssuer {
  readonly url: string;
  keys: FakeKey[];
  /** Requests it got, by path. */
  readonly requests: string[];
  /** Takes over the answer to a request when it returns true. */
  answer: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** A token with sensible claims, signed with `key` (the first by default); claims set to undefined are left out. */
  sign(claims?: Record<string, unknown>, key?: FakeKey, header?: Partial<JWTHeaderParameters>): Promise<string>;
  close(): Promise<void>;
}

export async function startFakeIssuer(
  key: FakeKey,
  now: () => number,
  tls?: { readonly key: string; readonly cert: string },
): Promise<FakeIssuer> {
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    issuer.requests.push(request.url ?? '');
    if (issuer.answer(request, response)) return;
    const body =
      request.url === '/jwks'
        ? { keys: issuer.keys.map(({ publicJwk }) => publicJwk) }
        : { issuer: issuer.url, jwks_uri: `${issuer.url}/jwks` };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const server = tls === undefined ? createServer(handle) : createTlsServer(tls, handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const url = tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`;
  const issuer: FakeIssuer = {
    url,
    keys: [key],
    requests: [],
    answer: () => false,
    sign(claims = {}, signer = issuer.keys[0]!, header = {}) {
      const seconds = Math.floor(now() / 1000);
      const all = { iss: url, aud: 'sallyport', sub: 'ada', iat: seconds, exp: seconds + 600, ...claims };
      const payload = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
      return new SignJWT(payload)
        .setProtectedHeader({ alg: signer.alg, kid: signer.kid, ...header })
        .sign(
          signer.privateKey,
          header.crit === undefined ? {} : { crit: Object.fromEntries(header.crit.map((c) => [c, true])) },
        );
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return issuer;
}
