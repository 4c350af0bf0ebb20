import { PeerError } from '../../model/errors.ts';
import { ServerSays } from './advertisement.ts';
import { type Capability, formatCapabilities, objectFormatOf, understoodV2 } from './capabilities.ts';
import { delim, flush, lineText, type Packet, PacketReader, packet } from './pktline.ts';
import type { ObjectFormat } from './push.ts';

/** A server's offer in protocol v2 (gitprotocol-v2, “Capability Advertisement”): the answer to `info/refs`, whole. */
export interface OfferV2 {
  readonly capabilities: readonly Capability[];
  readonly objectFormat: ObjectFormat;
}

/** Reads a v2 offer; undefined where the server answered in an older version. Throws PeerError, ServerSays. */
export function parseOfferV2(packets: readonly Packet[]): OfferV2 | undefined {
  let lines = [...packets];
  const first = lines[0];
  if (first !== undefined && typeof first !== 'string' && lineText(first)?.startsWith('# service=')) {
    if (lines[1] !== 'flush') throw unreadable();
    lines = lines.slice(2);
  }
  const [head, ...rest] = lines;
  // A repository without refs says nothing at all in the older versions.
  if (head === 'flush' && rest.length === 0) return undefined;
  if (head === undefined || typeof head === 'string') throw unreadable();
  const version = lineText(head) ?? '';
  if (version.startsWith('ERR ')) throw new ServerSays(version.slice(4));
  if (version !== 'version 2') return undefined;
  if (rest.pop() !== 'flush') throw unreadable();
  const capabilities = rest.map((line) => {
    const text = typeof line === 'string' ? undefined : lineText(line);
    if (text === undefined) throw unreadable();
    return parseLine(text);
  });
  const format = capabilities.find(({ name }) => name === 'object-format');
  return { capabilities, objectFormat: objectFormatOf(format?.value, 'UPSTREAM_PROTOCOL') };
}

/** A line is one capability; blanks belong to its value. */
function parseLine(line: string): Capability {
  const at = line.indexOf('=');
  return at < 0 ? { name: line, value: undefined } : { name: line.slice(0, at), value: line.slice(at + 1) };
}

function unreadable(): PeerError {
  return new PeerError('UPSTREAM_PROTOCOL', "the target's capabilities cannot be read");
}

/** The offer as a client may see it. */
export function writeOfferV2(offer: OfferV2): Buffer {
  const lines = offer.capabilities.flatMap((capability) => understoodV2(capability) ?? []);
  return Buffer.concat([
    packet('# service=git-upload-pack\n'),
    flush,
    packet('version 2\n'),
    ...lines.map((capability) => packet(`${formatCapabilities([capability])}\n`)),
    flush,
  ]);
}

/** A request in protocol v2: one command with its arguments, as text. */
export interface RequestV2 {
  readonly command: 'ls-refs' | 'fetch';
  readonly agent: string | undefined;
  readonly objectFormat: ObjectFormat;
  readonly args: readonly string[];
}

/** Reads one. Throws PeerError for what is not well formed or was not offered. */
export function parseRequestV2(packets: readonly Packet[]): RequestV2 {
  const wrong = (how: string) => new PeerError('CLIENT_PROTOCOL', `the request cannot be read: ${how}`);
  if (packets.at(-1) !== 'flush') throw wrong('it does not end');
  const body = packets.slice(0, -1);
  const cut = body.indexOf('delim');
  const texts = (lines: readonly Packet[]) =>
    lines.map((line) => {
      const text = typeof line === 'string' ? undefined : lineText(line);
      if (text === undefined || text.includes('\0')) throw wrong('a line is no text');
      return text;
    });
  const head = texts(cut < 0 ? body : body.slice(0, cut));
  const args = cut < 0 ? [] : texts(body.slice(cut + 1));
  let command: string | undefined;
  let agent: string | undefined;
  let format: string | undefined;
  for (const line of head) {
    const { name, value } = parseLine(line);
    if (name === 'command' && command === undefined) command = value;
    else if (name === 'agent') agent = value;
    else if (name === 'object-format') format = value;
    else throw wrong(`the capability ${name.slice(0, 40)} was not offered`);
  }
  if (command !== 'ls-refs' && command !== 'fetch') {
    throw wrong(`the command ${(command ?? '').slice(0, 40)} was not offered`);
  }
  return { command, agent, objectFormat: objectFormatOf(format, 'CLIENT_PROTOCOL'), args };
}

export function writeRequestV2(request: RequestV2): Buffer {
  const { agent } = request;
  return Buffer.concat([
    packet(`command=${request.command}\n`),
    ...(agent === undefined ? [] : [packet(`agent=${agent}\n`)]),
    packet(`object-format=${request.objectFormat}\n`),
    delim,
    ...request.args.map((arg) => packet(`${arg}\n`)),
    flush,
  ]);
}

/** Packets of an answer as it comes, each with what is to be done about it. Throws PeerError where the answer is no packets. */
export class AnswerPackets {
  readonly #reader = new PacketReader('UPSTREAM_PROTOCOL');

  *push(chunk: Buffer): Generator<Packet> {
    this.#reader.push(chunk);
    for (let next = this.#reader.next(); next !== undefined; next = this.#reader.next()) yield next;
  }

  end(): void {
    if (!this.#reader.empty)
      throw new PeerError('UPSTREAM_PROTOCOL', "the target's answer ended in the middle of a packet");
  }
}
