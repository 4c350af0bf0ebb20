import type { Duplex } from 'node:stream';
import type { Permit } from '../audit/permit.ts';
import type { AnswerSink, Body, Fields, ServerCall } from './message.ts';

/** What one connection, the caller's or the target's, may use. */
export interface HttpLimits {
  /** Request or response line and header fields together, bytes. */
  readonly headBytes: number;
  /** Header fields in one head. */
  readonly headFields: number;
  /** From the first byte of a head to its end, ms. A caller that is slower is cut off (slow loris). */
  readonly headMs: number;
  /** Without a byte of a body that somebody waits for, ms. */
  readonly bodyIdleMs: number;
  /** A connection without a request on it, ms. */
  readonly idleMs: number;
  /** HTTP/2: requests at once on one connection; HTTP/1.1: requests read ahead while one is being answered. */
  readonly concurrent: number;
}

export const httpLimits: HttpLimits = {
  headBytes: 64 * 1024,
  headFields: 200,
  headMs: 10_000,
  bodyIdleMs: 120_000,
  idleMs: 60_000,
  concurrent: 100,
};

/**
 * Serves HTTP on a connected stream until it ends; resolves then, and rejects only for our own bugs. A peer that breaks the
 * protocol gets 400 (GOAWAY in HTTP/2) and loses its connection. `onCall` runs once a request's head is complete.
 * When `signal` fires, requests that are under way are finished and no further ones are taken.
 */
export type ServeHttp = (
  stream: Duplex,
  limits: HttpLimits,
  onCall: (call: ServerCall) => void,
  signal?: AbortSignal,
) => Promise<void>;

export interface OutgoingRequest {
  readonly method: string;
  /** Sent as it is. */
  readonly target: string;
  readonly authority: string;
  readonly scheme: 'http' | 'https';
  /** Without Host, framing and hop-by-hop fields. */
  readonly fields: Fields;
  readonly upgrade?: string;
  readonly body: Body;
}

/** A request under way. */
export interface OutgoingCall {
  /** Nobody waits for the answer any more. Nothing reaches the sink afterwards; frees the connection or ends it. Idempotent. */
  cancel(): void;
}

/** One connection to a target. */
export interface UpstreamConnection {
  /** Requests that can be sent now without waiting for another to end. 0 once the connection is no longer usable. */
  readonly free: number;
  /** Sends at once; only where `free` is above 0. What comes back goes to `answer`, never during the call itself. */
  send(permit: Permit, request: OutgoingRequest, answer: AnswerSink): OutgoingCall;
  /** Closes when what is under way is done. */
  close(): void;
  /** Runs once, when the connection can take no more requests for good. */
  onClosed(listener: () => void): void;
  /** Runs whenever `free` has become greater. */
  onFree(listener: () => void): void;
}
