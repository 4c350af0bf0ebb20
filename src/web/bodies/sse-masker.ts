import { Refusal } from '../../model/errors.ts';
import { ClassifiedWords } from './classified-words.ts';
import { HeldBytes } from './held-bytes.ts';
import { JsonMasker } from './json-masker.ts';
import { type BodyMasker, type MaskerContext, nothing } from './masker.ts';
import type { BodyRules } from './rules.ts';
import { beginsLikeJson } from './sniffing-masker.ts';
import { TextMasker } from './text-masker.ts';

interface Line {
  readonly start: number;
  /** Before the line end. */
  readonly end: number;
  readonly next: number;
}

/**
 * Server-sent events (HTML standard, section 9.2), one at a time. The data of an event is masked as one JSON document where it is
 * JSON; everything else by detectors. An event leaves when it is complete, as it came where nothing was masked in it. A value that
 * is spread over several events is not put together.
 */
export class SseMasker implements BodyMasker {
  readonly #rules: BodyRules;
  readonly #context: MaskerContext;
  readonly #words: ClassifiedWords | undefined;
  readonly #held = new HeldBytes();
  /** Held bytes before this are whole lines of the unfinished event. */
  #searched = 0;
  /** Takes over where an event is too long to hold and no rule applies. */
  #text: TextMasker | undefined;

  constructor(rules: BodyRules, context: MaskerContext) {
    this.#rules = rules;
    this.#context = context;
    this.#words = rules.list.length === 0 ? undefined : new ClassifiedWords(rules);
  }

  write(bytes: Buffer): Buffer {
    if (this.#text !== undefined) return this.#text.write(bytes);
    this.#held.add(bytes);
    const shown: Buffer[] = [];
    for (;;) {
      const end = this.#eventEnd();
      if (end === 0) break;
      this.#searched = 0;
      shown.push(this.#event(this.#held.take(end)));
    }
    if (this.#held.length > this.#context.limits.valueBytes) {
      if (this.#rules.list.length > 0) throw new Refusal('MASK_IMPOSSIBLE', 'an event is too long to be masked');
      this.#text = new TextMasker(this.#context);
      shown.push(this.#text.write(this.#held.take(this.#held.length)));
    }
    return shown.length === 1 ? shown[0]! : Buffer.concat(shown);
  }

  end(): Buffer {
    if (this.#text !== undefined) return this.#text.end();
    return this.#held.length === 0 ? nothing : this.#event(this.#held.take(this.#held.length));
  }

  /** Behind the empty line that ends the first event; 0 where that has not come. */
  #eventEnd(): number {
    const bytes = this.#held.bytes;
    for (;;) {
      const line = lineAt(bytes, this.#searched, false);
      if (line === undefined) return 0;
      this.#searched = line.next;
      if (line.start === line.end) return line.next;
    }
  }

  #event(raw: Buffer): Buffer {
    const lines: Line[] = [];
    for (let at = 0; at < raw.length; ) {
      const line = lineAt(raw, at, true)!;
      lines.push(line);
      at = line.next;
    }
    const data = lines.filter((line) => isData(raw, line));
    const separator = Buffer.from('\n');
    const payload = Buffer.concat(
      data.flatMap((line, i) => [...(i === 0 ? [] : [separator]), raw.subarray(contentStart(raw, line), line.end)]),
    );
    const shownPayload = this.#payload(payload);
    const changed = !shownPayload.equals(payload);
    const out: Buffer[] = [];
    const first = data[0];
    for (const line of lines) {
      if (!isData(raw, line)) out.push(this.#plain(raw.subarray(line.start, line.next)));
      else if (!changed) out.push(raw.subarray(line.start, line.next));
      else if (line === first) {
        const name = raw.subarray(line.start, contentStart(raw, line));
        const end = raw.subarray(line.end, line.next);
        for (const text of pieces(shownPayload)) out.push(name, text, end.length === 0 ? separator : end);
      }
    }
    return Buffer.concat(out);
  }

  #payload(payload: Buffer): Buffer {
    if (payload.length === 0) return payload;
    const ruled = this.#rules.list.length > 0;
    const json = beginsLikeJson(payload) === true && !marker.test(payload.toString('latin1', 0, 64));
    if (json && (ruled || parses(payload))) {
      const masker = new JsonMasker(this.#rules, this.#context);
      return Buffer.concat([masker.write(payload), masker.end()]);
    }
    if (ruled && this.#rules.root.accepts !== undefined) {
      throw new Refusal('MASK_IMPOSSIBLE', 'an event is classified as a whole and is not JSON, so it cannot be masked');
    }
    return this.#plain(payload);
  }

  #plain(bytes: Buffer): Buffer {
    this.#words?.look(bytes);
    const copy = Buffer.from(bytes);
    this.#context.masks.scrub(copy, (whole) => [0, whole.length]);
    return copy;
  }
}

/** `[DONE]` and the like end streams of JSON events. */
const marker = /^\s*\[[A-Z]{1,32}\]\s*$/;

function parses(payload: Buffer): boolean {
  try {
    JSON.parse(payload.toString());
    return true;
  } catch {
    return false;
  }
}

/** The line at `at`; undefined where its end has not come. A CR at the end of what has come may have an LF behind it. */
function lineAt(bytes: Buffer, at: number, complete: boolean): Line | undefined {
  for (let i = at; i < bytes.length; i++) {
    if (bytes[i] === 0x0a) return { start: at, end: i, next: i + 1 };
    if (bytes[i] !== 0x0d) continue;
    if (i + 1 === bytes.length && !complete) return undefined;
    return { start: at, end: i, next: bytes[i + 1] === 0x0a ? i + 2 : i + 1 };
  }
  return complete ? { start: at, end: bytes.length, next: bytes.length } : undefined;
}

function nameStart(bytes: Buffer, { start }: Line): number {
  return start === 0 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : start;
}

function isData(bytes: Buffer, line: Line): boolean {
  const start = nameStart(bytes, line);
  if (bytes.toString('latin1', start, Math.min(start + 4, line.end)) !== 'data') return false;
  return start + 4 === line.end || bytes[start + 4] === 0x3a;
}

function contentStart(bytes: Buffer, line: Line): number {
  const colon = Math.min(nameStart(bytes, line) + 5, line.end);
  return colon < line.end && bytes[colon] === 0x20 ? colon + 1 : colon;
}

/** What stands between line feeds; there are no other line ends in a payload. */
function pieces(payload: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = payload.indexOf(0x0a, at);
    found.push(payload.subarray(at, end < 0 ? payload.length : end));
    if (end < 0) return found;
    at = end + 1;
  }
}
