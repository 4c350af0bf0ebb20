import type { Duplex } from 'node:stream';
import { PeerError } from '../../model/errors.ts';
import type { Inbox } from '../../wire/http1/inbox.ts';
import type { BodySink, Tunnel } from '../message.ts';
import type { Outbox } from './outbox.ts';

const none: readonly string[] = [];

/** A connection after its upgrade. Its owner hands it what arrives; nothing is read while nobody takes it, or the taker is slower. */
export class StreamTunnel implements Tunnel {
  readonly #stream: Duplex;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #side: PeerError['kind'];
  #sink: BodySink | undefined;
  #waiting = false;
  #peerEnded = false;
  #gone = false;
  #over = false;

  /** What is in the inbox came before anything that is still to arrive. */
  constructor(stream: Duplex, inbox: Inbox, outbox: Outbox, side: PeerError['kind']) {
    this.#stream = stream;
    this.#inbox = inbox;
    this.#outbox = outbox;
    this.#side = side;
    stream.pause();
  }

  pipe(sink: BodySink): void {
    if (this.#sink !== undefined) throw new TypeError('the tunnel was piped before');
    this.#sink = sink;
    this.pump();
  }

  write(bytes: Buffer): Promise<void> | undefined {
    this.#outbox.bytes(bytes);
    return this.#outbox.pressure();
  }

  end(): void {
    this.#outbox.end();
  }

  abort(): void {
    this.#over = true;
    this.#stream.destroy();
  }

  /** Delivers what is in the inbox. */
  pump(): void {
    const sink = this.#sink;
    if (sink === undefined || this.#over || this.#waiting) return;
    if (this.#inbox.length > 0) {
      const slower = sink.data(this.#inbox.take(this.#inbox.length));
      if (slower !== undefined) {
        this.#waiting = true;
        this.#stream.pause();
        slower.then(this.#resumed, this.#refused);
        return;
      }
    }
    if (this.#over) return;
    if (this.#peerEnded) {
      this.#over = true;
      sink.end(none);
    } else if (this.#gone) {
      this.#over = true;
      sink.fail(new PeerError(this.#side, 'the connection broke off'));
    } else this.#stream.resume();
  }

  /** The peer has ended its half. */
  ended(): void {
    this.#peerEnded = true;
    this.pump();
  }

  /** The connection is gone. */
  closed(): void {
    this.#gone = true;
    this.pump();
  }

  readonly #resumed = () => {
    this.#waiting = false;
    this.pump();
  };

  readonly #refused = () => this.abort();
}
