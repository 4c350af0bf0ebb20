import type { FastifyReply, FastifyRequest } from 'fastify';
import type { IdentityPort } from '../gateway/ports.ts';
import { Refusal } from '../model/errors.ts';
import type { Caller } from '../model/principal.ts';
import type { Throttle } from './throttle.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `public` routes ask for no credential; every route has to say. */
    access?: 'public' | 'caller';
  }
}

const callers = new WeakMap<FastifyRequest, Caller>();

/** Who asks. Only for routes that are not public; anything else is our own bug. */
export function callerOf(request: FastifyRequest): Caller {
  const caller = callers.get(request);
  if (caller === undefined) throw new TypeError(`${request.method} ${request.url} was not authenticated`);
  return caller;
}

const bearer = /^Bearer +([A-Za-z0-9._~+/-]{1,12000}=*)$/i;

/** Verifies the bearer credential before the body is read. Nothing but `Authorization` counts, and no address but the socket's. */
export function authenticate(identity: IdentityPort, throttle: Throttle) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    if (request.is404 || request.routeOptions.config.access === 'public') return;
    const address = request.socket.remoteAddress ?? 'unknown';
    const credential = bearer.exec(request.headers.authorization ?? '')?.[1];
    const wait = throttle.wait(address, credential);
    if (wait > 0) {
      const seconds = Math.ceil(wait / 1000);
      reply.header('retry-after', seconds);
      throw new Refusal('LIMIT_EXCEEDED', `too many logins failed from your address; try again in ${seconds} seconds`);
    }
    if (credential === undefined) {
      reply.header('www-authenticate', 'Bearer');
      throw new Refusal('LOGIN_FAILED', 'send Authorization: Bearer with an OIDC token or a ticket', {
        advice: 'sallyport login',
      });
    }
    try {
      const caller = await identity.authenticate(credential, 'api', { address });
      throttle.worked(credential);
      callers.set(request, caller);
    } catch (error) {
      if (!(error instanceof Refusal) || error.kind !== 'LOGIN_FAILED') throw error;
      throttle.failed(address);
      reply.header('www-authenticate', 'Bearer error="invalid_token"');
      throw error;
    }
  };
}
