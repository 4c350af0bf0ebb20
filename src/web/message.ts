import type { PeerError, Refusal } from '../model/errors.ts';

/**
 * HTTP messages as everything above the connection sees them, the same for HTTP/1.1 and HTTP/2, for the caller's side and
 * the target's. A connection owns framing (lengths, chunks, hop-by-hop fields); what is here is the message without it.
 */

/** Header or trailer fields in the order they came: name, value, name, value, … Names in lower case, values as sent, without outer blanks. */
export type Fields = readonly string[];

export interface RequestHead {
  /** Which HTTP the message travelled in. */
  readonly version: '1.0' | '1.1' | '2';
  /** Case matters (RFC 9110 §9.1). */
  readonly method: string;
  /** Path and query, origin-form, exactly as sent: visible ASCII, no fragment. `*` for OPTIONS. */
  readonly target: string;
  /** `Host` or `:authority`: host, and port where one was sent; lower case. Exactly one was sent, and it is well formed. */
  readonly authority: string;
  /** Without hop-by-hop fields, Host, Content-Length and framing; see `upgrade`. */
  readonly fields: Fields;
  /** What the caller would like to switch to: `websocket` (an `Upgrade` field, or `:protocol` of RFC 8441), lower case. */
  readonly upgrade?: string;
}

export interface ResponseHead {
  /** 200–599. */
  readonly status: number;
  /** Without hop-by-hop fields, Content-Length and framing. */
  readonly fields: Fields;
  /** Bytes of body that follow (for HEAD and 304: that would follow); absent where only the end tells. */
  readonly length?: number;
}

/** Where a body goes. Exactly one of `end` and `fail` comes last. */
export interface BodySink {
  /** The bytes may be kept. Returns a promise while the taker is slower: deliver nothing before it resolves. */
  data(bytes: Buffer): Promise<void> | undefined;
  end(trailers: Fields): void;
  /** The sender broke off, or broke the framing. */
  fail(error: PeerError | Refusal): void;
}

/** A body that has not been read yet. Nothing is read from the peer beyond a small buffer before somebody takes it. */
export interface Body {
  /** Bytes, 0 for none; undefined where only the end tells. */
  readonly length: number | undefined;
  /** Starts delivery; once. */
  pipe(sink: BodySink): void;
  /** Nobody wants the rest. The connection goes on if that is cheap, and ends otherwise. */
  cancel(): void;
}

/** One request and the place for its answer, on the caller's side. */
export interface ServerCall {
  readonly request: RequestHead;
  readonly body: Body;
  /** Fires when the caller is gone or has taken the request back. */
  readonly signal: AbortSignal;
  /** The same for one listener, without the cost of a signal: runs it once, now if that has happened. A second one takes its place. */
  onGone(listener: () => void): void;
  /** Whether `answer` or `switchProtocols` has been called. */
  readonly answered: boolean;
  /** An interim answer (1xx but 101). Dropped for HTTP/1.0. */
  inform(status: number, fields: Fields): void;
  /** The head of the final answer; once, before `write` and `end`. */
  answer(head: ResponseHead): void;
  /** Returns a promise while the caller is slower. The bytes must not be changed afterwards. */
  write(bytes: Buffer): Promise<void> | undefined;
  /** The answer is complete. */
  end(trailers?: Fields): void;
  /** The answer cannot be completed: the caller sees it break off, never as complete. */
  abort(): void;
  /** Accepts what `request.upgrade` asks for, with 101, or 200 in HTTP/2; then bytes flow both ways. */
  switchProtocols(fields: Fields): Tunnel;
}

/** Bytes both ways after an upgrade. */
export interface Tunnel {
  /** Starts delivery of what the peer sends; once. */
  pipe(sink: BodySink): void;
  write(bytes: Buffer): Promise<void> | undefined;
  end(): void;
  abort(): void;
}

/** What a target answers to one request. Nothing follows `end`, `fail` or `switched`. */
export interface AnswerSink {
  /** Interim answers but 100 and 101. */
  informed(status: number, fields: Fields): void;
  head(head: ResponseHead): void;
  data(bytes: Buffer): Promise<void> | undefined;
  end(trailers: Fields): void;
  /** Refusal UPSTREAM_UNAVAILABLE where nothing was heard from the target, PeerError UPSTREAM_PROTOCOL where it broke the protocol or broke off. */
  fail(error: PeerError | Refusal): void;
  /** The target accepted an upgrade. */
  switched(fields: Fields, tunnel: Tunnel): void;
}

/** The value of the only field of that name; undefined where there is none. Where there are several, they are joined by `, ` (RFC 9110 §5.2). */
export function field(fields: Fields, name: string): string | undefined {
  let found: string | undefined;
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] !== name) continue;
    found = found === undefined ? fields[index + 1] : `${found}, ${fields[index + 1]}`;
  }
  return found;
}

/** The fields without those whose name is in `names`. */
export function without(fields: Fields, names: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    if (!names.has(name)) kept.push(name, fields[index + 1] as string);
  }
  return kept;
}
