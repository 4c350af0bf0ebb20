import { readFile } from 'node:fs/promises';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { PeerError, Refusal } from '../../model/errors.ts';
import { connected } from '../../wire/connected.ts';
import { PacketReader } from '../../wire/packets.ts';
import { Reads } from '../../wire/reads.ts';
import { type Address, formatAddress, isLoopback } from './address.ts';
import { sslRequest } from './codec.ts';
import type { PostgresSettings } from './settings.ts';

/** How sure we are of whom we talk to, and that nobody else listens. */
export interface Dialled {
  readonly socket: Socket | TLSSocket;
  /** How a connection without TLS is read. */
  readonly reads?: Reads;
  /** The server's certificate (DER), inside TLS. */
  readonly certificate?: Buffer;
  /** True when TLS proved who the server is, or the connection does not leave this machine. */
  readonly trusted: boolean;
}

/**
 * Opens a connection to a server and makes it as safe as `settings.tls` asks for; says nothing else. Rejects with Refusal
 * UPSTREAM_UNAVAILABLE, or with PeerError when the answer was no PostgreSQL; with the signal's reason when it fires.
 */
export async function dial(settings: PostgresSettings, signal: AbortSignal): Promise<Dialled> {
  const { address, tls } = settings;
  const reads = await open(address, tls.mode === 'disable', signal);
  const socket = reads instanceof Reads ? reads.socket : reads;
  try {
    socket.setNoDelay(true);
    const local = address.kind === 'unix' || isLoopback(socket.remoteAddress ?? '');
    if (tls.mode === 'disable') {
      // A name like localhost was believed when the configuration was read; now it is known.
      if (!local && !settings.insecure)
        throw unavailable(address, 'TLS is off, and the address is not on this machine');
      return { socket, trusted: local, ...(reads instanceof Reads ? { reads } : {}) };
    }
    if (!tls.direct) await askForTls(socket, address, signal);
    return await encrypt(socket, settings, signal);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

export function unavailable(address: Address, why: string): Refusal {
  return new Refusal('UPSTREAM_UNAVAILABLE', `the database at ${formatAddress(address)} cannot be used: ${why}`);
}

/** A stream that TLS can be put on, or reads that nothing comes between. */
async function open(address: Address, plain: boolean, signal: AbortSignal): Promise<Socket | Reads> {
  signal.throwIfAborted();
  const options = address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
  const reads = plain ? new Reads(options) : undefined;
  const socket = reads?.socket ?? connectTcp(options);
  try {
    await connected(socket, 'connect', signal);
    return reads ?? socket;
  } catch (error) {
    socket.destroy();
    signal.throwIfAborted();
    throw unavailable(address, `connecting failed (${reason(error)})`);
  }
}

/** SSLRequest, and the one byte that answers it (PostgreSQL manual, “SSL Session Encryption”). */
async function askForTls(socket: Socket, address: Address, signal: AbortSignal): Promise<void> {
  socket.write(sslRequest());
  const reader = new PacketReader(socket, signal);
  const answer = await reader.exactly(1);
  const stuffed = reader.waiting > 0;
  reader[Symbol.dispose]();
  if (answer === undefined) throw unavailable(address, 'the server hung up when it was asked for TLS');
  const byte = answer.toString('latin1');
  if (byte === 'N') throw unavailable(address, 'the server offers no TLS');
  // What an unknown peer says in the clear is not repeated to anybody.
  if (byte === 'E') throw unavailable(address, 'the server answered with an error when it was asked for TLS');
  if (byte !== 'S')
    throw new PeerError('UPSTREAM_PROTOCOL', 'the server answered the request for TLS with neither S nor N');
  // Plaintext behind the S could otherwise pass for something said inside TLS (CVE-2021-23222).
  if (stuffed) throw new PeerError('UPSTREAM_PROTOCOL', 'the server sent bytes before TLS began');
}

async function encrypt(socket: Socket, settings: PostgresSettings, signal: AbortSignal): Promise<Dialled> {
  const { address, tls } = settings;
  const secured = connectTls({ ...(await tlsOptions(settings)), socket });
  try {
    await connected(secured, 'secureConnect', signal);
  } catch (error) {
    secured.destroy();
    signal.throwIfAborted();
    throw unavailable(address, `TLS (${tls.mode}) failed: ${reason(error)}`);
  }
  // Without this a server of another protocol could be talked into answering (PostgreSQL manual, “SSL Session Encryption”).
  if (tls.direct && secured.alpnProtocol !== 'postgresql') {
    secured.destroy();
    throw unavailable(address, 'the server did not agree to speak postgresql (ALPN) in direct TLS');
  }
  const certificate = secured.getPeerX509Certificate()?.raw;
  const trusted = tls.mode !== 'require' || address.kind === 'unix' || isLoopback(socket.remoteAddress ?? '');
  return { socket: secured, trusted, ...(certificate === undefined ? {} : { certificate }) };
}

async function tlsOptions({ address, tls, credential }: PostgresSettings): Promise<ConnectionOptions> {
  const read = async (path: string) => {
    try {
      return await readFile(path);
    } catch (error) {
      throw unavailable(address, `the file ${path} cannot be read (${reason(error)})`);
    }
  };
  const { certificate, key } = tls.certificate === undefined ? (credential ?? {}) : tls;
  const host = tls.serverName ?? (address.kind === 'tcp' ? address.host : 'localhost');
  return {
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ALPNProtocols: ['postgresql'],
    minVersion: 'TLSv1.2',
    rejectUnauthorized: tls.mode !== 'require',
    // verify-ca asks who signed, not for whom.
    ...(tls.mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
    ...(tls.ca === undefined ? {} : { ca: await read(tls.ca) }),
    ...(certificate === undefined ? {} : { cert: await read(certificate) }),
    ...(key === undefined ? {} : { key: await read(key) }),
  };
}

/** A system or TLS error in a few words: its code says most, its text may name files or certificates, never a secret. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const { code } = error as NodeJS.ErrnoException;
  const text = error.message.replace(/\s+/g, ' ').slice(0, 200);
  return code === undefined || text.includes(code) ? text : `${code}: ${text}`;
}
