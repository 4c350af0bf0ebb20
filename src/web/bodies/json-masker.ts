import { Refusal } from '../../model/errors.ts';
import { ClassifiedWords } from './classified-words.ts';
import { HeldBytes } from './held-bytes.ts';
import { escapeLength, isNumber, jsonMeaning, numeric, special } from './json-text.ts';
import { JsonValues } from './json-values.ts';
import { LongValue } from './long-value.ts';
import { type BodyMasker, type MaskerContext, nothing } from './masker.ts';
import type { PathState } from './path-automaton.ts';
import type { BodyRules } from './rules.ts';
import { type ValueMask, ValueMasks } from './value-masks.ts';

/** One document; any number in a row (NDJSON); or any number, each after a record separator (RFC 7464). */
export type Documents = 'one' | 'lines' | 'sequence';

/** What may come next. */
const Value = 0;
const FirstElement = 1; // or the end of the array
const FirstKey = 2; // or the end of the object
const Key = 3;
const Colon = 4;
const Next = 5; // a comma, or the end of what is open
const Done = 6;

/** So much is looked at in one go. */
const pieceBytes = 65_536;

/**
 * Masks JSON as it streams by (RFC 8259, strictly: what is none is withheld from there on). A walk over complete tokens keeps the
 * state of the paths per level; text that no rule names and no detector finds anything in leaves as it came, byte for byte.
 */
export class JsonMasker implements BodyMasker {
  readonly #context: MaskerContext;
  readonly #documents: Documents;
  readonly #root: PathState;
  readonly #valueMasks: ValueMasks;
  readonly #values: JsonValues;
  readonly #words: ClassifiedWords | undefined;
  readonly #held = new HeldBytes();
  /** By level: whether it is an object, where the paths are, which element comes next. */
  readonly #objects: number[] = [];
  readonly #levels: PathState[] = [];
  readonly #counts: number[] = [];
  #depth = 0;
  #expects = Value;
  /** Where the paths are at the value that comes next. */
  #here: PathState;
  /** Where to go on in a token that is not complete: held bytes begin with it. */
  #scan = 0;
  #escaped = false;
  /** Nothing has come yet, so a byte order mark may. */
  #fresh = true;
  /** Inside a string too long to hold. */
  #long: LongValue | undefined;
  #failed: Refusal | undefined;

  constructor(rules: BodyRules, context: MaskerContext, documents: Documents = 'one') {
    this.#context = context;
    this.#documents = documents;
    this.#root = rules.root;
    this.#here = rules.root;
    this.#valueMasks = new ValueMasks(rules, context.masks);
    this.#values = new JsonValues(context.masks);
    this.#words = rules.list.length === 0 ? undefined : new ClassifiedWords(rules.words);
  }

  write(bytes: Buffer): Buffer {
    if (bytes.length <= pieceBytes) return this.#guarded(() => this.#take(bytes));
    const shown: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      shown.push(this.#guarded(() => this.#take(bytes.subarray(at, at + pieceBytes))));
    }
    return Buffer.concat(shown);
  }

