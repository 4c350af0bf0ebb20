import { createSocket } from 'node:dgram';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { undelivered } from '../receiver.ts';
import type { ShippedRecord } from '../record.ts';
import { type RefusedRecord, type Sink, Undelivered } from '../sink.ts';
import type { ClientTls } from '../tls.ts';
import { octetCounted, type SyslogOptions, syslogMessage } from './syslog-message.ts';

export interface SyslogSinkOptions extends SyslogOptions {
  readonly host: string;
  readonly port: number;
  readonly transport: 'tls' | 'tcp' | 'udp';
  readonly tls: ClientTls;
  /** The largest message, bytes. RFC 5425, 4.3.1: receivers should take 8192. */
  readonly messageBytes: number;
}

/** What stands around a record's JSON in a message: header and structured data. */
const frameBytes = 2048;

/**
 * Syslog over TLS (RFC 5425), or TCP and UDP on this machine. Syslog has no acknowledgements, and what a socket took can be lost. So every batch has a connection of its
 * own: we end our side, and the receiver's end, which comes when it has read to ours, is its acknowledgement
 * (one that closes with unread bytes resets the connection instead). UDP has none at all: there a
 * batch counts as taken when it was sent.
 */
export class SyslogSink implements Sink {
  readonly limits: Sink['limits'];
  readonly #options: SyslogSinkOptions;

  constructor(options: SyslogSinkOptions) {
    this.#options = options;
    this.limits = { records: 500, bytes: 512 * 1024, recordBytes: options.messageBytes - frameBytes, ascii: true };
  }

  async send(batch: readonly ShippedRecord[], signal: AbortSignal): Promise<readonly RefusedRecord[]> {
    const messages = batch.map((record) => syslogMessage(record, this.#options));
    if (this.#options.transport === 'udp') await this.#datagrams(messages, signal);
    else await this.#stream(octetCounted(messages), signal);
    return [];
  }

  async close(): Promise<void> {}

  #stream(bytes: Buffer, signal: AbortSignal): Promise<void> {
    const { host, port, transport, tls } = this.#options;
    return new Promise((resolve, reject) => {
      // RFC 6066, 3: an address is no server name.
      const name = tls.servername ?? (isIP(host) === 0 ? host : undefined);
      const secure = { ...tls, ...(name === undefined ? {} : { servername: name }) };
      const to = { host, port, allowHalfOpen: true };
      const began = performance.now();
      const socket: Socket = transport === 'tls' ? connectTls({ ...to, ...secure }) : connect(to);
      let failure: Error | undefined;
      let timer: NodeJS.Timeout | undefined;
      let state: 'writing' | 'ended' | 'acknowledged' = 'writing';
      const fail = (error: Error): void => {
        failure ??= error;
        socket.destroy();
      };
      const abort = (): void => fail(signal.reason as Error);
      if (signal.aborted) abort();
      signal.addEventListener('abort', abort, { once: true });
      socket.once(transport === 'tls' ? 'secureConnect' : 'connect', () => {
        const roundTripMs = performance.now() - began;
        socket.write(bytes, () => {
          // A receiver that closed before this arrived says so within a round trip; after that its end is an answer to ours.
          timer = setTimeout(
            () => {
              state = 'ended';
              socket.end();
            },
            Math.min(1000, 5 + 2 * roundTripMs),
          );
        });
        // Receivers say nothing; whatever comes is not ours to understand.
        socket.resume();
      });
      socket.on('end', () => {
        if (state !== 'ended')
          fail(new Undelivered('the receiver closed the connection before it had read everything'));
        else {
          state = 'acknowledged';
          socket.destroy();
        }
      });
      socket.on('error', (error) => fail(undelivered(error)));
      socket.on('close', () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        if (state === 'acknowledged') resolve();
        else reject(failure ?? new Undelivered('the connection was lost'));
      });
    });
  }

  async #datagrams(messages: readonly Buffer[], signal: AbortSignal): Promise<void> {
    const { host, port } = this.#options;
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    try {
      for (const message of messages) {
        signal.throwIfAborted();
        await new Promise<void>((resolve, reject) => {
          socket.send(message, port, host, (error) => (error === null ? resolve() : reject(undelivered(error))));
        });
      }
    } finally {
      socket.close();
    }
  }
}
