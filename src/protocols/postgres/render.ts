import type { RecordedFrame, ReplayItem } from '../../gateway/protocol.ts';
import {
  type Field,
  Found,
  MessageReader,
  parseCommandComplete,
  parseDataRow,
  parseReport,
  parseRowDescription,
  Server,
  serverCaps,
} from './codec.ts';
import { CopiedLines } from './copied-lines.ts';

/** Values longer than this are shortened for the screen; the recording keeps them whole. */
const shownBytes = 4096;

/** A recording of this protocol as statements, columns and rows. Replies are what the client saw: masks are in place. */
export async function* replay(frames: AsyncIterable<RecordedFrame>): AsyncGenerator<ReplayItem> {
  const replies = new Map<number, ReplyRenderer>();
  let copied: { readonly exchange: number; readonly lines: CopiedLines } | undefined;
  for await (const frame of frames) {
    const { exchange, direction } = frame;
    if (direction === 'sent') {
      if (copied?.exchange !== exchange) {
        if (copied !== undefined) yield* copied.lines.end();
        copied = { exchange, lines: new CopiedLines(exchange) };
      }
      yield* copied.lines.feed(frame.bytes);
      continue;
    }
    if (direction === 'request') yield* request(frame, replies);
    else {
      // The server asks for the data, and says how it went.
      if (copied?.exchange === exchange) {
        yield* copied.lines.end();
        copied = undefined;
      }
      yield* rendererOf(replies, exchange).feed(frame);
    }
    // Exchanges do not interleave for long: what is far behind is complete.
    for (const old of replies.keys()) if (old < exchange - 64) replies.delete(old);
  }
  if (copied !== undefined) yield* copied.lines.end();
}

function rendererOf(replies: Map<number, ReplyRenderer>, exchange: number): ReplyRenderer {
  const found = replies.get(exchange);
  if (found !== undefined) return found;
  const made = new ReplyRenderer(exchange);
  replies.set(exchange, made);
  return made;
}

function* request(frame: RecordedFrame, replies: Map<number, ReplyRenderer>): Generator<ReplayItem> {
  const { exchange, at } = frame;
  const asked = JSON.parse(frame.bytes.toString('utf8')) as {
    text?: string;
    parameters?: (string | null)[];
    columns?: string[];
    refused?: string;
  };
  if (asked.refused !== undefined) yield { kind: 'status', exchange, at, text: `refused: ${asked.refused}` };
  if (asked.text === undefined) return;
  yield {
    kind: 'command',
    exchange,
    at,
    text: asked.text,
    ...(asked.parameters === undefined ? {} : { parameters: asked.parameters }),
  };
  if (asked.columns !== undefined) {
    yield { kind: 'columns', exchange, names: asked.columns };
    rendererOf(replies, exchange);
  }
}

/** The replies of one exchange: PostgreSQL messages, cut anywhere. */
class ReplyRenderer {
  readonly #reader = new MessageReader('server', serverCaps);
  readonly #exchange: number;
  #fields: readonly Field[] = [];
  #large = 0;

  constructor(exchange: number) {
    this.#exchange = exchange;
  }

  *feed(frame: RecordedFrame): Generator<ReplayItem> {
    const reader = this.#reader;
    reader.feed(frame.bytes);
    for (let found = reader.next(); found !== Found.Nothing; found = reader.next()) {
      if (found === Found.Message) yield* this.#message(reader.type, reader.buffer, reader.start, reader.end, frame.at);
      else {
        this.#large += reader.end - reader.start;
        if (found === Found.LargePiece && reader.remaining === 0) {
          yield { kind: 'row', exchange: this.#exchange, values: [`(a row of ${this.#large} bytes)`] };
          this.#large = 0;
        }
      }
    }
  }

  *#message(type: number, buffer: Buffer, start: number, end: number, at: number): Generator<ReplayItem> {
    const exchange = this.#exchange;
    switch (type) {
      case Server.RowDescription:
        this.#fields = parseRowDescription(buffer, start, end);
        yield { kind: 'columns', exchange, names: this.#fields.map((field) => field.name) };
        return;
      case Server.DataRow:
        yield {
          kind: 'row',
          exchange,
          values: parseDataRow(buffer, start, end).map((value, i) => shown(value, this.#fields[i]?.format === 1)),
        };
        return;
      case Server.CopyData:
        yield { kind: 'row', exchange, values: [shown(buffer.subarray(start + 5, end), false)] };
        return;
      case Server.CommandComplete:
        yield { kind: 'status', exchange, at, text: parseCommandComplete(buffer, start, end) };
        return;
      case Server.ErrorResponse:
      case Server.NoticeResponse: {
        const report = parseReport(buffer, start, end);
        yield { kind: 'status', exchange, at, text: `${report.severity} ${report.sqlstate}: ${report.message}` };
        return;
      }
      default:
    }
  }
}

function shown(value: Buffer | null, binary: boolean): string | null {
  if (value === null) return null;
  const head = value.subarray(0, shownBytes);
  const text = binary && !printable(head) ? `\\x${head.toString('hex')}` : head.toString('utf8');
  return value.length > shownBytes ? `${text}… (${value.length} bytes)` : text;
}

function printable(bytes: Buffer): boolean {
  return bytes.every((byte) => byte >= 0x20 && byte !== 0x7f);
}
