import type { RecordedEvent } from '../model/event.ts';

/** The events of one entry: one JSON line each, in order. Throws SyntaxError when a line is not JSON or the last one has no end. */
export function parseEntry(payload: Buffer): readonly RecordedEvent[] {
  const text = payload.toString('utf8');
  if (!text.endsWith('\n')) throw new SyntaxError('the entry does not end in a newline');
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as RecordedEvent);
}

/** Number and time of an entry's last event. */
export function lastEvent(payload: Buffer): { readonly seq: number; readonly time: number } {
  const start = payload.lastIndexOf(0x0a, payload.length - 2) + 1;
  const event = JSON.parse(payload.toString('utf8', start)) as RecordedEvent;
  return { seq: event.seq, time: Date.parse(event.time) };
}

/** What the index has to know about a command's event, read off its line without parsing all of it. */
export interface CommandLine {
  readonly intent: boolean;
  readonly session: string;
  readonly exchange: string;
  readonly seq: number;
  readonly prepareOnly: boolean;
}

const commandLine =
  /\{"seq":(\d+),"time":"[^"]{24}","type":"command\.(intent|outcome)","session":"([^"\\]*)","principal":"(?:[^"\\]|\\.)*","target":"(?:[^"\\]|\\.)*","exchange":(\d+),/y;

/**
 * Walks the lines of an entry. Those of the data path (an intent or an outcome as `gateway/events.ts` writes them) go to `command`;
 * all others are parsed and go to `other`.
 */
export function walkEntry(
  payload: Buffer,
  command: (line: CommandLine) => void,
  other: (event: RecordedEvent) => void,
): void {
  // One character a byte, so that places in the text are places in the bytes.
  const text = payload.toString('latin1');
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start);
    if (end === -1) throw new SyntaxError('the entry does not end in a newline');
    commandLine.lastIndex = start;
    const match = commandLine.exec(text);
    if (match === null) {
      other(JSON.parse(payload.toString('utf8', start, end)) as RecordedEvent);
    } else {
      const [, seq, kind, session, exchange] = match as unknown as [string, string, string, string, string];
      const intent = kind === 'intent';
      // Inside a JSON text this sequence cannot stand: its quotes would be escaped.
      const prepareOnly = intent && text.slice(start, end).includes(',"prepareOnly":true,');
      command({ intent, session, exchange, seq: Number(seq), prepareOnly });
    }
    start = end + 1;
  }
}
