import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Connection, Gateway, Line } from '../../gateway/protocol.ts';
import { PeerError, Refusal } from '../../model/errors.ts';
import { handshake } from '../../wire/handshake.ts';
import { PacketReader } from '../../wire/packets.ts';
import {
  authenticationCleartextPassword,
  type BackendKey,
  Client,
  negotiateProtocolVersion,
  parsePassword,
  parseStartupPacket,
  protocol32,
  type StartupPacket,
} from './codec.ts';
import { refusalReport } from './refusals.ts';
import { startupSettings } from './startup.ts';

export interface LoggedIn {
  /** Paused; everything up to the password has been read from it. */
  readonly socket: Socket;
  readonly line: Line;
  /** Settings for the upstream connection, allow-listed. */
  readonly settings: Readonly<Record<string, string>>;
  readonly version: number;
}

/**
 * From an accepted connection to a logged-in caller (PostgreSQL manual, “Message Flow”: start-up, SSL, GSSAPI, cancel).
 * Undefined when there is no session to serve: the client hung up, sent a cancel request, or was refused and told so.
 */
export async function login(
  connection: Connection,
  gateway: Gateway,
  cancel: (key: BackendKey) => void,
): Promise<LoggedIn | undefined> {
  const signal = AbortSignal.timeout(gateway.limits.loginMs);
  const { socket } = connection;
  let current = socket;
  try {
    const secured = await secure(connection, signal, cancel);
    if (secured === undefined) {
      socket.destroy();
      return undefined;
    }
    current = secured.socket;
    return await authenticate(secured, gateway, signal);
  } catch (error) {
    if (error instanceof Refusal || error instanceof PeerError) {
      gateway.log('info', 'postgres: login refused', { reason: error.message, address: socket.remoteAddress ?? '' });
      current.end(refusalReport(error, 'FATAL'));
      // Whoever does not read the answer does not keep the connection open.
      setTimeout(() => socket.destroy(), 2000).unref();
      return undefined;
    }
    socket.destroy();
    if (signal.aborted) return undefined;
    throw error;
  }
}

interface Secured {
  readonly socket: Socket;
  readonly packet: StartupPacket & { kind: 'startup' };
  readonly reader: PacketReader;
}

/** Answers SSLRequest and GSSENCRequest until a StartupMessage comes, inside TLS unless plaintext is allowed here. */
async function secure(
  connection: Connection,
  signal: AbortSignal,
  cancel: (key: BackendKey) => void,
): Promise<Secured | undefined> {
  let { socket } = connection;
  let reader = new PacketReader(socket, signal);
  let encrypted = false;
  const first = await reader.exactly(1);
  if (first === undefined) return undefined;
  socket.unshift(first);
  if (first[0] === 0x16) {
    reader[Symbol.dispose]();
    socket = await handshake(socket, connection.tls, ['postgresql'], signal);
    // Direct TLS must say that it means PostgreSQL, or a cross-protocol attack could speak to us (libpq, sslnegotiation=direct).
    if ((socket as TLSSocket).alpnProtocol !== 'postgresql')
      throw new PeerError('CLIENT_PROTOCOL', 'direct TLS needs ALPN protocol "postgresql"');
    reader = new PacketReader(socket, signal);
    encrypted = true;
  }
  let gssAsked = false;
  for (;;) {
    const packet = await readStartup(reader);
    if (packet === undefined) return undefined;
    if (packet.kind === 'cancel') {
      cancel({ processId: packet.processId, secret: packet.secret });
      return undefined;
    }
    if (packet.kind === 'startup') {
      if (!encrypted && !connection.plaintext) {
        throw new Refusal('LOGIN_FAILED', 'this gateway only takes encrypted connections', {
          advice: 'connect with sslmode=require or stronger',
        });
      }
      return { socket, packet, reader };
    }
    // Bytes that came along in plaintext could be taken for the inside of the TLS session (CVE-2021-3935 and its kin).
    if (reader.waiting > 0) return undefined;
    if (packet.kind === 'gss') {
      if (gssAsked || encrypted) return undefined;
      gssAsked = true;
      socket.write('N');
    } else {
      if (encrypted) return undefined;
      socket.write('S');
      reader[Symbol.dispose]();
      socket = await handshake(socket, connection.tls, ['postgresql'], signal);
      reader = new PacketReader(socket, signal);
      encrypted = true;
    }
  }
}

async function readStartup(reader: PacketReader): Promise<StartupPacket | undefined> {
  const head = await reader.exactly(4);
  if (head === undefined) return undefined;
  const size = head.readInt32BE(0);
  // parseStartupPacket refuses sizes outside its bounds; the body is read only when it will not.
  const body = size >= 8 && size <= 10_000 ? await reader.exactly(size - 4) : Buffer.alloc(0);
  if (body === undefined) return undefined;
  const parsed = parseStartupPacket(Buffer.concat([head, body]));
  return parsed?.packet;
}

/** Startup parameters, then the token as a cleartext password: inside TLS, the one form that carries any token. */
async function authenticate(
  { socket, packet, reader }: Secured,
  gateway: Gateway,
  signal: AbortSignal,
): Promise<LoggedIn | undefined> {
  const unknown = [...packet.parameters.keys()].filter((name) => name.startsWith('_pq_.'));
  const settings = startupSettings(packet.parameters);
  if (packet.version > protocol32 || unknown.length > 0) {
    socket.write(negotiateProtocolVersion(Math.min(packet.version & 0xffff, protocol32 & 0xffff), unknown));
  }
  const target = packet.parameters.get('database') ?? packet.parameters.get('user') ?? '';
  socket.write(authenticationCleartextPassword);
  const head = await reader.exactly(5);
  if (head === undefined) return undefined;
  const length = head.readInt32BE(1);
  if (head[0] !== Client.Password || length < 5 || length > 65_536)
    throw new PeerError('CLIENT_PROTOCOL', 'expected a password message');
  const body = await reader.exactly(length - 4);
  if (body === undefined) return undefined;
  const message = Buffer.concat([head, body]);
  const password = parsePassword(message, 0, message.length);
  if (password === '')
    throw new Refusal('LOGIN_FAILED', 'no token was given', {
      advice: 'pass a ticket or an OIDC token as the password (PGPASSWORD)',
    });
  const application = packet.parameters.get('application_name');
  const client = {
    address: socket.remoteAddress ?? 'unknown',
    ...(application === undefined ? {} : { application: application.slice(0, 64) }),
  };
  const line = await gateway.login('postgres', target, password, client);
  reader[Symbol.dispose]();
  if (signal.aborted || socket.destroyed) {
    await line.close('the client hung up during login');
    return undefined;
  }
  return { socket, line, settings, version: Math.min(packet.version, protocol32) };
}
