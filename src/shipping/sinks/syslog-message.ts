import { severityOf } from '../formats/meaning.ts';
import type { ShippedRecord } from '../record.ts';

export interface SyslogOptions {
  /** RFC 5424, 6.2.1; 13 is “log audit”. */
  readonly facility: number;
  readonly hostname: string;
  /** SD-ID of our element: `name@enterprise-number`. */
  readonly structuredData: string;
}

/**
 * One record, whose JSON is ASCII, as an RFC 5424 message: so MSG needs no byte order mark (6.4), and every receiver reads it alike. The element of structured data has what receivers filter and tell duplicates by.
 */
export function syslogMessage({ event, log, after, json }: ShippedRecord, options: SyslogOptions): Buffer {
  // Ours are OCSF's 1–3; syslog's are 6 informational, 5 notice, 4 warning (6.2.1).
  const priority = options.facility * 8 + (7 - severityOf(event));
  const parameters = { log, seq: String(event.seq), after: String(after), type: event.type, ...given(event) };
  const element = Object.entries(parameters)
    .map(([name, value]) => ` ${name}="${escaped(value)}"`)
    .join('');
  const header = `<${priority}>1 ${event.time} ${printable(options.hostname, 255)} sallyport ${process.pid} ${printable(event.type, 32)}`;
  return Buffer.from(`${header} [${options.structuredData}${element}] ${json}`);
}

/** RFC 6587, 3.4.1 and RFC 5425, 4.3: each message preceded by its length in bytes. */
export function octetCounted(messages: readonly Buffer[]): Buffer {
  return Buffer.concat(messages.flatMap((message) => [Buffer.from(`${message.length} `), message]));
}

function given(event: Readonly<Record<string, unknown>>): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of ['session', 'principal', 'target'] as const) {
    const value = event[name];
    if (typeof value === 'string') found[name] = value;
  }
  return found;
}

/** 6.3.3: `"`, `\` and `]` are escaped; a lone surrogate cannot be written in UTF-8, and control characters would end a line somewhere. */
function escaped(value: string): string {
  return value
    .toWellFormed()
    .slice(0, 256)
    .toWellFormed()
    .replaceAll(/[\\"\]]/g, (character) => `\\${character}`)
    .replaceAll(/\p{Cc}/gu, ' ');
}

/** Header fields are printable ASCII without spaces (6.2); `-` stands for nothing. */
function printable(value: string, most: number): string {
  const text = value.replaceAll(/[^\x21-\x7e]/g, '_').slice(0, most);
  return text === '' ? '-' : text;
}
