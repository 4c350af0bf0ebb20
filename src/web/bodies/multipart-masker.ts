import type { Masks } from '../../gateway/protocol.ts';
import { Refusal } from '../../model/errors.ts';
import { maskerFor } from './body-kind.ts';
import { cut, unseen } from './body-plan.ts';
import { parseContentType } from './content-type.ts';
import { HeldBytes } from './held-bytes.ts';
import type { BodyLimits, BodyMasker, MaskerContext } from './masker.ts';
import type { MaskedBody } from './open-body-masker.ts';
import { type PartHead, parsePartHead } from './part-head.ts';
import { PassedBody } from './passed-body.ts';
import { TextMasker } from './text-masker.ts';
import { ValueMasks } from './value-masks.ts';
import { WholeValue } from './whole-value.ts';

export type OpenMasker = (body: MaskedBody, masks: Masks, limits: BodyLimits) => BodyMasker;

const longestHead = 16_384;
const deepest = 4;

type Where = 'preamble' | 'head' | 'body' | 'epilogue';

/**
 * Bodies of several parts (RFC 2046 section 5.1, RFC 7578): each part is masked by its own type, or as a whole where a rule names its
 * field. What stands before, between and behind parts is text. Where rules apply, delimiters that readers could see differently and
 * parts that cannot be looked at are withheld.
 */
export class MultipartMasker implements BodyMasker {
  readonly #body: MaskedBody;
  readonly #context: MaskerContext;
  readonly #open: OpenMasker;
  readonly #valueMasks: ValueMasks;
  readonly #level: number;
  /** What stands before each part, with the line feed before it. */
  readonly #delimiter: Buffer;
  readonly #held = new HeldBytes();
  #where: Where = 'preamble';
  #part: BodyMasker;
  /** A line begins where what is held begins. */
  #lineBegins = true;

