import type { Gateway, Line, Protocol } from '../gateway/protocol.ts';
import type { Refusal } from '../model/errors.ts';
import type { Target } from '../model/target.ts';
import type { RequestHead, ServerCall } from './message.ts';

/** A protocol that travels in HTTP requests. The family shares one listener, `listen: http`; see front.ts. */
// Handlers of different settings stand in one list; each gets only its own targets.
export interface WebProtocol<Settings = unknown> extends Omit<Protocol<Settings>, 'serve' | 'listens'> {
  /** What stands before a target's name in a path: `git` for `/git/<target>/…`, empty for `/<target>/…`. */
  readonly prefix: string;
  /** How a caller without a credential is asked for one (RFC 9110 §11.6.1). */
  readonly challenge: 'Bearer' | 'Basic';
  /** Host names that stand for a target, lower case; its paths then begin at the root. */
  hosts?(target: Target<Settings>): readonly string[];
  /** The caller's token where it does not travel in `Authorization: Bearer` or as the password of `Basic`. */
  credential?(request: RequestHead): string | undefined;
  /** Answers one request of a caller who is logged in. Resolves when it is answered; a Refusal thrown before `answer` is answered with `refuse`. */
  request(call: ServerCall, route: Route, gateway: Gateway): Promise<void>;
  /** Answers with a refusal in the protocol's own way; problem+json (RFC 9457) where absent. */
  refuse?(call: ServerCall, refusal: Refusal): void;
}

/** Where a request goes, and on whose behalf. */
export interface Route {
  readonly line: Line;
  /** Path and query within the target, as sent: begins with `/`. */
  readonly path: string;
  /** What stands before it in addresses that the caller sees: `/api`, `/git/code`; empty where a host name stands for the target. */
  readonly base: string;
  /** Scheme and authority by which the caller reached the gateway: `https://gateway.example:8444`. */
  readonly origin: string;
  /** What the caller proved itself with. Never logged, never sent on. */
  readonly token: string;
}
