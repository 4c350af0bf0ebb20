import type { Duplex } from 'node:stream';
import { Permit } from '../../audit/permit.ts';
import { type HttpLimits, httpLimits, type OutgoingCall, type OutgoingRequest } from '../connection.ts';
import { Http1Connection } from '../http1/client.ts';
import { Http2Connection } from '../http2/client.ts';
import type { AnswerSink } from '../message.ts';
import type { Host } from './addresses.ts';
import { type ConnectOptions, connectUpstream, type Resolve, type UpstreamTls } from './connect.ts';
import { Lane, type LaneOptions, type Opened } from './lane.ts';

/** `auto`: HTTP/2 where the target offers it (ALPN), else 1.1. `2` without TLS: the target is known to speak it. */
export type HttpVersion = '1.1' | '2' | 'auto';

export interface UpstreamOptions {
  /** The target's name, for messages. */
  readonly name: string;
  readonly scheme: 'http' | 'https';
  readonly host: Host;
  readonly port: number;
  readonly http: HttpVersion;
  readonly tls?: UpstreamTls | undefined;
  /** The operator's word that the target is inside: private and loopback addresses are allowed for its name. */
  readonly internal?: boolean | undefined;
  readonly limits?: HttpLimits;
  /** Connections at once. Upgraded ones (WebSockets) are counted apart, up to the same number. */
  readonly maxConnections?: number;
  /** Of them, connections of one source, where requests do not share them. Three quarters, unless there are very few. */
  readonly maxOfOne?: number;
  /** How long a request waits for a connection, ms. */
  readonly waitMs?: number;
  readonly connectMs?: number;
  /** A connection without a request is closed after so long, ms: before most servers do. */
  readonly idleMs?: number;
  /** Requests that wait for a connection: of all, and of one source. */
  readonly maxWaiting?: number;
  readonly maxWaitingOfOne?: number;
  readonly resolve?: Resolve;
}

/** The way to one target with one credential: its connections are never shared with another. */
export interface Upstream {
  /**
   * Sends a command: spends its permit, takes a free connection or waits for one. `source` is whose turn it is when many wait, and who has
   * a share of the connections (a principal's id). A GET or another idempotent request without a body goes out once more when a connection that had been used
   * before dies without a word.
   */
  send(permit: Permit, request: OutgoingRequest, answer: AnswerSink, source?: string): OutgoingCall;
  /** The same for what the gateway itself asks, with the permit of a session. */
  housekeeping(permit: Permit, request: OutgoingRequest, answer: AnswerSink): OutgoingCall;
  /** Takes nothing more; what is under way is finished. */
  close(): void;
}

export function openUpstream(options: UpstreamOptions): Upstream {
  const limits = options.limits ?? httpLimits;
  const connectOptions: ConnectOptions = { ...options, connectMs: options.connectMs ?? 10_000 };
  const protocols = protocolsFor(options);
  const lane = (offered: Protocols): Lane => {
    const settings: LaneOptions = {
      name: options.name,
      shared: offered.length === 1 ? offered[0] === 'h2' : undefined,
      maxConnections: options.maxConnections ?? 64,
      maxOfOne: options.maxOfOne ?? mostOfOne(options.maxConnections ?? 64),
      maxWaiting: options.maxWaiting ?? 1000,
      maxWaitingOfOne: options.maxWaitingOfOne ?? 200,
      waitMs: options.waitMs ?? 30_000,
      idleMs: options.idleMs ?? 30_000,
      open: async (signal) => {
        const { stream, protocol } = await connectUpstream(connectOptions, offered, signal);
        return opened(stream, protocol, limits, connectOptions.connectMs);
      },
    };
    return new Lane(settings);
  };
  const main = lane(protocols);
  // An upgrade needs a connection of its own in HTTP/1.1, and few targets take one in HTTP/2.
  const upgrades = options.http === '2' ? main : lane(['http/1.1']);
  const send = (permit: Permit, request: OutgoingRequest, answer: AnswerSink, source: string) =>
    (request.upgrade === undefined ? main : upgrades).send(permit, request, answer, source);
  return {
    send(permit, request, answer, source = '') {
      Permit.spend(permit, 'command');
      return send(permit, request, answer, source);
    },
    housekeeping(permit, request, answer) {
      Permit.spend(permit, 'session');
      return send(permit, request, answer, 'housekeeping');
    },
    close() {
      main.close();
      upgrades.close();
    },
  };
}

function mostOfOne(connections: number): number {
  return connections < 8 ? connections : Math.floor((connections * 3) / 4);
}

type Protocols = readonly ('h2' | 'http/1.1')[];

function protocolsFor({ http, scheme }: UpstreamOptions): Protocols {
  if (http === '2') return ['h2'];
  return http === 'auto' && scheme === 'https' ? ['h2', 'http/1.1'] : ['http/1.1'];
}

async function opened(
  stream: Duplex,
  protocol: Protocols[number],
  limits: HttpLimits,
  readyMs: number,
): Promise<Opened> {
  const onGone = (listener: () => void) => {
    if (stream.destroyed) process.nextTick(listener);
    else stream.once('close', listener);
  };
  if (protocol === 'http/1.1') return { connection: new Http1Connection(stream, limits), shared: false, onGone };
  const connection = new Http2Connection(stream, limits);
  const late = setTimeout(() => stream.destroy(), readyMs);
  try {
    await connection.ready;
    return { connection, shared: true, onGone };
  } catch (error) {
    stream.destroy();
    throw error;
  } finally {
    clearTimeout(late);
  }
}