  constructor(body: MaskedBody, context: MaskerContext, open: OpenMasker, level = 1) {
    const boundary = body.type?.parameters.get('boundary');
    if (boundary === undefined || !/^[\w'()+,./:=? -]{1,70}$/.test(boundary) || level > deepest) {
      throw new Refusal('MASK_IMPOSSIBLE', 'the parts of the body cannot be told apart, so they cannot be masked');
    }
    this.#body = body;
    this.#context = context;
    this.#open = open;
    this.#level = level;
    this.#valueMasks = new ValueMasks(body.rules, context.masks);
    this.#delimiter = Buffer.from(`\n--${boundary}`);
    this.#part = new TextMasker(context);
  }

  write(bytes: Buffer): Buffer {
    this.#held.add(bytes);
    const shown: Buffer[] = [];
    while (this.#step(shown, false));
    return shown.length === 1 ? shown[0]! : Buffer.concat(shown);
  }

  end(): Buffer {
    const shown: Buffer[] = [];
    while (this.#step(shown, true));
    if (this.#ruled && this.#where !== 'epilogue') throw unclear('its last delimiter is missing');
    shown.push(this.#part.end());
    this.#valueMasks.report();
    return Buffer.concat(shown);
  }

  get #ruled(): boolean {
    return this.#body.rules.list.length > 0;
  }

  /** One piece further; false when more has to come. */
  #step(shown: Buffer[], complete: boolean): boolean {
    if (this.#where === 'epilogue') return this.#pass(shown, this.#held.length);
    if (this.#where === 'head') return this.#head(shown, complete);
    const held = this.#held.bytes;
    const found = this.#find(held);
    if (found !== undefined) return this.#line(shown, held, found, complete);
    return this.#pass(shown, complete ? held.length : Math.max(0, held.length - this.#delimiter.length - 1));
  }

  /** The next delimiter; or what is one but for the rest of its line. */
  #find(held: Buffer): Delimiter | undefined {
    const bare = this.#delimiter.length - 1;
    if (this.#lineBegins && held.length >= bare && this.#delimiter.compare(held, 0, bare, 1) === 0) {
      return { contentEnd: 0, behind: bare, certain: true };
    }
    const at = held.indexOf(this.#delimiter);
    if (at < 0) return undefined;
    const certain = at > 0 && held[at - 1] === 0x0d;
    return { contentEnd: certain ? at - 1 : at, behind: at + this.#delimiter.length, certain };
  }

  /** Where a delimiter's line is complete, the part before it is, too. */
  #line(shown: Buffer[], held: Buffer, { contentEnd, behind, certain }: Delimiter, complete: boolean): boolean {
    const last = held[behind] === 0x2d && held[behind + 1] === 0x2d;
    const line = held.subarray(behind, behind + longestHead);
    const newline = line.indexOf(0x0a);
    if (newline < 0 && !complete && !last) {
      if (line.length === longestHead) throw unclear('a delimiter has something behind it');
      this.#pass(shown, contentEnd);
      return false;
    }
    const rest = last ? 2 : newline < 0 ? line.length : newline + 1;
    if (!last && !/^[ \t]*\r?\n?$/.test(line.toString('latin1', 0, rest))) {
      if (this.#ruled) throw unclear('a delimiter has something behind it');
      return this.#pass(shown, behind);
    }
    if (this.#ruled && !certain) throw unclear('a delimiter has no line of its own');
    this.#pass(shown, contentEnd);
    shown.push(this.#part.end());
    this.#valueMasks.report();
    shown.push(this.#held.take(behind + rest - contentEnd));
    this.#where = last ? 'epilogue' : 'head';
    this.#part = new TextMasker(this.#context);
    return true;
  }

  #head(shown: Buffer[], complete: boolean): boolean {
    const held = this.#held.bytes.subarray(0, longestHead);
    const end = headEnd(held);
    if (end < 0) {
      if (held.length === longestHead || (complete && held.length > 0)) throw unclear('a part has no end to its head');
      return false;
    }
    const head = parsePartHead(this.#held.take(end));
    if (head === undefined) throw unclear('the head of a part is malformed');
    this.#part = this.#maskerOf(head);
    const text = head.without(this.#part instanceof PassedBody ? noFields : lengths);
    this.#context.masks.scrub(text, (whole) => [0, whole.length]);
    shown.push(text);
    this.#where = 'body';
    this.#lineBegins = true;
    return true;
  }

  #maskerOf(head: PartHead): BodyMasker {
    const { rules } = this.#body;
    const named = head.name === undefined ? undefined : this.#valueMasks.forName(head.name);
    if (named !== undefined) return new WholeValue(named, this.#valueMasks, this.#context);
    const contentType = head.field('content-type') ?? 'text/plain';
    const coded =
      head.field('content-encoding') !== undefined ||
      !/^(?:7bit|8bit|binary)?$/i.test(head.field('content-transfer-encoding') ?? '');
    if (coded) {
      if (this.#ruled) throw unseen(parseContentType(contentType));
      return new TextMasker(this.#context);
    }
    const { kind, type } = maskerFor(contentType, rules);
    const partial = head.field('content-range') !== undefined;
    const seen = kind !== 'binary' && kind !== 'media';
    if (partial && seen && (kind !== 'unknown' || this.#ruled)) throw cut();
    const body = { kind, type, rules, partial };
    const { masks, limits } = this.#context;
    if (kind === 'multipart') return new MultipartMasker(body, this.#context, this.#open, this.#level + 1);
    return this.#ruled || seen ? this.#open(body, masks, limits) : new PassedBody();
  }

  #pass(shown: Buffer[], count: number): boolean {
    if (count === 0) return false;
    this.#lineBegins = false;
    const bytes = this.#held.take(count);
    const outside = this.#where === 'preamble' || this.#where === 'epilogue';
    if (outside && this.#ruled && /[^\s]/.test(bytes.toString('latin1'))) {
      throw unclear('something stands outside of its parts');
    }
    shown.push(this.#part.write(bytes));
    return true;
  }
}

interface Delimiter {
  /** Where the part before it ends. */
  readonly contentEnd: number;
  /** Where the rest of its line begins. */
  readonly behind: number;
  /** Whether it stands in a line of its own for every reader. */
  readonly certain: boolean;
}

const noFields: ReadonlySet<string> = new Set();
const lengths: ReadonlySet<string> = new Set(['content-length', 'content-md5', 'content-digest', 'digest']);

/** Behind the empty line; the head may consist of it alone. */
function headEnd(held: Buffer): number {
  if (held[0] === 0x0a) return 1;
  if (held[0] === 0x0d && held[1] === 0x0a) return 2;
  for (let at = held.indexOf(0x0a); at >= 0; at = held.indexOf(0x0a, at + 1)) {
    if (held[at + 1] === 0x0a) return at + 2;
    if (held[at + 1] === 0x0d && held[at + 2] === 0x0a) return at + 3;
  }
  return -1;
}

function unclear(why: string): Refusal {
  return new Refusal('MASK_IMPOSSIBLE', `the parts of the body cannot be told apart with certainty: ${why}`);
}
