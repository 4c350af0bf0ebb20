import { Permit } from '../../audit/permit.ts';
import type { Exchange, Line, Reply } from '../../gateway/protocol.ts';
import type { Classified, Command } from '../../model/command.ts';
import { type PeerError, Refusal } from '../../model/errors.ts';
import type { Outcome } from '../../model/event.ts';
import { both } from '../../web/body.ts';
import type { Tunnel } from '../../web/message.ts';
import { closeFrame, encodeFrame } from '../../wire/websocket/encode-frame.ts';
import type { Frame } from '../../wire/websocket/frame.ts';
import { type FrameLimits, FrameReader, frameLimits } from '../../wire/websocket/frame-reader.ts';
import { MessageCollector } from '../../wire/websocket/message-collector.ts';
import type { HttpFrame, Relay } from './exchange.ts';
import { ReadOn } from './read-on.ts';
import { parameterOf, textBytes } from './request-body.ts';

/** Messages are held whole, to be recorded, masked and decided on. */
const limits: FrameLimits = { ...frameLimits, messageBytes: 16 * 1024 * 1024 };

/** RFC 6455 §7.4.1. */
const codes = { goingAway: 1001, policyViolation: 1008, internal: 1011 } as const;

export interface WebSocketRoute {
  readonly line: Line;
  readonly caller: Tunnel;
  readonly target: Tunnel;
  /** Of the request that opened it: what the target says is its reply. */
  readonly reply: Reply<HttpFrame>;
  /** Undefined where messages are merely recorded; otherwise each that the caller sends is a command. */
  readonly meaningOf?: ((payload: Buffer) => Classified) | undefined;
  /** Stands in the text of such commands. */
  readonly path: string;
}

/**
 * Passes messages between caller and target (RFC 6455), each whole: recorded, those of the target masked, those of the caller decided on where
 * the target's configuration asks for it. Ends with both sides closed.
 */
export class WebSocketRelay implements Relay {
  readonly #route: WebSocketRoute;
  readonly #over = Promise.withResolvers<Pick<Outcome, 'status' | 'errorCode'>>();
  /** What each side's last ping said, until it is answered. */
  readonly #pinged: { client: Buffer | undefined; server: Buffer | undefined } = {
    client: undefined,
    server: undefined,
  };
  /** The caller sends nothing more. */
  readonly #left = new AbortController();
  #ended = false;

  constructor(route: WebSocketRoute) {
    this.#route = route;
  }

  run(): Promise<Pick<Outcome, 'status' | 'errorCode'>> {
    const { caller, target } = this.#route;
    this.#pump(caller, 'client', (kind, payload) => this.#asked(kind, payload));
    this.#pump(target, 'server', (kind, payload) => this.#answered(kind, payload));
    return this.#over.promise;
  }

  message(payload: Buffer, text: boolean): Promise<void> | undefined {
    const kind = text ? 'text' : 'binary';
    return this.#ended
      ? undefined
      : this.#route.caller.write(encodeFrame({ kind, first: true, fin: true, payload }, 'client'));
  }

  /** The target's last word, as it may be shown. */
  farewell(code: number | undefined, reason: Buffer): Promise<void> | undefined {
    if (this.#ended) return undefined;
    const frame = code === undefined ? wordless : closeFrame(code, reason.toString('utf8'));
    return this.#route.caller.write(encodeFrame(frame, 'client'));
  }

  /** Both sides are told why, as far as they still listen. */
  stop(refusal: Refusal | PeerError, code: number = codes.policyViolation): void {
    if (this.#ended) return;
    this.#ended = true;
    const frame = closeFrame(code, refusal instanceof Refusal ? `${refusal.code} ${refusal.message}` : refusal.message);
    for (const [side, to] of [
      [this.#route.caller, 'client'],
      [this.#route.target, 'server'],
    ] as const) {
      // What the one did wrong is not the other's business.
      void side.write(encodeFrame(to === 'client' ? frame : closeFrame(codes.goingAway), to));
      side.end();
    }
    this.#over.resolve({ status: 'error', errorCode: refusal.kind });
  }

  #pump(
    from: Tunnel,
    sender: 'client' | 'server',
    take: (kind: 'text' | 'binary', payload: Buffer) => Promise<void> | undefined,
  ): void {
    const reader = new FrameReader(sender, limits);
    const collector = new MessageCollector();
    const frames = (bytes: Buffer): Promise<void> | undefined => {
      const pending = reader.read(bytes);
      const next = (at: number): Promise<void> | undefined => {
        for (let index = at; index < pending.length; index++) {
          if (this.#ended) return undefined;
          const frame = pending[index] as Frame;
          const message = collector.add(frame);
          const taken = message === undefined ? this.#control(frame, sender) : take(message.kind, message.payload);
          if (taken !== undefined) return taken.then(() => next(index + 1));
        }
        if (reader.fault !== undefined) this.stop(reader.fault, reader.fault.closeCode);
        return undefined;
      };
      return next(0);
    };
    if (sender === 'server' || this.#route.meaningOf === undefined) {
      from.pipe({
        data: frames,
        end: () => this.#finish({ status: 'ok' }),
        fail: () => this.#finish({ status: 'cancelled' }),
      });
      return;
    }
    // A message may wait for a person, who decides for a caller that is still there.
    const ahead = new ReadOn(frames, readOnBytes);
    const over = (status: Outcome['status']) => {
      this.#left.abort();
      ahead.end(() => this.#finish({ status }));
    };
    from.pipe({ data: (bytes) => ahead.data(bytes), end: () => over('ok'), fail: () => over('cancelled') });
  }

  /**
   * Pings and pongs pass without what they say, which is nobody's but theirs who pinged (RFC 6455 §5.5.3): it comes back to them with the pong.
   * So no mask has to look at them, and no rule.
   */
  #control({ kind, payload }: Frame, sender: 'client' | 'server'): Promise<void> | undefined {
    if (kind === 'text' || kind === 'binary') return undefined;
    if (kind === 'close') return this.#closed(payload, sender);
    const { caller, target } = this.#route;
    const receiver = sender === 'client' ? 'server' : 'client';
    let said: Buffer = nothing;
    if (kind === 'ping') this.#pinged[sender] = payload;
    else {
      said = this.#pinged[receiver] ?? nothing;
      this.#pinged[receiver] = undefined;
    }
    const frame = encodeFrame({ kind, first: true, fin: true, payload: said }, receiver);
    return receiver === 'server' ? target.write(frame) : caller.write(frame);
  }

  /** A reason is text like a message: recorded, and the target's masked. Where messages are commands, the caller's is none and stays here. */
  #closed(payload: Buffer, sender: 'client' | 'server'): Promise<void> | undefined {
    const { meaningOf, reply, target } = this.#route;
    const code = payload.length < 2 ? undefined : payload.readUInt16BE(0);
    const reason = payload.subarray(2);
    if (sender === 'server') return reply.frames({ kind: 'farewell', code, bytes: reason }, 0);
    const passed = meaningOf === undefined ? reason : nothing;
    const frame = code === undefined ? wordless : closeFrame(code, passed.toString('utf8'));
    const sent = target.write(encodeFrame(frame, 'server'));
    return passed.length === 0 ? sent : both(reply.sent(Buffer.concat([passed, newline])), sent);
  }

  #asked(kind: 'text' | 'binary', payload: Buffer): Promise<void> | undefined {
    const { meaningOf, line, reply, target } = this.#route;
    const send = () => target.write(encodeFrame({ kind, first: true, fin: true, payload }, 'server'));
    if (meaningOf === undefined) {
      const recorded = reply.sent(Buffer.concat([payload, newline]));
      const sent = send();
      return both(recorded, sent);
    }
    const exchange = new MessageExchange(this.#route, kind, payload, meaningOf, this.#left.signal, send, (refusal) =>
      this.stop(refusal),
    );
    void line.run(exchange);
    // Messages keep their order: none is looked at while the one before it waits for the disk, a person or the target.
    return exchange.done;
  }

  #answered(kind: 'text' | 'binary', payload: Buffer): Promise<void> | undefined {
    return this.#route.reply.frames({ kind: 'message', text: kind === 'text', bytes: payload }, 0);
  }

  #finish(outcome: Pick<Outcome, 'status'>): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#route.caller.end();
    this.#route.target.end();
    this.#over.resolve(outcome);
  }
}

