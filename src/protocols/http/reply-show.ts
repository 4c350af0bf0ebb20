import type { Masks } from '../../gateway/protocol.ts';
import type { PeerError, Refusal } from '../../model/errors.ts';
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
  type Tunnel,
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
    return new Decoding(
      answer,
      (fields) => this.#fields(fields),
      () => openDecoder(this.#coding, answer),
    );
  }

  /** The fields of an interim answer: whatever they say, the final one could say too. */
  interim(fields: Fields, masks: Masks): Fields {
    return maskedFields(fields, masks);
  }

  /** Throws Refusal MASK_IMPOSSIBLE where the body cannot be shown. */
  open(head: ResponseHead, masks: Masks): Showing {
    const plan = planBody(head, this.#rules.applying(masks), this.#settings.detectors);
    const coding = codingOf(head);
    this.#coding = coding;
    // What is not looked at for masks is still searched for the credential, and a coding would hide it.
    const changes = plan.changes || coding !== undefined;
    const plain = { ...head, fields: this.#fields(head.fields) };
    const shown = maskedHead(plain, changes === plan.changes ? plan : { ...plan, changes }, masks);
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
    return openEncoder(this.#coding, new CallSink(this.#call));
  }

  /** Fields without cookies and challenges that are not the caller's, without the credential, with the gateway's addresses. */
  #fields(fields: Fields): Fields {
    const { origin, base } = this.#seen;
    return relocated(this.#guard.fields(showableFields(fields, this.#settings)), this.#settings.address, origin, base);
  }
}

/** An answer on its way in, whose body is decoded as its head said. */
class Decoding implements AnswerSink {
  readonly #answer: AnswerSink;
  readonly #fields: (fields: Fields) => Fields;
  readonly #open: () => BodySink;
  #body: BodySink | undefined;

  constructor(answer: AnswerSink, fields: (fields: Fields) => Fields, open: () => BodySink) {
    this.#answer = answer;
    this.#fields = fields;
    this.#open = open;
  }

  informed(status: number, fields: Fields): void {
    this.#answer.informed(status, this.#fields(fields));
  }

  head(head: ResponseHead): void {
    this.#answer.head(head);
  }

  data(bytes: Buffer): Promise<void> | undefined {
    this.#body ??= this.#open();
    return this.#body.data(bytes);
  }

  /** A reply to HEAD has a coding and no body. */
  end(trailers: Fields): void {
    (this.#body ?? this.#answer).end(trailers);
  }

  fail(error: PeerError | Refusal): void {
    (this.#body ?? this.#answer).fail(error);
  }

  switched(fields: Fields, tunnel: Tunnel): void {
    this.#answer.switched(fields, tunnel);
  }
}

/** The caller, as somewhere to put a body. */
class CallSink implements BodySink {
  readonly #call: ServerCall;

  constructor(call: ServerCall) {
    this.#call = call;
  }

  data(bytes: Buffer): Promise<void> | undefined {
    return this.#call.write(bytes);
  }

  end(trailers: Fields): void {
    this.#call.end(trailers);
  }

  fail(): void {
    this.#call.abort();
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
