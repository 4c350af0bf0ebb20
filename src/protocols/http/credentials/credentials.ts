import { Refusal } from '../../../model/errors.ts';
import type { TargetCredential } from '../../../model/target.ts';
import { type Body, type BodySink, type Fields, field, type RequestHead } from '../../../web/message.ts';
import type { KnownBody } from '../classify/body.ts';
import { refusePresigned } from '../classify/presigned.ts';
import type { HttpSettings } from '../settings.ts';
import { authorise } from './authorise.ts';
import type { OutgoingHead } from './head.ts';
import { type Injection, secretsOf } from './injection.ts';
import { createInjector, type Injector } from './injector.ts';
import { type ReflectionGuard, reflectionGuard, type Spellings, spellings } from './reflection.ts';
import { planPayload, relayPayload } from './sigv4/relay.ts';
import { signedToken, verifyV4 } from './sigv4/verify.ts';
import { allowed } from './strip.ts';

/** Who the gateway is to one target, for one session. */
export interface Credentials {
  /**
   * Takes the caller's credentials out of a request and puts the target's in; a promise where the target's may have to be exchanged for.
   * Throws, or rejects with, Refusal: LOGIN_FAILED for a signature that is wrong, UPSTREAM_UNAVAILABLE where there is no credential
   * to be had.
   */
  put(head: OutgoingHead, given: Given): Put | Promise<Put>;
}

/** The request as its caller sent it. */
export interface Given {
  readonly request: RequestHead;
  readonly body: Body;
  readonly known: KnownBody;
  /** Content-Length as it came; undefined where there was none. */
  readonly length: number | undefined;
}

export interface Put {
  readonly head: OutgoingHead;
  /** What goes upstream: the body as it came, or checked and signed anew. */
  readonly body: Body;
  /** Names of what was taken out, for the audit log. */
  readonly stripped: readonly string[];
  /** Keeps the credential out of the reply. One a request. */
  readonly guard: ReflectionGuard;
}

/** `injector` keeps tokens that were exchanged; give one to all sessions of a target. */
export function openCredentials(
  settings: HttpSettings,
  credential: TargetCredential,
  injector: Injector = createInjector(settings.credential?.as, { now: Date.now, fetch }),
  now: () => number = Date.now,
): Credentials {
  let known: { readonly injection: Injection; readonly spelled: Spellings } | undefined;
  /** What is not exchanged for anything stays what it is. */
  let fixed: Injection | undefined;
  const { cookies } = settings;
  const putting = (injection: Injection, head: OutgoingHead, given: Given): Put => {
    if (known === undefined || !sameSecrets(known.injection, injection))
      known = { injection, spelled: spellings(secretsOf(injection)) };
    const guard = reflectionGuard(known.spelled);
    if (injection.kind === 'aws') return { ...putSigned(head, given, injection, { cookies, now: now() }), guard };
    const { head: ready, stripped } = authorise(head, injection, { cookies, now: now() });
    const { body } = given;
    return {
      head: ready,
      body: body.length === 0 ? body : withTrailers(body, (fields) => allowed(fields, injection, { cookies })),
      stripped,
      guard,
    };
  };
  return {
    put(head, given) {
      const injection = fixed ?? injector.prepare(credential);
      if (injection instanceof Promise) return injection.then((ready) => putting(ready, head, given));
      fixed = injection;
      return putting(injection, head, given);
    },
  };
}

function sameSecrets(a: Injection, b: Injection): boolean {
  return a === b || secretsOf(a).join('\0') === secretsOf(b).join('\0');
}

function putSigned(
  head: OutgoingHead,
  { request, body, known, length }: Given,
  injection: Injection & { readonly kind: 'aws' },
  { cookies, now }: { readonly cookies: 'drop' | 'pass'; readonly now: number },
): Omit<Put, 'guard'> {
  const { region, service } = injection.key;
  refusePresigned(request.target);
  const token = signedToken(request.fields);
  const verified =
    token === undefined ? undefined : verifyV4(request, { token, region, service, now, body: known, length });
  const plan = planPayload(head.fields, verified, known, body.length, service);
  const trailers = field(head.fields, 'x-amz-trailer');
  const { payload, decodedLength } = plan;
  const options = { cookies, now, payload, decodedLength };
  const { head: ready, stripped, seed } = authorise({ ...head, fields: plan.fields }, injection, options);
  if (seed === undefined) throw new Refusal('INTERNAL', 'the request was not signed');
  return {
    head: ready,
    body: relayed(body, plan.length, (next) => relayPayload(plan, verified, seed, trailers, next)),
    stripped,
  };
}

/** A body that goes through stages. One that a stage finds wrong is not read any further. */
function relayed(body: Body, length: number | undefined, stages: (next: BodySink) => BodySink): Body {
  return {
    length,
    pipe(sink) {
      const next: BodySink = {
        data: (bytes) => sink.data(bytes),
        end: (trailers) => sink.end(trailers),
        fail(error) {
          body.cancel();
          sink.fail(error);
        },
      };
      const first = stages(next);
      // What trails such a payload stands in its own framing.
      body.pipe({
        data: (bytes) => first.data(bytes),
        end: () => first.end([]),
        fail: (error) => first.fail(error),
      });
    },
    cancel: () => body.cancel(),
  };
}

/** A body whose trailing fields hold no more than a head may. */
function withTrailers(body: Body, allowedOf: (fields: Fields) => Fields): Body {
  return {
    length: body.length,
    pipe: (sink) =>
      body.pipe({
        data: (bytes) => sink.data(bytes),
        end: (trailers) => sink.end(trailers.length === 0 ? trailers : allowedOf(trailers)),
        fail: (error) => sink.fail(error),
      }),
    cancel: () => body.cancel(),
  };
}
