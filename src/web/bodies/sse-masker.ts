import { Refusal } from '../../model/errors.ts';
import { ClassifiedWords } from './classified-words.ts';
import { Edits } from './edits.ts';
import { HeldBytes } from './held-bytes.ts';
import { JsonMasker } from './json-masker.ts';
import { type BodyMasker, type MaskerContext, nothing } from './masker.ts';
import type { BodyRules } from './rules.ts';
import { beginsLikeJson } from './sniffing-masker.ts';
import { Spans } from './spans.ts';
import { isData, type Line, lineAt, payloadStart } from './sse-line.ts';
import { TextMasker } from './text-masker.ts';

/**
 * Server-sent events (HTML standard, section 9.2). The data of an event is masked as one JSON document where it is JSON; everything
 * else by detectors. An event leaves when it is complete, as it came where nothing was masked in it. A value that is spread over
 * several events is not put together.
 */
export class SseMasker implements BodyMasker {
  readonly #rules: BodyRules;
  readonly #context: MaskerContext;
  readonly #words: ClassifiedWords | undefined;
  readonly #json: JsonMasker;
  readonly #held = new HeldBytes();
  readonly #edits = new Edits();
  /** Lines, or what they carry, that are searched as they stand. */
  readonly #plain = new Spans();
  readonly #plainOffsets = () => this.#plain.offsets;
  /** Where the unfinished line begins, and where the search for its end goes on. */
  #line = 0;
  #searched = 0;
  /** Takes over where an event is too long to hold and no rule applies. */
  #text: TextMasker | undefined;

  constructor(rules: BodyRules, context: MaskerContext) {
    this.#rules = rules;
    this.#context = context;
    this.#words = rules.list.length === 0 ? undefined : new ClassifiedWords(rules.words);
    this.#json = new JsonMasker(rules, context);
  }

  write(bytes: Buffer): Buffer {
    if (this.#text !== undefined) return this.#text.write(bytes);
    this.#held.add(bytes);
    const complete = this.#eventsEnd();
    const shown = complete === 0 ? nothing : this.#events(this.#held.take(complete));
    this.#line -= complete;
    this.#searched -= complete;
    if (this.#held.length <= this.#context.limits.valueBytes) return shown;
    if (this.#rules.list.length > 0) throw new Refusal('MASK_IMPOSSIBLE', 'an event is too long to be masked');
    this.#text = new TextMasker(this.#context);
    return Buffer.concat([shown, this.#text.write(this.#held.take(this.#held.length))]);
  }

  end(): Buffer {
    if (this.#text !== undefined) return this.#text.end();
    return this.#held.length === 0 ? nothing : this.#events(this.#held.take(this.#held.length));
  }

  /** Behind the empty line that ends the last complete event; 0 where there is none. */
  #eventsEnd(): number {
    const bytes = this.#held.bytes;
    let end = 0;
    for (;;) {
      const line = lineAt(bytes, this.#line, this.#searched, false);
      if (line === undefined) break;
      if (line.start === line.end) end = line.next;
      this.#line = line.next;
      this.#searched = line.next;
    }
    // A carriage return at the very end may have a line feed behind it.
    this.#searched = bytes[bytes.length - 1] === 0x0d ? bytes.length - 1 : bytes.length;
    this.#searched = Math.max(this.#searched, this.#line);
    return end;
  }

  /** Whole events, and at the end of the stream what there is of one. */
  #events(raw: Buffer): Buffer {
    let data: Line[] = [];
    for (let at = 0; at < raw.length; ) {
      const line = lineAt(raw, at, at, true)!;
      if (isData(raw, line)) data.push(line);
      else this.#search(raw, line.start, line.end);
      if (line.start === line.end || line.next === raw.length) {
        if (data.length > 0) this.#data(raw, data);
        data = [];
      }
      at = line.next;
    }
    if (this.#plain.size > 0) this.#context.masks.scrub(raw, this.#plainOffsets);
    this.#plain.clear();
    return this.#edits.empty ? raw : this.#edits.apply(raw);
  }

  /** The data of one event: the content of its lines, with line feeds between (section 9.2.6). */
  #data(raw: Buffer, lines: readonly Line[]): void {
    const first = lines[0]!;
    const payload = Buffer.concat(
      lines.flatMap((line, i) => [...(i === 0 ? [] : [lineFeed]), raw.subarray(payloadStart(raw, line), line.end)]),
    );
    const json = this.#isJson(payload);
    if (!json && lines.length === 1) {
      this.#search(raw, payloadStart(raw, first), first.end);
      return;
    }
    const shown = json ? this.#document(payload) : this.#scrubbed(payload);
    if (shown.equals(payload)) return;
    const name = raw.subarray(first.start, payloadStart(raw, first));
    const end = raw.subarray(first.end, first.next);
    const out: Buffer[] = [];
    const texts = pieces(shown);
    // Where the stream stops inside of a line, that line stays without an end.
    texts.forEach((text, i) => {
      out.push(name, text, end.length > 0 || i + 1 === texts.length ? end : lineFeed);
    });
    for (const line of lines.slice(1)) this.#edits.add(line.start, line.next, nothing);
    this.#edits.add(first.start, first.next, Buffer.concat(out));
  }

  #isJson(payload: Buffer): boolean {
    if (beginsLikeJson(payload) !== true) return false;
    if (payload.length < 64 && marker.test(payload.toString('latin1'))) return false;
    if (this.#rules.list.length > 0) return true;
    try {
      JSON.parse(payload.toString());
      return true;
    } catch {
      return false;
    }
  }

  #document(payload: Buffer): Buffer {
    const shown = this.#json.write(payload);
    const rest = this.#json.end();
    return rest.length === 0 ? shown : Buffer.concat([shown, rest]);
  }

  #search(raw: Buffer, start: number, end: number): void {
    if (start === end) return;
    this.#look(raw.subarray(start, end));
    this.#plain.add(start, end);
  }

  #scrubbed(payload: Buffer): Buffer {
    this.#look(payload);
    const copy = Buffer.from(payload);
    this.#context.masks.scrub(copy, (whole) => [0, whole.length]);
    return copy;
  }

  #look(text: Buffer): void {
    this.#words?.look(text);
    if (this.#rules.root.accepts === undefined) return;
    throw new Refusal(
      'MASK_IMPOSSIBLE',
      'events are classified as a whole, and one is not JSON, so it cannot be masked',
    );
  }
}

const lineFeed = Buffer.from('\n');

/** `[DONE]` and the like end streams of JSON events. */
const marker = /^\s*\[[A-Z]{1,32}\]\s*$/;

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
