import { PeerError } from '../../model/errors.ts';
import { choice, objectFormatOf } from './capabilities.ts';
import { flush, lineText, type Packet, packet } from './pktline.ts';
import { type RequestV2, writeRequestV2 } from './protocol-v2.ts';
import type { ObjectFormat } from './push.ts';
import { isId, isRefName } from './ref-name.ts';

/** What a client asks of upload-pack, in whichever version. Everything in it is checked for form, nothing for permission. */
export interface FetchRequest {
  readonly version: 0 | 2;
  readonly objectFormat: ObjectFormat;
  readonly wants: readonly string[];
  readonly wantRefs: readonly string[];
  readonly haves: readonly string[];
  readonly shallow: readonly string[];
  readonly deepen: number | undefined;
  /** Seconds since the epoch. */
  readonly deepenSince: number | undefined;
  /** Names, possibly short (`v1.0`). */
  readonly deepenNot: readonly string[];
  readonly filter: string | undefined;
  /** The client has said all it has: what follows is the pack. */
  readonly done: boolean;
  /** v0: capabilities chosen; v2: arguments that are a word alone. */
  readonly words: ReadonlySet<string>;
  readonly agent: string | undefined;
}

const wordsV2 = new Set(['thin-pack', 'no-progress', 'include-tag', 'ofs-delta', 'deepen-relative', 'wait-for-done']);
const maxLines = 500_000;

// biome-ignore format: one form a line
const filters = [
  'blob:none',
  'blob:limit=\\d{1,15}[kmg]?',
  'tree:\\d{1,6}',
  'object:type=(?:commit|tree|blob|tag)',
].join('|');
const filterForm = new RegExp(`^(?:${filters}|combine:(?:${filters})(?:\\+(?:${filters})){1,9})$`);

function wrong(how: string): PeerError {
  return new PeerError('CLIENT_PROTOCOL', `the request cannot be read: ${how}`);
}

/** Collects lines that mean the same in every version. */
class Collected {
  readonly wants: string[] = [];
  readonly wantRefs: string[] = [];
  readonly haves: string[] = [];
  readonly shallow: string[] = [];
  readonly deepenNot: string[] = [];
  deepen: number | undefined;
  deepenSince: number | undefined;
  filter: string | undefined;
  done = false;
  objectFormat: ObjectFormat = 'sha1';

