import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { Refusal } from '../../model/errors.ts';
import { connected } from '../../wire/connected.ts';
import { type Host, mayConnect } from './addresses.ts';

/** The addresses of a name, numeric. */
export type Resolve = (name: string) => Promise<readonly string[]>;

export interface UpstreamTls {
  /** PEM file of the authorities that may have signed the target's certificate, instead of the public ones. */
  readonly ca?: string | undefined;
  /** The name that the certificate must have, and that is asked for (SNI); the host unless given. */
  readonly serverName?: string | undefined;
  /** PEM files: our certificate, and its private key. */
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  /** Takes any certificate. Never a default. */
  readonly insecure?: boolean;
}

export interface ConnectOptions {
  /** The target's name, for messages. */
  readonly name: string;
  readonly scheme: 'http' | 'https';
  readonly host: Host;
  readonly port: number;
  readonly tls?: UpstreamTls | undefined;
  /** The operator's word that the target is inside. */
  readonly internal?: boolean | undefined;
  readonly connectMs: number;
  readonly resolve?: Resolve | undefined;
}

export interface Connected {
  readonly stream: Socket | TLSSocket;
  readonly protocol: 'h2' | 'http/1.1';
}

/** Addresses of one name that are tried, one after the other. */
const maxTries = 4;

/**
 * Opens a connection to a target. Its name is resolved here, once, and every address is judged before any is used; the
 * connection then goes to exactly such an address, so a resolver that changes its mind in between (rebinding) changes nothing.
 * Rejects with Refusal UPSTREAM_UNAVAILABLE, or with the signal's reason.
 */
export async function connectUpstream(
  options: ConnectOptions,
  protocols: readonly ('h2' | 'http/1.1')[],
  signal: AbortSignal,
): Promise<Connected> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(unavailable(options, 'connecting took too long')), options.connectMs);
  const either = AbortSignal.any([signal, late.signal]);
  let socket: Socket | undefined;
  try {
    const addresses = await addressesOf(options, either);
    const tls = options.scheme === 'https' ? await tlsOptions(options, protocols) : undefined;
    socket = await openFirst(options, addresses, either);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    if (tls === undefined) return { stream: socket, protocol: protocols[0] as 'h2' | 'http/1.1' };
    return await encrypt(socket, tls, options, protocols, either);
  } catch (error) {
    socket?.destroy();
    either.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function unavailable(options: ConnectOptions, why: string): Refusal {
  return new Refusal('UPSTREAM_UNAVAILABLE', `the target ${options.name} cannot be reached: ${why}`);
}

async function addressesOf(options: ConnectOptions, signal: AbortSignal): Promise<readonly string[]> {
  const { host, internal = false } = options;
  signal.throwIfAborted();
  let addresses: readonly string[];
  if (host.kind === 'address') addresses = [host.address];
  else {
    try {
      addresses = await until((options.resolve ?? resolveBySystem)(host.name), signal);
    } catch (error) {
      signal.throwIfAborted();
      throw unavailable(options, `its name cannot be resolved (${reason(error)})`);
    }
  }
  if (addresses.length === 0) throw unavailable(options, 'its name has no address');
  // One bad address among good ones is how rebinding begins; so none of them is used.
  if (!addresses.every((address) => mayConnect(host, address, internal))) {
    throw new Refusal('UPSTREAM_UNAVAILABLE', `the target ${options.name} leads to an address that is not allowed`, {
      advice: 'an operator can set `internal: true` for a target inside; link-local and metadata addresses stay closed',
    });
  }
  return addresses.slice(0, maxTries);
}

async function resolveBySystem(name: string): Promise<readonly string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}

async function openFirst(options: ConnectOptions, addresses: readonly string[], signal: AbortSignal): Promise<Socket> {
  let last: unknown;
  for (const [index, host] of addresses.entries()) {
    // A silent address leaves time for those behind it.
    const share =
      index === addresses.length - 1 ? undefined : AbortSignal.timeout(options.connectMs / addresses.length);
    const socket = connectTcp({ host, port: options.port, autoSelectFamily: false });
    try {
      await connected(socket, 'connect', share === undefined ? signal : AbortSignal.any([signal, share]));
      return socket;
    } catch (error) {
      socket.destroy();
      signal.throwIfAborted();
      last = error;
    }
  }
  throw unavailable(options, `connecting failed (${reason(last)})`);
}

async function encrypt(
  socket: Socket,
  tls: ConnectionOptions,
  options: ConnectOptions,
  protocols: readonly string[],
  signal: AbortSignal,
): Promise<Connected> {
  const secured = connectTls({ ...tls, socket });
  try {
    await connected(secured, 'secureConnect', signal);
  } catch (error) {
    secured.destroy();
    signal.throwIfAborted();
    throw unavailable(options, `TLS failed (${reason(error)})`);
  }
  const agreed = secured.alpnProtocol;
  if (agreed === 'h2' && protocols.includes('h2')) return { stream: secured, protocol: 'h2' };
  if ((agreed === 'http/1.1' || !agreed) && protocols.includes('http/1.1'))
    return { stream: secured, protocol: 'http/1.1' };
  secured.destroy();
  throw unavailable(options, `it does not speak ${protocols.join(' or ')} (ALPN)`);
}

async function tlsOptions(options: ConnectOptions, protocols: readonly string[]): Promise<ConnectionOptions> {
  const { tls = {}, host } = options;
  const read = async (path: string) => {
    try {
      return await readFile(path);
    } catch (error) {
      throw unavailable(
        options,
        `a file of its TLS settings cannot be read (${(error as NodeJS.ErrnoException).code})`,
      );
    }
  };
  const name = tls.serverName ?? (host.kind === 'name' ? host.name : host.address);
  return {
    // What the certificate is compared with; asked for by SNI where it is a name.
    host: name,
    ...(host.kind === 'address' && tls.serverName === undefined ? {} : { servername: name }),
    ALPNProtocols: [...protocols],
    minVersion: 'TLSv1.2',
    rejectUnauthorized: tls.insecure !== true,
    ...(tls.ca === undefined ? {} : { ca: await read(tls.ca) }),
    ...(tls.certificate === undefined ? {} : { cert: await read(tls.certificate) }),
    ...(tls.key === undefined ? {} : { key: await read(tls.key) }),
  };
}

/** The promise's outcome, unless the signal fires before. */
function until<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** A system or TLS error in a few words: its text may name addresses and certificates, never a secret. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  if (error.name === 'TimeoutError') return 'no answer in time';
  const { code } = error as NodeJS.ErrnoException;
  const text = error.message.replace(/\s+/g, ' ').slice(0, 200);
  return code === undefined || text.includes(code) ? text : `${code}: ${text}`;
}
