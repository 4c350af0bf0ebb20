import type { RecordedFrame, ReplayItem } from '../../gateway/protocol.ts';
import { PacketReader } from './pktline.ts';
import { harmless } from './sideband.ts';

/** Lines of one exchange that are shown; the recording holds all. */
const maxLines = 5000;
const maxLine = 4096;

interface Open {
  kind: 'refs' | 'json' | undefined;
  /** Lines of JSON that are not complete yet. */
  carry: Buffer;
  readonly packets: PacketReader;
  lines: number;
}

/** A recording of this protocol as commands, refs, packs by their digests, and reports. */
export async function* replay(frames: AsyncIterable<RecordedFrame>): AsyncGenerator<ReplayItem> {
  const open = new Map<number, Open>();
  for await (const frame of frames) {
    if (frame.direction === 'request') yield* request(frame);
    else if (frame.direction === 'reply') yield* reply(frame, openOf(open, frame.exchange));
    for (const exchange of open.keys()) if (exchange < frame.exchange - 256) open.delete(exchange);
  }
}

function openOf(open: Map<number, Open>, exchange: number): Open {
  let found = open.get(exchange);
  if (found === undefined) {
    found = { kind: undefined, carry: Buffer.alloc(0), packets: new PacketReader('UPSTREAM_PROTOCOL'), lines: 0 };
    open.set(exchange, found);
  }
  return found;
}

interface Asked {
  readonly text?: string;
  readonly parameters?: (string | null)[];
  readonly preview?: string;
  readonly refused?: string;
  readonly pack?: { readonly bytes: number; readonly sha256: string; readonly objects: number };
}

function* request({ exchange, at, bytes }: RecordedFrame): Generator<ReplayItem> {
  const asked = JSON.parse(bytes.toString('utf8')) as Asked;
  if (asked.refused !== undefined) yield { kind: 'status', exchange, at, text: `refused: ${asked.refused}` };
  if (asked.text === undefined) return;
  const { text, parameters, preview, pack } = asked;
  yield { kind: 'command', exchange, at, text, ...(parameters === undefined ? {} : { parameters }) };
  if (pack !== undefined) yield { kind: 'status', exchange, at, text: packText(pack) };
  for (const line of (preview ?? '').split('\n').slice(0, maxLines)) {
    if (preview !== undefined) yield { kind: 'row', exchange, values: [line.slice(0, maxLine)] };
  }
}

function packText({ objects, bytes, sha256 }: NonNullable<Asked['pack']>): string {
  return `pack: ${objects} objects, ${bytes} bytes, SHA-256 ${sha256}`;
}

/** Refs are recorded as pkt-lines, as the caller got them; packs and reports as a line of JSON each. Frames are cut anywhere. */
function* reply({ exchange, at, bytes }: RecordedFrame, open: Open): Generator<ReplayItem> {
  open.kind ??= bytes[0] === 0x7b ? 'json' : 'refs';
  const lines = open.kind === 'json' ? jsonLines(open, bytes) : packetLines(open, bytes);
  for (const line of lines) {
    if (++open.lines > maxLines) continue;
    if (open.kind === 'json') yield { kind: 'status', exchange, at, text: told(line) };
    else {
      if (open.lines === 1) yield { kind: 'columns', exchange, names: ['refs'] };
      yield { kind: 'row', exchange, values: [harmless(line).slice(0, maxLine)] };
    }
  }
}

function* jsonLines(open: Open, bytes: Buffer): Generator<string> {
  open.carry = Buffer.concat([open.carry, bytes]);
  for (let end = open.carry.indexOf(0x0a); end >= 0; end = open.carry.indexOf(0x0a)) {
    yield open.carry.toString('utf8', 0, end);
    open.carry = open.carry.subarray(end + 1);
  }
}

/** Names only: what stands behind a NUL are capabilities. */
function* packetLines(open: Open, bytes: Buffer): Generator<string> {
  open.packets.push(bytes);
  for (let next = open.packets.next(); next !== undefined; next = open.packets.next()) {
    if (typeof next !== 'string') yield next.toString('utf8').split('\0')[0]!.trimEnd();
  }
}

function told(line: string): string {
  const said = JSON.parse(line) as {
    readonly pack?: NonNullable<Asked['pack']>;
    readonly object?: { readonly oid: string; readonly bytes: number };
    readonly negotiation?: boolean;
    readonly remote?: readonly string[];
    readonly unpack?: string;
    readonly refs?: readonly (readonly [string, { readonly ok: boolean; readonly reason?: string }])[];
  };
  if (said.pack !== undefined) return packText(said.pack);
  if (said.object !== undefined) return `object: ${said.object.bytes} bytes, SHA-256 ${said.object.oid}`;
  if (said.remote !== undefined) return said.remote.map((text) => `remote: ${text}`).join('\n');
  if (said.refs !== undefined) {
    return said.refs
      .map(([ref, { ok, reason }]) => `${ok ? 'ok' : 'ng'} ${ref}${reason === undefined ? '' : ` ${reason}`}`)
      .join('\n');
  }
  return said.negotiation === true ? 'no pack yet: what the two have in common was talked about' : line;
}