  /** False when the line is none of those. Throws PeerError when it is one and malformed. */
  take(line: string): boolean {
    const space = line.indexOf(' ');
    const key = space < 0 ? line : line.slice(0, space);
    const value = space < 0 ? '' : line.slice(space + 1);
    switch (key) {
      case 'want':
        this.wants.push(this.#id(value));
        return true;
      case 'have':
        this.haves.push(this.#id(value));
        return true;
      case 'shallow':
        this.shallow.push(this.#id(value));
        return true;
      case 'want-ref':
        if (!isRefName(value) && value !== 'HEAD') throw wrong('a wanted ref has no name');
        this.wantRefs.push(value);
        return true;
      case 'deepen':
        this.deepen = number(value, this.deepen);
        return true;
      case 'deepen-since':
        this.deepenSince = number(value, this.deepenSince);
        return true;
      case 'deepen-not':
        if (!isRefName(`refs/${value}`)) throw wrong('deepen-not names no ref');
        this.deepenNot.push(value);
        return true;
      case 'filter':
        if (this.filter !== undefined || !filterForm.test(value)) throw wrong('a filter that is not known');
        this.filter = value;
        return true;
      case 'done':
        if (space >= 0 || this.done) return false;
        this.done = true;
        return true;
      default:
        return false;
    }
  }

  #id(value: string): string {
    if (!isId(value, this.objectFormat)) throw wrong('a line names no object');
    return value;
  }
}

function number(value: string, before: number | undefined): number {
  if (!/^\d{1,15}$/.test(value) || before !== undefined) throw wrong('a number that is none');
  return Number(value);
}

/** Protocol v2: the arguments of `fetch`. Throws PeerError. */
export function fetchOfV2(request: RequestV2): FetchRequest {
  if (request.args.length > maxLines) throw wrong('it has too many lines');
  const found = new Collected();
  found.objectFormat = request.objectFormat;
  const words = new Set<string>();
  for (const arg of request.args) {
    if (wordsV2.has(arg)) words.add(arg);
    else if (!found.take(arg)) throw wrong(`fetch has no argument ${arg.slice(0, 40)}`);
  }
  if (found.wants.length + found.wantRefs.length === 0) throw wrong('it wants nothing');
  return { ...picked(found), version: 2, words, agent: request.agent };
}

/**
 * Protocol v0 and v1, stateless (gitprotocol-http, “Smart Service git-upload-pack”): wants and what bounds them, a flush, haves,
 * and at the end `done`, or a flush or nothing where more haves will follow in another request. Throws PeerError.
 */
export function fetchOfV0(packets: readonly Packet[]): FetchRequest {
  if (packets.length > maxLines) throw wrong('it has too many lines');
  const found = new Collected();
  let choices: ReadonlyMap<string, string | undefined> = new Map();
  const cut = packets.indexOf('flush');
  if (cut < 1) throw wrong('it wants nothing');
  for (const [index, line] of packets.slice(0, cut).entries()) {
    let text = textOf(line);
    if (index === 0) {
      const match = /^(want [0-9a-f]+) ?(.*)$/.exec(text);
      if (match === null) throw wrong('it does not begin with a want');
      choices = choice('git-upload-pack', match[2]!);
      // Clients do not always say it in this version; ids of another length are another format.
      const said = objectFormatOf(choices.get('object-format'), 'CLIENT_PROTOCOL');
      found.objectFormat = choices.has('object-format') || match[1]!.length < 69 ? said : 'sha256';
      text = match[1]!;
    }
    if (/^(?:have|done|want-ref)\b/.test(text) || !found.take(text)) throw wrong(`a line ${text.slice(0, 20)}`);
  }
  const rest = packets.slice(cut + 1);
  if (rest.at(-1) === 'flush') rest.pop();
  for (const line of rest) {
    const text = textOf(line);
    if (found.done || !/^(?:have |done$)/.test(text) || !found.take(text)) throw wrong('something follows its end');
  }
  const words = new Set([...choices.keys()].filter((name) => name !== 'agent' && name !== 'object-format'));
  return { ...picked(found), version: 0, words, agent: choices.get('agent') };
}

function textOf(line: Packet): string {
  const text = typeof line === 'string' ? undefined : lineText(line);
  if (text === undefined || text.includes('\0')) throw wrong('a line is no text');
  return text;
}

function picked({ take: _, ...found }: Collected): Omit<FetchRequest, 'version' | 'words' | 'agent'> {
  return found;
}

/** The request as the target gets it, written anew: nothing is in it that was not read. */
export function writeFetch(request: FetchRequest): Buffer {
  const { wants, wantRefs, haves, shallow, deepen, deepenSince, deepenNot, filter, words, done } = request;
  const bounds = [
    ...shallow.map((id) => `shallow ${id}`),
    ...(deepen === undefined ? [] : [`deepen ${deepen}`]),
    ...(deepenSince === undefined ? [] : [`deepen-since ${deepenSince}`]),
    ...deepenNot.map((name) => `deepen-not ${name}`),
    ...(filter === undefined ? [] : [`filter ${filter}`]),
  ];
  const had = haves.map((id) => `have ${id}`);
  if (request.version === 2) {
    const args = [
      ...words,
      ...wants.map((id) => `want ${id}`),
      ...wantRefs.map((name) => `want-ref ${name}`),
      ...bounds,
      ...had,
      ...(done ? ['done'] : []),
    ];
    return writeRequestV2({ command: 'fetch', agent: request.agent, objectFormat: request.objectFormat, args });
  }
  const [first, ...others] = wants;
  const format = request.objectFormat === 'sha1' ? [] : ['object-format=sha256'];
  const agent = request.agent === undefined ? [] : [`agent=${request.agent}`];
  return Buffer.concat([
    packet(`want ${first} ${[...words, ...format, ...agent].join(' ')}\n`),
    ...others.map((id) => packet(`want ${id}\n`)),
    ...bounds.map((line) => packet(`${line}\n`)),
    flush,
    ...had.map((line) => packet(`${line}\n`)),
    ...(done ? [packet('done\n')] : had.length > 0 ? [flush] : []),
  ]);
}
