import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { Permit } from '../../audit/permit.ts';
import { PeerError, type Refusal } from '../../model/errors.ts';
import type { Target, TargetCredential } from '../../model/target.ts';
import type { Reads } from '../../wire/reads.ts';
import { formatAddress } from './address.ts';
import { authenticate } from './authenticate.ts';
import { cancelUpstream } from './cancel.ts';
import {
  type BackendKey,
  parseAuthentication,
  parseBackendKeyData,
  parseNegotiateProtocolVersion,
  parseParameterStatus,
  parseReadyForQuery,
  parseReport,
  protocol30,
  protocol32,
  Server,
  startupMessage,
} from './codec.ts';
import { dial, unavailable } from './dial.ts';
import { type LoginMessage, LoginStream } from './login-stream.ts';
import type { PostgresSettings } from './settings.ts';

export interface ConnectOptions {
  readonly target: Target<PostgresSettings>;
  readonly credential: TargetCredential;
  /** Start-up parameters on top of the pinned ones; names must be in `startupParameters`. */
  readonly startup?: Readonly<Record<string, string>>;
  /** Asks for protocol 3.2 (longer cancel keys) instead of 3.0; the server may answer with less. */
  readonly version?: typeof protocol30 | typeof protocol32;
  /** The session's: opening a connection is housekeeping. */
  readonly permit: Permit;
  readonly signal: AbortSignal;
  /** From the first packet to ReadyForQuery. */
  readonly timeoutMs: number;
}

/** A connection that is logged in and idle. The socket is paused, and has no listener but one that ignores errors. */
export interface UpstreamConnection {
  readonly target: Target<PostgresSettings>;
  readonly socket: Socket | TLSSocket;
  readonly reads?: Reads;
  readonly user: string;
  /** The protocol version in use. */
  readonly version: number;
  /** What the server reported with ParameterStatus. */
  readonly parameters: Map<string, string>;
  /** Absent when the server gives none: nothing can be cancelled then. */
  readonly key: BackendKey | undefined;
  /** As the server writes it, `18.4`; and its major number. */
  readonly serverVersion: string;
  readonly serverMajor: number;
}

/** Settings that a session may choose at its start. `options` and `replication` are not among them: they smuggle in others. */
export const startupParameters: ReadonlySet<string> = new Set([
  'application_name',
  'bytea_output',
  'client_min_messages',
  'DateStyle',
  'debug_pretty_print',
  'debug_print_rewritten',
  'default_transaction_isolation',
  'default_transaction_read_only',
  'extra_float_digits',
  'idle_in_transaction_session_timeout',
  'IntervalStyle',
  'lock_timeout',
  'row_security',
  'search_path',
  'statement_timeout',
  'TimeZone',
]);

/**
 * Logs in to a target's database. Rejects with Refusal UPSTREAM_UNAVAILABLE, whose text names the host and what failed, never
 * the secret; with PeerError when the server breaks the protocol; with the signal's reason when that fires.
 */
export async function connectUpstream(options: ConnectOptions): Promise<UpstreamConnection> {
  Permit.spend(options.permit, 'session');
  const { settings } = options.target;
  const late = unavailable(settings.address, `it did not let us in within ${options.timeoutMs} ms`);
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(late), options.timeoutMs);
  try {
    return await login(options, AbortSignal.any([options.signal, timeout.signal]));
  } catch (error) {
    throw error instanceof PeerError
      ? new PeerError(error.kind, `${formatAddress(settings.address)}: ${error.message}`)
      : error;
  } finally {
    clearTimeout(timer);
  }
}

async function login(options: ConnectOptions, signal: AbortSignal): Promise<UpstreamConnection> {
  const { target, credential } = options;
  const { settings } = target;
  const user = credential.user;
  if (user === undefined || user === '')
    throw unavailable(settings.address, 'the credential of the target names no user');
  const greeting = startupMessage(options.version ?? protocol30, startupOf(options, user));
  const dialled = await dial(settings, signal);
  try {
    const stream = new LoginStream(dialled.socket, signal);
    const refuse = (why: string) => unavailable(settings.address, why);
    const state = new LoginState(options, refuse);
    stream.send(greeting);
    const nonce = randomBytes(18).toString('base64');
    await authenticate(
      {
        refuse,
        send: (message) => stream.send(message),
        next: async () => {
          const message = await state.next(stream);
          if (message.type !== Server.Authentication) throw outOfOrder(message);
          return parseAuthentication(message.bytes, 0, message.bytes.length);
        },
      },
      { user, credential, dialled, nonce },
    );
    await untilReady(stream, state);
    stream[Symbol.dispose]();
    const { socket, reads } = dialled;
    return { target, socket, ...(reads === undefined ? {} : { reads }), user, ...state.finish() };
  } catch (error) {
    dialled.socket.destroy();
    throw error;
  }
}

