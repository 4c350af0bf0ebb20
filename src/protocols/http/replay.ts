import type { RecordedFrame, ReplayItem } from '../../gateway/protocol.ts';

/** Bodies are shown up to here, a line an item; the recording holds all of them. */
const shownBytes = 256 * 1024;
const shownLine = 4096;

interface Shown {
  head: boolean;
  left: number;
  carry: string;
}

/** A recording of this protocol as requests, statuses and lines of bodies. Replies are what the caller saw: masks are in place. */
export async function* replay(frames: AsyncIterable<RecordedFrame>): AsyncGenerator<ReplayItem> {
  const replies = new Map<number, Shown>();
  const bodies = new Map<number, Shown>();
  for await (const frame of frames) {
    const { exchange, at, direction } = frame;
    if (direction === 'request') yield* request(frame);
    else if (direction === 'sent') yield* lines(shownOf(bodies, exchange, true), exchange, frame.bytes, '> ');
    else {
      const shown = shownOf(replies, exchange, false);
      let { head, rest } = split(shown, frame.bytes);
      while (head !== undefined) {
        yield { kind: 'status', exchange, at, text: head };
        ({ head, rest } = split(shown, rest));
      }
      yield* lines(shown, exchange, rest, '');
    }
    for (const shown of [replies, bodies])
      for (const [old, { carry }] of shown)
        if (old < exchange - 256) {
          if (carry !== '') yield { kind: 'row', exchange: old, values: [carry] };
          shown.delete(old);
        }
  }
  for (const [exchange, { carry }] of [...bodies, ...replies])
    if (carry !== '') yield { kind: 'row', exchange, values: [carry] };
}

function shownOf(all: Map<number, Shown>, exchange: number, head: boolean): Shown {
  let shown = all.get(exchange);
  if (shown === undefined) {
    shown = { head, left: shownBytes, carry: '' };
    all.set(exchange, shown);
  }
  return shown;
}

function* request({ exchange, at, bytes }: RecordedFrame): Generator<ReplayItem> {
  const asked = JSON.parse(bytes.toString('utf8')) as {
    readonly text?: string;
    readonly parameters?: (string | null)[];
    readonly refused?: string;
  };
  if (asked.refused !== undefined) yield { kind: 'status', exchange, at, text: `refused: ${asked.refused}` };
  if (asked.text === undefined) return;
  const { text, parameters } = asked;
  yield { kind: 'command', exchange, at, text, ...(parameters === undefined ? {} : { parameters }) };
}

/** A reply begins with lines of JSON, one for each interim answer and one for its head; see `exchange.ts`. */
function split(shown: Shown, bytes: Buffer): { readonly head?: string; readonly rest: Buffer } {
  if (shown.head) return { rest: bytes };
  const end = bytes.indexOf(0x0a);
  if (end < 0) {
    shown.carry += bytes.toString('utf8');
    return { rest: Buffer.alloc(0) };
  }
  const line = shown.carry + bytes.toString('utf8', 0, end);
  shown.carry = '';
  const { status, fields } = JSON.parse(line) as { readonly status: number; readonly fields: readonly string[] };
  shown.head = status === 101 || status >= 200;
  const type = fields[fields.indexOf('content-type') + 1];
  return { head: `${status}${fields.includes('content-type') ? ` ${type}` : ''}`, rest: bytes.subarray(end + 1) };
}

function* lines(shown: Shown, exchange: number, bytes: Buffer, mark: string): Generator<ReplayItem> {
  if (shown.left <= 0 || bytes.length === 0) return;
  const visible = bytes.subarray(0, shown.left);
  shown.left -= visible.length;
  const [first = '', ...rest] = (shown.carry + visible.toString('utf8')).split('\n');
  let line = first;
  for (const next of rest) {
    yield { kind: 'row', exchange, values: [mark + line.slice(0, shownLine)] };
    line = next;
  }
  shown.carry = line.slice(0, shownLine);
  if (shown.left > 0) return;
  yield { kind: 'row', exchange, values: [`${mark}${shown.carry}…`] };
  shown.carry = '';
}