const newline = Buffer.from('\n');
/** What is read of a caller while a message of it waits. */
const readOnBytes = 64 * 1024;
const nothing: Buffer = Buffer.alloc(0);
/** A Close frame that says nothing. */
const wordless: Frame = { kind: 'close', first: true, fin: true, payload: nothing };

/** One message of the caller as a command of its own. The target's answer, if any, belongs to the connection. */
class MessageExchange implements Exchange<never> {
  readonly command: Command;
  readonly refusal: Refusal | undefined;
  readonly mayWait = true;
  readonly cancelled: AbortSignal;
  /** Resolves when it has been sent, or never will be. */
  readonly done: Promise<void>;
  readonly #settle: (sent: Promise<void> | undefined) => void;
  readonly #send: () => Promise<void> | undefined;
  /** What does not stand in the command itself. */
  readonly #unsaid: Buffer | undefined;
  readonly #stop: (refusal: Refusal) => void;

  constructor(
    { path }: WebSocketRoute,
    kind: 'text' | 'binary',
    payload: Buffer,
    meaningOf: (payload: Buffer) => Classified,
    cancelled: AbortSignal,
    send: () => Promise<void> | undefined,
    stop: (refusal: Refusal) => void,
  ) {
    this.cancelled = cancelled;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    this.#settle = resolve;
    let classified = unknown;
    try {
      classified = meaningOf(payload);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.refusal = error;
    }
    this.command = {
      classified,
      text: `MESSAGE ${path}`,
      parameters: [
        kind === 'binary' && payload.length <= textBytes ? `\\x${payload.toString('hex')}` : parameterOf(payload),
      ],
      scope: kind,
    };
    this.#unsaid = payload.length <= textBytes ? undefined : payload;
    this.#send = send;
    this.#stop = stop;
  }

  maskable(): undefined {
    return undefined;
  }

  describe(): string {
    const { text, parameters } = this.command;
    return JSON.stringify({ text, parameters });
  }

  forward(permit: Permit, reply: Reply<never>): void {
    Permit.spend(permit, 'command');
    const sent = this.#send();
    this.#settle(this.#unsaid === undefined ? sent : both(reply.sent(this.#unsaid), sent));
    reply.end({ status: 'ok' });
  }

  mask(): Buffer {
    return Buffer.alloc(0);
  }

  respond(): undefined {
    return undefined;
  }

  refuse(refusal: Refusal): void {
    this.#settle(undefined);
    this.#stop(refusal);
  }

  withhold(refusal: Refusal): void {
    this.#stop(refusal);
  }

  pending(): void {} // a WebSocket has no way to say so but its own messages
}

const unknown: Classified = {
  verb: 'MESSAGE',
  actions: ['administer'],
  resources: [],
  facts: { statements: 1, hasWhere: false, functions: [], verbs: ['MESSAGE'] },
};