  /** Another body may follow. */
  end(): Buffer {
    return this.#guarded(() => {
      const shown = this.#show(this.#walk(true));
      const complete = this.#expects === Done || (this.#depth === 0 && this.#expects === Value && this.#mayBeEmpty());
      if (!complete || this.#held.length > 0 || this.#long !== undefined) throw notJson('it ends too early');
      this.#expects = Value;
      this.#here = this.#root;
      this.#fresh = true;
      return shown;
    });
  }

  /** A body of nothing holds nothing to mask. */
  #mayBeEmpty(): boolean {
    return this.#fresh || this.#documents !== 'one';
  }

  #guarded(take: () => Buffer): Buffer {
    if (this.#failed !== undefined) throw this.#failed;
    try {
      return take();
    } catch (error) {
      this.#failed = error instanceof Refusal ? error : notJson('it could not be read');
      throw this.#failed;
    }
  }

  #take(bytes: Buffer): Buffer {
    this.#held.add(bytes);
    if (this.#long === undefined) {
      const shown = this.#show(this.#walk(false));
      if (this.#long === undefined) return shown;
      return Buffer.concat([shown, this.#goOn(this.#long)]);
    }
    return this.#goOn(this.#long);
  }

  /** In a long string: its content goes on in pieces, and then everything else as usual. */
  #goOn(long: LongValue): Buffer {
    const at = this.#scanString(this.#held.marked, this.#scan, this.#held.length);
    const closed = this.#closed;
    this.#scan = 0;
    const shown = long.write(this.#held.take(at));
    if (!closed) return shown;
    this.#long = undefined;
    const last = long.end();
    this.#expects = this.#depth === 0 ? Done : Next;
    const mark = this.#held.take(1);
    return Buffer.concat([shown, last, mark, this.#take(nothing)]);
  }

  /** Set by `#scanString`. */
  #closed = false;

  /** From inside a string to its closing mark, or to where it cannot be followed further yet. */
  #scanString(bytes: Buffer, from: number, end: number): number {
    this.#closed = false;
    for (let at = from; ; ) {
      while (special[bytes[at]!] === 0) at += 1;
      if (at >= end) return end;
      const byte = bytes[at]!;
      if (byte === 0x22) {
        this.#closed = true;
        return at;
      }
      if (byte !== 0x5c) throw notJson('a string holds a control character');
      const length = escapeLength(bytes, at, end);
      if (length < 0) throw notJson('a string holds an escape that is none');
      if (length === 0) return at;
      this.#escaped = true;
      at += length;
    }
  }

  /** Reads complete tokens, and notes what is to be done with their values. Returns how many bytes that were. */
  #walk(final: boolean): number {
    const bytes = this.#held.marked;
    const end = this.#held.length;
    const values = this.#values;
    let expects = this.#expects;
    let here = this.#here;
    let depth = this.#depth;
    let at = 0;
    while (at < end) {
      const byte = bytes[at]!;
      if (byte === 0x22) {
        const resumed = at === 0 && this.#scan > 0;
        if (!resumed) this.#escaped = false;
        // The loop of #scanString, here for the many strings that are complete and have no escapes.
        let close = resumed ? this.#scan : at + 1;
        while (special[bytes[close]!] === 0) close += 1;
        if (close >= end || bytes[close] !== 0x22) {
          close = this.#scanString(bytes, close >= end ? end : close, end);
          if (!this.#closed) {
            this.#scan = close - at;
            break;
          }
        }
        this.#scan = 0;
        const start = at + 1;
        at = close + 1;
        if (expects === Value || expects === FirstElement) {
          const { accepts } = here;
          if (accepts !== undefined) this.#maskString(bytes, start, close, accepts);
          else if (this.#escaped) this.#escapedString(bytes, start, close);
          else values.string(start, close);
          expects = depth === 0 ? Done : Next;
        } else if (expects === Key || expects === FirstKey) {
          const container = this.#levels[depth - 1]!;
          if (this.#escaped) {
            here = container.live ? memberOf(container, bytes, start, close) : container.below;
            values.escapedString(bytes, start, close);
          } else {
            here = container.live ? container.member(bytes, start, close) : container.below;
            values.string(start, close);
          }
          expects = Colon;
        } else if (expects === Done && this.#documents !== 'one') {
          at = start - 1;
          expects = Value;
          here = this.#root;
        } else throw unexpected(expects);
        continue;
      }
      switch (byte) {
        case 0x20:
        case 0x0a:
        case 0x0d:
        case 0x09:
          at += 1;
          continue;
        case 0x2c: {
          if (expects !== Next) throw unexpected(expects);
          const level = depth - 1;
          if (this.#objects[level] === 1) expects = Key;
          else {
            const container = this.#levels[level]!;
            here = container.live ? container.element(++this.#counts[level]!) : container.below;
            expects = Value;
          }
          at += 1;
          continue;
        }
        case 0x3a:
          if (expects !== Colon) throw unexpected(expects);
          expects = Value;
          at += 1;
          continue;
        case 0x5d:
        case 0x7d: {
          const empty = byte === 0x5d ? FirstElement : FirstKey;
          if (depth === 0 || (expects !== Next && expects !== empty)) throw unexpected(expects);
          if (this.#objects[depth - 1] !== (byte === 0x7d ? 1 : 0)) throw unexpected(expects);
          depth -= 1;
          expects = depth === 0 ? Done : Next;
          at += 1;
          continue;
        }
      }
      if (expects === Done && this.#documents !== 'one' && byte !== recordSeparator) {
        expects = Value;
        here = this.#root;
      }
      if (expects !== Value && expects !== FirstElement) {
        if (expects !== Done || byte !== recordSeparator || this.#documents !== 'sequence') throw unexpected(expects);
      }
      if (byte === 0x7b || byte === 0x5b) {
        if (depth === this.#context.limits.depth) throw notJson('it is nested too deeply');
        this.#levels[depth] = here;
        this.#objects[depth] = byte === 0x7b ? 1 : 0;
        if (byte === 0x7b) expects = FirstKey;
        else {
          this.#counts[depth] = 0;
          here = here.live ? here.element(0) : here.below;
          expects = FirstElement;
        }
        depth += 1;
        at += 1;
        continue;
      }
      if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) {
        let close = at === 0 && this.#scan > 0 ? this.#scan : at + 1;
        while (numeric[bytes[close]!] === 1) close += 1;
        if (close >= end && !final) {
          this.#scan = close - at;
          break;
        }
        this.#scan = 0;
        if (!isNumber(bytes, at, close)) throw notJson('a number is malformed');
        const { accepts } = here;
        if (accepts !== undefined) this.#mask(bytes, at, close, accepts);
        else values.number(bytes, at, close);
        at = close;
        expects = depth === 0 ? Done : Next;
        continue;
      }
      if (byte === recordSeparator && this.#documents === 'sequence' && depth === 0) {
        if (expects !== Value && expects !== Done) throw unexpected(expects);
        expects = Value;
        here = this.#root;
        at += 1;
        continue;
      }
      if (byte === 0xef && this.#fresh && at === 0) {
        // A byte order mark: RFC 8259 lets a reader ignore it, and many do.
        if (end < 3 && !final) break;
        if (bytes[1] !== 0xbb || bytes[2] !== 0xbf) throw unexpected(expects);
        this.#fresh = false;
        at = 3;
        continue;
      }
      const literal = byte === 0x74 ? 'true' : byte === 0x66 ? 'false' : byte === 0x6e ? 'null' : undefined;
      if (literal === undefined) throw unexpected(expects);
      const size = Math.min(literal.length, end - at);
      for (let i = 1; i < size; i++) if (bytes[at + i] !== literal.charCodeAt(i)) throw unexpected(expects);
      if (size < literal.length) break;
      const { accepts } = here;
      if (accepts !== undefined && byte !== 0x6e) this.#mask(bytes, at, at + size, accepts);
      at += size;
      expects = depth === 0 ? Done : Next;
    }
    this.#expects = expects;
    this.#here = here;
    this.#depth = depth;
    if (at > 0) this.#fresh = false;
    if (end - at > this.#context.limits.valueBytes) return this.#tooLong(bytes, at);
    return at;
  }

  /** The token at `at` is not complete, and more than is held. */
  #tooLong(bytes: Buffer, at: number): number {
    if (bytes[at] !== 0x22) throw notJson('a number has too many digits');
    if (this.#expects === Done && this.#documents !== 'one') {
      this.#expects = Value;
      this.#here = this.#root;
    }
    const isValue = this.#expects === Value || this.#expects === FirstElement;
    if (!isValue) throw new Refusal('MASK_IMPOSSIBLE', 'a member name of the JSON body is too long to be compared');
    if (this.#here.accepts !== undefined)
      throw new Refusal('MASK_IMPOSSIBLE', 'a classified value is too long to be masked');
    this.#long = new LongValue(this.#context, 'json');
    this.#scan -= 1;
    return at + 1;
  }

  #show(count: number): Buffer {
    if (count === 0) return nothing;
    const shown = this.#values.shown(this.#held.take(count));
    this.#valueMasks.report();
    return shown;
  }

  /** Only these can hold a document of their own; if a rule's name is a name in it, the whole string is masked by that rule. */
  #escapedString(bytes: Buffer, start: number, end: number): void {
    if (this.#words !== undefined) {
      const meant = Buffer.allocUnsafe(end - start);
      const size = jsonMeaning(bytes, start, end, meant, 0);
      const rule = this.#words.find(meant.subarray(0, size));
      if (rule !== undefined) {
        const by = this.#valueMasks.json(this.#valueMasks.forRule(rule), meant, 0, size);
        this.#values.edits.add(start - 1, end + 1, by);
        return;
      }
    }
    this.#values.escapedString(bytes, start, end);
  }

  #maskString(bytes: Buffer, start: number, end: number, accepts: readonly number[]): void {
    const mask = this.#valueMasks.forPaths(accepts);
    let by: Buffer;
    if (this.#escaped) {
      const meant = Buffer.allocUnsafe(end - start);
      by = this.#valueMasks.json(mask, meant, 0, jsonMeaning(bytes, start, end, meant, 0));
    } else by = this.#valueMasks.json(mask, bytes, start, end);
    this.#values.edits.add(start - 1, end + 1, by);
  }

  #mask(bytes: Buffer, start: number, end: number, accepts: readonly number[]): void {
    const mask: ValueMask = this.#valueMasks.forPaths(accepts);
    this.#values.edits.add(start, end, this.#valueMasks.json(mask, bytes, start, end));
  }
}

const recordSeparator = 0x1e;

function memberOf(container: PathState, bytes: Buffer, start: number, end: number): PathState {
  const name = Buffer.allocUnsafe(end - start);
  return container.member(name, 0, jsonMeaning(bytes, start, end, name, 0));
}

const wanted = [
  'a value',
  'a value or the end of an array',
  'a name or the end of an object',
  'a name',
  'a colon',
  'a comma or an end',
  'nothing more',
];

function unexpected(expects: number): Refusal {
  return notJson(`${wanted[expects]} was expected`);
}

function notJson(what: string): Refusal {
  return new Refusal('MASK_IMPOSSIBLE', `the body is not the JSON that it claims to be: ${what}`);
}
