import type { Connection, Gateway, Protocol } from '../gateway/protocol.ts';
import { PeerError, Refusal } from '../model/errors.ts';
import { accept } from './accept.ts';
import { httpLimits, type ServeHttp } from './connection.ts';
import { serveHttp1 } from './http1/server.ts';
import { serveHttp2 } from './http2/server.ts';
import { field, type RequestHead, type ServerCall } from './message.ts';
import { refuseCall } from './problem.ts';
import type { Route, WebProtocol } from './protocol.ts';
import { type Destination, destinationOf, type Hosts, hostsOf } from './routes.ts';
import { type Entered, WebSessions } from './sessions.ts';
import { answerStatus, isStatusPath } from './status.ts';

/**
 * The protocols that travel in HTTP, behind one listener: TLS and HTTP/1.1 or 2, then for each request the target by its path or
 * host name, the caller by its token, the session, and the target's protocol.
 */
export function webFamily(family: readonly WebProtocol[]): readonly Protocol[] {
  const sessions = new WebSessions();
  const serve = async (connection: Connection, gateway: Gateway): Promise<void> => {
    const accepted = await accept(connection, AbortSignal.timeout(gateway.limits.loginMs));
    if (accepted === undefined) return;
    const { stream, http, scheme } = accepted;
    const serveHttp: ServeHttp = http === '2' ? serveHttp2 : serveHttp1;
    const address = connection.socket.remoteAddress ?? 'unknown';
    const front: Front = { family, hosts: hostsOf(family, gateway), sessions, gateway, scheme, address };
    await serveHttp(stream, httpLimits, (call) => answer(call, front), connection.closing);
  };
  return family.map((protocol) => ({ ...protocol, listens: 'http', serve }));
}

interface Front {
  readonly family: readonly WebProtocol[];
  readonly hosts: Hosts;
  readonly sessions: WebSessions;
  readonly gateway: Gateway;
  readonly scheme: 'http' | 'https';
  readonly address: string;
}

/** One request, whatever happens: it never throws. */
function answer(call: ServerCall, front: Front): void {
  let protocol: WebProtocol | undefined;
  try {
    const destination = destinationOf(call.request, front.family, front.hosts);
    protocol = destination.protocol;
    enter(call, destination, front).catch((error: unknown) => failed(error, call, protocol, front));
  } catch (error) {
    failed(error, call, protocol, front);
  }
}

/** Throws, or rejects with, whatever the request fails by. */
function enter(call: ServerCall, destination: Destination, front: Front): Promise<void> {
  const { protocol, target } = destination;
  const { gateway, sessions, address } = front;
  const token = protocol.credential?.(call.request) ?? tokenOf(call.request);
  if (token === undefined) {
    throw new Refusal('LOGIN_FAILED', 'no token was given', {
      advice:
        'send a ticket or an OIDC token as `Authorization: Bearer …`, or as the password of `Authorization: Basic …`',
    });
  }
  if (standsElsewhere(call.request, token)) {
    throw new Refusal(
      'UNPARSABLE',
      'your token stands in the path or in another header field too, and would reach the target',
      {
        advice: 'send it in `Authorization` only',
      },
    );
  }
  const application = field(call.request.fields, 'user-agent')?.slice(0, 64);
  const client = application === undefined ? { address } : { address, application };
  const open = sessions.enterOpen(gateway, protocol.name, target, token, client);
  if (open !== undefined) return serveIn(open, call, destination, token, front);
  return sessions
    .enter(gateway, protocol.name, target, token, client)
    .then((entered) => serveIn(entered, call, destination, token, front));
}

/** Leaves the session when the request is answered. */
function serveIn(
  { line, leave }: Entered,
  call: ServerCall,
  { protocol, path, base }: Destination,
  token: string,
  { gateway, scheme }: Front,
): Promise<void> {
  let served: Promise<void>;
  try {
    const route: Route = { line, path, base, origin: `${scheme}://${call.request.authority}`, token };
    served = isStatusPath(path) ? answerStatus(call, path, line) : protocol.request(call, route, gateway);
  } catch (error) {
    leave();
    throw error;
  }
  return served.finally(leave);
}

function failed(error: unknown, call: ServerCall, protocol: WebProtocol | undefined, front: Front): void {
  if (call.answered) {
    if (!(error instanceof Refusal || error instanceof PeerError)) report(error, front);
    call.abort();
  } else if (error instanceof Refusal) refuse(error, call, protocol);
  else if (error instanceof PeerError) refuse(new Refusal(error.kind, error.message), call, protocol);
  else {
    report(error, front);
    refuse(new Refusal('INTERNAL', 'the gateway met an internal error'), call, protocol);
  }
}

function refuse(refusal: Refusal, call: ServerCall, protocol: WebProtocol | undefined): void {
  if (protocol !== undefined && refusal.kind === 'LOGIN_FAILED') challenge(call, refusal, protocol);
  else if (protocol?.refuse !== undefined) protocol.refuse(call, refusal);
  else refuseCall(call, refusal);
}

/** `Bearer` (RFC 6750), or the password of `Basic` (RFC 7617) with any user name. */
function tokenOf({ fields }: RequestHead): string | undefined {
  const authorization = field(fields, 'authorization');
  if (authorization === undefined) return undefined;
  const [, scheme, value] = /^([a-z]+) +([^ ,]+)$/i.exec(authorization) ?? [];
  if (scheme === undefined || value === undefined) return undefined;
  if (scheme.toLowerCase() === 'bearer') return value;
  if (scheme.toLowerCase() !== 'basic') return undefined;
  const pair = Buffer.from(value, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon < 0 || colon === pair.length - 1 ? undefined : pair.slice(colon + 1);
}

/** Fields that never go on as they came. */
const ours = new Set(['authorization', 'proxy-authorization', 'x-amz-security-token']);

/** Whether a request would take its caller's token to the target, and into the log. */
function standsElsewhere({ target, fields }: RequestHead, token: string): boolean {
  if (target.length > token.length && target.includes(token)) return true;
  for (let index = 1; index < fields.length; index += 2) {
    const value = fields[index] as string;
    if (value.length >= token.length && value.includes(token) && !ours.has(fields[index - 1] as string)) return true;
  }
  return false;
}

function challenge(call: ServerCall, refusal: Refusal, protocol: WebProtocol): void {
  refuseCall(call, refusal, ['www-authenticate', `${protocol.challenge} realm="Sallyport"`]);
}

function report(error: unknown, { gateway }: Front): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  gateway.log('error', 'http: a request ended by an internal error', { error: text });
}
