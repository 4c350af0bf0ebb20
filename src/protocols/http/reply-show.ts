import type { Masks } from '../../gateway/protocol.ts';
import { planBody } from '../../web/bodies/body-plan.ts';
import { codingsOf, openDecoder, openEncoder } from '../../web/bodies/coding.ts';
import { maskedFields, maskedHead, maskedTrailers } from '../../web/bodies/masked-head.ts';
import { type BodyMasker, bodyLimits } from '../../web/bodies/masker.ts';
import { openBodyMasker } from '../../web/bodies/open-body-masker.ts';
import type { BodyRules } from '../../web/bodies/rules.ts';
import {
  type AnswerSink,
  type BodySink,
  type Fields,
  field,
  type ResponseHead,
  type ServerCall,
} from '../../web/message.ts';
import type { ReflectionGuard } from './credentials/reflection.ts';
import { showableFields } from './credentials/strip.ts';
import type { Coder, Showing, SwitchedShowing } from './exchange.ts';
import { relocated } from './fields.ts';
import type { HttpSettings } from './settings.ts';

/** Where the caller sees the target. */
export interface Seen {
  readonly origin: string;
  readonly base: string;
}

/**
 * One reply on its way to the caller: its coding taken off, the target's credential kept out, addresses turned into the gateway's,
 * masks put on, and the same coding put on again.
 */
export class ReplyShow {
  readonly #call: ServerCall;
  readonly #seen: Seen;
  readonly #settings: HttpSettings;
  readonly #guard: ReflectionGuard;
  readonly #rules: BodyRules;
  /** The coding that is taken off and put on again; known with the head. */
  #coding: string | undefined;

  constructor(call: ServerCall, seen: Seen, settings: HttpSettings, guard: ReflectionGuard, rules: BodyRules) {
    this.#call = call;
    this.#seen = seen;
    this.#settings = settings;
    this.#guard = guard;
    this.#rules = rules;
  }

  /** `answer`, with the coding taken off: its head comes first, and says through `open` which one that is. */
  decoding(answer: AnswerSink): AnswerSink {
    let body: BodySink | undefined;
    const decoder = () => {
      body ??= openDecoder(this.#coding, answer);
      return body;
    };
    return {
      informed: (status, fields) => answer.informed(status, this.#fields(fields)),
      head: (head) => answer.head(head),
      data: (bytes) => decoder().data(bytes),
      // A reply to HEAD has a coding and no body.
      end: (trailers) => (body ?? answer).end(trailers),
      fail: (error) => (body ?? answer).fail(error),
      switched: (fields, tunnel) => answer.switched(fields, tunnel),
    };
  }

  /** Throws Refusal MASK_IMPOSSIBLE where the body cannot be shown. */
  open(head: ResponseHead, masks: Masks): Showing {
    const plan = planBody(head, this.#rules.applying(masks), this.#settings.detectors);
    // What is not looked at for masks is still searched for the credential, and a coding would hide it.
    const recode = !plan.changes && codingOf(head) !== undefined;
    this.#coding = plan.changes || recode ? codingOf(head) : undefined;
    const shown = maskedHead(
      { ...head, fields: this.#fields(head.fields) },
      { ...plan, changes: plan.changes || recode },
      masks,
    );
    const masker = plan.changes ? openBodyMasker(plan, masks, bodyLimits) : undefined;
    return {
      head: shown,
      masker: guarded(this.#guard, masker),
      trailers: (fields) => maskedTrailers(this.#fields(fields), plan, masks),
    };
  }

  /** The way of messages: each is a body by itself, JSON where it begins like it. */
  openSwitched(fields: Fields, masks: Masks): SwitchedShowing {
    const rules = this.#rules.applying(masks);
    return {
      fields: maskedFields(this.#fields(fields), masks),
      message: (bytes, text) => {
        const type = !text
          ? 'application/octet-stream'
          : /^\s*[[{]/.test(bytes.toString('latin1', 0, 64))
            ? 'application/json'
            : 'text/plain';
        const plan = planBody({ status: 200, fields: ['content-type', type] }, rules, this.#settings.detectors);
        const masker = guarded(this.#guard, plan.changes ? openBodyMasker(plan, masks, bodyLimits) : undefined);
        return Buffer.concat([masker.write(bytes), masker.end()]);
      },
    };
  }

  coder(): Coder {
    const { write, end } = this.#call;
    const call = this.#call;
    const sink: BodySink = {
      data: (bytes) => write.call(call, bytes),
      end: (trailers) => end.call(call, trailers),
      fail: () => call.abort(),
    };
    return openEncoder(this.#coding, sink);
  }

  /** Fields without cookies and challenges that are not the caller's, without the credential, with the gateway's addresses. */
  #fields(fields: Fields): Fields {
    const { origin, base } = this.#seen;
    return relocated(this.#guard.fields(showableFields(fields, this.#settings)), this.#settings.address, origin, base);
  }
}

function codingOf({ fields }: ResponseHead): string | undefined {
  const written = field(fields, 'content-encoding');
  return codingsOf(written).length === 0 ? undefined : written;
}

/** Behind the guard comes the masker: a mask may be made of part of a value, and a credential is never part of one. */
function guarded(guard: ReflectionGuard, masker: BodyMasker | undefined): BodyMasker {
  const filter = guard.open();
  if (masker === undefined) return filter;
  return {
    write: (bytes) => masker.write(filter.write(bytes)),
    end() {
      const rest = filter.end();
      if (rest.length === 0) return masker.end();
      return Buffer.concat([masker.write(rest), masker.end()]);
    },
  };
}
