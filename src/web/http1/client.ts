import type { Duplex } from 'node:stream';
import type { Permit } from '../../audit/permit.ts';
import { PeerError, Refusal } from '../../model/errors.ts';
import { BadMessage } from '../../wire/http1/bad-message.ts';
import { Inbox } from '../../wire/http1/inbox.ts';
import type { HttpLimits, OutgoingCall, OutgoingRequest, UpstreamConnection } from '../connection.ts';
import type { AnswerSink } from '../message.ts';
import { ClientExchange, type ExchangeOwner } from './client-exchange.ts';
import { Deadline } from './deadline.ts';
import { Outbox } from './outbox.ts';
import { StreamTunnel } from './tunnel.ts';

/**
 * HTTP/1.1 towards a target, over a connected stream. One request at a time; the connection goes on only after an exchange of which
 * nothing is left to say on either side. Whatever arrives out of turn ends it.
 */
export class Http1Connection implements UpstreamConnection {
  readonly #stream: Duplex;
  readonly #inbox = new Inbox();
  readonly #outbox: Outbox;
  readonly #deadline = new Deadline(() => this.#exchange?.late());
  readonly #owner: ExchangeOwner;
  readonly #closed: (() => void)[] = [];
  readonly #freed: (() => void)[] = [];
  #exchange: ClientExchange | undefined;
  #tunnel: StreamTunnel | undefined;
  #over = false;
  #closing = false;
  #ended = false;

  constructor(stream: Duplex, limits: HttpLimits) {
    this.#stream = stream;
    this.#outbox = new Outbox(stream, limits.bodyIdleMs);
    this.#owner = {
      outbox: this.#outbox,
      inbox: this.#inbox,
      limits,
      deadline: this.#deadline,
      flow: (on) => (on ? stream.resume() : stream.pause()),
      move: () => this.#move(),
      done: (reusable) => this.#done(reusable),
      destroy: () => this.#destroy(),
      tunnel: () => this.#switched(),
    };
    stream.allowHalfOpen = true;
    (stream as { setNoDelay?: () => void }).setNoDelay?.();
    stream.on('error', () => stream.destroy());
    stream.on('data', (chunk: Buffer) => this.#received(chunk));
    stream.on('end', () => this.#peerEnded());
    stream.on('close', () => this.#gone());
    stream.resume();
    if (stream.destroyed || stream.readableEnded) this.#destroy();
  }

  get free(): number {
    return this.#over || this.#closing || this.#exchange !== undefined ? 0 : 1;
  }

  /** The permit was spent by who calls: a request that is sent again on another connection is still one command. */
  send(_permit: Permit, request: OutgoingRequest, answer: AnswerSink): OutgoingCall {
    if (this.free === 0) throw new TypeError('the connection is not free');
    const exchange = new ClientExchange(request, answer, this.#owner);
    this.#exchange = exchange;
    try {
      exchange.start();
    } catch (error) {
      this.#destroy();
      throw error;
    }
    return exchange;
  }

  close(): void {
    if (this.#over || this.#closing) return;
    this.#closing = true;
    if (this.#exchange === undefined && this.#tunnel === undefined) this.#destroy();
  }

  onClosed(listener: () => void): void {
    if (this.#over) queueMicrotask(listener);
    else this.#closed.push(listener);
  }

  onFree(listener: () => void): void {
    this.#freed.push(listener);
  }

  #received(chunk: Buffer): void {
    if (this.#tunnel !== undefined) {
      this.#inbox.append(chunk);
      this.#guarded(() => this.#tunnel?.pump());
    } else if (this.#exchange === undefined)
      this.#destroy(); // Nothing was asked.
    else {
      this.#inbox.append(chunk);
      this.#move();
    }
  }

  #move(): void {
    this.#guarded(() => this.#exchange?.move());
  }

  #peerEnded(): void {
    this.#ended = true;
    this.#guarded(() => {
      if (this.#tunnel !== undefined) this.#tunnel.ended();
      else if (this.#exchange === undefined) this.#destroy();
      else this.#exchange.ended();
    });
  }

  #gone(): void {
    this.#deadline.stop();
    this.#retire();
    this.#guarded(() => {
      this.#tunnel?.closed();
      this.#exchange?.closed();
    });
  }

  #done(reusable: boolean): void {
    this.#exchange = undefined;
    if (!reusable || this.#inbox.length > 0 || this.#closing || this.#ended) this.#destroy();
    else for (const listener of this.#freed) listener();
  }

  #switched(): StreamTunnel {
    this.#exchange = undefined;
    this.#tunnel = new StreamTunnel(this.#stream, this.#inbox, this.#outbox, 'UPSTREAM_PROTOCOL');
    this.#retire();
    if (this.#ended) this.#tunnel.ended();
    return this.#tunnel;
  }

  #destroy(): void {
    this.#retire();
    this.#stream.destroy();
  }

  /** Takes no more requests, and says so once. */
  #retire(): void {
    if (this.#over) return;
    this.#over = true;
    for (const listener of this.#closed) listener();
  }

  /** What the target sends never throws out of here; what we get wrong ends this exchange and nobody else's. */
  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      const exchange = this.#exchange;
      this.#destroy();
      if (error instanceof BadMessage)
        exchange?.fail(new PeerError('UPSTREAM_PROTOCOL', `the target sent ${error.message}`));
      else {
        const bug = new Refusal('INTERNAL', 'the gateway could not take what the target sent');
        bug.cause = error;
        exchange?.fail(bug);
      }
    }
  }
}