/** What is pinned for every session, whoever asks; see the PostgreSQL guide on what depends on it. */
function startupOf({ target, startup = {} }: ConnectOptions, user: string): Record<string, string> {
  for (const name of Object.keys(startup)) {
    if (!startupParameters.has(name)) throw new TypeError(`${name} is no start-up parameter that may be passed on`);
  }
  const { database, statementTimeout } = target.settings;
  return {
    user,
    database,
    ...(statementTimeout === undefined ? {} : { statement_timeout: String(statementTimeout) }),
    ...startup,
    client_encoding: 'UTF8',
    standard_conforming_strings: 'on',
  };
}

/** Collects what the server says about itself on the way in. */
class LoginState {
  readonly #options: ConnectOptions;
  readonly #refuse: (why: string) => Refusal;
  readonly #parameters = new Map<string, string>();
  #key: BackendKey | undefined;
  #version: number;

  constructor(options: ConnectOptions, refuse: (why: string) => Refusal) {
    this.#options = options;
    this.#refuse = refuse;
    this.#version = options.version ?? protocol30;
  }

  /** The next message that is not about versions, parameters or news; throws at an error. */
  async next(stream: LoginStream): Promise<LoginMessage> {
    for (;;) {
      const message = await stream.next();
      if (message === undefined) throw this.#refuse('the server hung up during login');
      if (message.type === Server.ErrorResponse) throw this.#refused(message.bytes);
      if (!this.#noted(message)) return message;
    }
  }

  #noted({ type, bytes }: LoginMessage): boolean {
    switch (type) {
      case Server.NoticeResponse:
        parseReport(bytes, 0, bytes.length);
        return true;
      case Server.ParameterStatus: {
        const { name, value } = parseParameterStatus(bytes, 0, bytes.length);
        this.#parameters.set(name, value);
        if (this.#parameters.size > 200)
          throw new PeerError('UPSTREAM_PROTOCOL', 'the server reports more than 200 parameters');
        return true;
      }
      case Server.BackendKeyData:
        this.#key = parseBackendKeyData(bytes, 0, bytes.length);
        return true;
      case Server.NegotiateProtocolVersion: {
        const { minor, unknownOptions } = parseNegotiateProtocolVersion(bytes, 0, bytes.length);
        if (unknownOptions.length > 0 || minor >= (this.#version & 0xffff))
          throw new PeerError('UPSTREAM_PROTOCOL', 'the server negotiates what was not asked for');
        this.#version = protocol30 + minor;
        return true;
      }
      default:
        return false;
    }
  }

  /** A server's own words, which a hostile one chooses: one line, short, and without the secret should it send it back. */
  #refused(bytes: Buffer): Refusal {
    const { sqlstate, message } = parseReport(bytes, 0, bytes.length);
    const { secret } = this.#options.credential;
    const words = secret === undefined || secret === '' ? message : message.replaceAll(secret, '…');
    const line = words.replace(/[\p{C}\s]+/gu, ' ').trim();
    return this.#refuse(`${line.slice(0, 200) || 'it gave no reason'} (${sqlstate})`);
  }

  finish(): Pick<UpstreamConnection, 'version' | 'parameters' | 'key' | 'serverVersion' | 'serverMajor'> {
    const serverVersion = this.#parameters.get('server_version') ?? '';
    const serverMajor = Number.parseInt(serverVersion, 10);
    if (!(serverMajor >= 10 && serverMajor < 1000))
      throw this.#refuse('it does not say which version of PostgreSQL it is, or is older than 10');
    // Text means what the gateway thinks it means only under these two.
    if (this.#parameters.get('client_encoding') !== 'UTF8') throw this.#refuse('it did not take UTF8 as the encoding');
    if (this.#parameters.get('standard_conforming_strings') !== 'on')
      throw this.#refuse('it did not switch standard_conforming_strings on');
    return { version: this.#version, parameters: this.#parameters, key: this.#key, serverVersion, serverMajor };
  }
}

async function untilReady(stream: LoginStream, state: LoginState): Promise<void> {
  const message = await state.next(stream);
  if (message.type !== Server.ReadyForQuery) throw outOfOrder(message);
  if (parseReadyForQuery(message.bytes, 0, message.bytes.length) !== 'I')
    throw new PeerError('UPSTREAM_PROTOCOL', 'the server begins inside a transaction');
}

function outOfOrder({ type }: LoginMessage): PeerError {
  return new PeerError(
    'UPSTREAM_PROTOCOL',
    `the server sent a message of type “${String.fromCharCode(type)}” during login`,
  );
}

export { cancelUpstream, protocol30, protocol32 };
