import { MessageBody, strictText } from './message-body.ts';
import { int32, message, sized, terminated, uint16, uint32 } from './message-builder.ts';
import { Client } from './message-types.ts';

/**
 * Messages that a client sends. Parsers take a whole message, `buffer[start..end)` as MessageReader shows it, and are strict:
 * a missing terminator, a count that does not fit or a byte too many is a PeerError. Text that is not UTF-8 is a Refusal.
 */
function open(name: string, buffer: Buffer, start: number, end: number): MessageBody {
  return new MessageBody('client', name, buffer, start + 5, end);
}

/** The text of a Query. */
export function parseQuery(buffer: Buffer, start: number, end: number): string {
  const body = open('Query', buffer, start, end);
  const text = body.string();
  body.done();
  return text;
}

export interface Parse {
  readonly statement: string;
  readonly text: string;
  /** 0 leaves the type to the server. */
  readonly parameterTypes: readonly number[];
}

export function parseParse(buffer: Buffer, start: number, end: number): Parse {
  const body = open('Parse', buffer, start, end);
  const statement = body.string();
  const text = body.string();
  const parameterTypes: number[] = [];
  for (let left = body.uint16(); left > 0; left--) parameterTypes.push(body.uint32());
  body.done();
  return { statement, text, parameterTypes };
}

export type Format = 0 | 1;

export interface Bind {
  readonly portal: string;
  readonly statement: string;
  /** None (all text), one for all, or one for each parameter; 0 text, 1 binary. */
  readonly formats: readonly Format[];
  /** Text as it is, binary as `\x…`. */
  readonly parameters: readonly (string | null)[];
  /** None (all text), one for all, or one for each column. */
  readonly resultFormats: readonly Format[];
  /** Where in the buffer the two names end: what follows can be sent on under other names. */
  readonly tail: number;
}

export function parseBind(buffer: Buffer, start: number, end: number): Bind {
  const body = open('Bind', buffer, start, end);
  const portal = body.string();
  const statement = body.string();
  const tail = body.at;
  const formats = readFormats(body);
  const count = body.uint16();
  if (formats.length > 1 && formats.length !== count)
    throw body.broken(`has ${formats.length} formats for ${count} parameters`);
  const parameters: (string | null)[] = [];
  for (let i = 0; i < count; i++) parameters.push(shown(body.value(), formatOf(formats, i)));
  const resultFormats = readFormats(body);
  body.done();
  return { portal, statement, formats, parameters, resultFormats, tail };
}

/** The format of the parameter or column number `index` (from 0). */
export function formatOf(formats: readonly Format[], index: number): Format {
  return (formats.length === 1 ? formats[0] : formats[index]) ?? 0;
}

function readFormats(body: MessageBody): readonly Format[] {
  const formats: Format[] = [];
  for (let left = body.uint16(); left > 0; left--) {
    const format = body.int16();
    if (format !== 0 && format !== 1) throw body.broken(`has the format ${format}; 0 and 1 exist`);
    formats.push(format);
  }
  return formats;
}

function shown(value: Buffer | null, format: Format): string | null {
  if (value === null) return null;
  return format === 1 ? `\\x${value.toString('hex')}` : strictText(value);
}

/** What Describe and Close name. */
export interface Named {
  readonly kind: 'statement' | 'portal';
  readonly name: string;
}

/** Describe and Close have the same shape. */
export function parseNamed(buffer: Buffer, start: number, end: number): Named {
  const body = open('Describe or Close', buffer, start, end);
  const kind = body.byte();
  if (kind !== 0x53 && kind !== 0x50) throw body.broken('names neither a statement nor a portal');
  const name = body.string();
  body.done();
  return { kind: kind === 0x53 ? 'statement' : 'portal', name };
}

export interface Execute {
  readonly portal: string;
  /** 0 is no limit. */
  readonly maxRows: number;
}

export function parseExecute(buffer: Buffer, start: number, end: number): Execute {
  const body = open('Execute', buffer, start, end);
  const portal = body.string();
  const maxRows = Math.max(0, body.int32()); // PostgreSQL takes a negative count for none
  body.done();
  return { portal, maxRows };
}

export interface FunctionCall {
  readonly oid: number;
  readonly formats: readonly Format[];
  readonly parameters: readonly (string | null)[];
  readonly resultFormat: Format;
}

export function parseFunctionCall(buffer: Buffer, start: number, end: number): FunctionCall {
  const body = open('FunctionCall', buffer, start, end);
  const oid = body.uint32();
  const formats = readFormats(body);
  const count = body.uint16();
  if (formats.length > 1 && formats.length !== count)
    throw body.broken(`has ${formats.length} formats for ${count} arguments`);
  const parameters: (string | null)[] = [];
  for (let i = 0; i < count; i++) parameters.push(shown(body.value(), formatOf(formats, i)));
  const resultFormat = body.int16();
  if (resultFormat !== 0 && resultFormat !== 1) throw body.broken(`has the format ${resultFormat}; 0 and 1 exist`);
  body.done();
  return { oid, formats, parameters, resultFormat };
}

/** A cleartext or md5 password. */
export function parsePassword(buffer: Buffer, start: number, end: number): string {
  const body = open('PasswordMessage', buffer, start, end);
  const password = body.string();
  body.done();
  return password;
}

/** The reason a client gives for ending COPY FROM. */
export function parseCopyFail(buffer: Buffer, start: number, end: number): string {
  const body = open('CopyFail', buffer, start, end);
  const reason = body.string();
  body.done();
  return reason;
}

/** Flush, Sync, Terminate and CopyDone have no body. */
export function parseEmpty(buffer: Buffer, start: number, end: number): void {
  open('a message without a body', buffer, start, end).done();
}

export function query(text: string): Buffer {
  return message(Client.Query, terminated(text));
}

export function parse(statement: string, text: string, parameterTypes: readonly number[] = []): Buffer {
  return message(
    Client.Parse,
    terminated(statement),
    terminated(text),
    uint16(parameterTypes.length),
    ...parameterTypes.map(uint32),
  );
}

export interface BindFields {
  readonly portal?: string;
  readonly statement?: string;
  readonly formats?: readonly Format[];
  readonly parameters?: readonly (string | Buffer | null)[];
  readonly resultFormats?: readonly Format[];
}

export function bind(fields: BindFields = {}): Buffer {
  const { portal = '', statement = '', formats = [], parameters = [], resultFormats = [] } = fields;
  return message(
    Client.Bind,
    terminated(portal),
    terminated(statement),
    uint16(formats.length),
    ...formats.map(uint16),
    uint16(parameters.length),
    ...parameters.map(sized),
    uint16(resultFormats.length),
    ...resultFormats.map(uint16),
  );
}

/** A Bind under other names; `tail` are the bytes that follow the names in the original. */
export function bindAs(portal: string, statement: string, tail: Buffer): Buffer {
  return message(Client.Bind, terminated(portal), terminated(statement), tail);
}

export function describe(kind: Named['kind'], name = ''): Buffer {
  return message(Client.Describe, kindByte(kind), terminated(name));
}

export function close(kind: Named['kind'], name = ''): Buffer {
  return message(Client.Close, kindByte(kind), terminated(name));
}

function kindByte(kind: Named['kind']): Buffer {
  return Buffer.of(kind === 'statement' ? 0x53 : 0x50);
}

export function execute(portal = '', maxRows = 0): Buffer {
  return message(Client.Execute, terminated(portal), int32(maxRows));
}

export function functionCall(oid: number, parameters: readonly (string | Buffer | null)[], format: Format = 0): Buffer {
  return message(
    Client.FunctionCall,
    uint32(oid),
    uint16(1),
    uint16(format),
    uint16(parameters.length),
    ...parameters.map(sized),
    uint16(format),
  );
}

export const sync: Buffer = message(Client.Sync);
export const flush: Buffer = message(Client.Flush);
export const terminate: Buffer = message(Client.Terminate);
export const copyDone: Buffer = message(Client.CopyDone);

export function copyData(bytes: Buffer): Buffer {
  return message(Client.CopyData, bytes);
}

export function copyFail(reason: string): Buffer {
  return message(Client.CopyFail, terminated(reason));
}

export function passwordMessage(password: string): Buffer {
  return message(Client.Password, terminated(password));
}

export function saslInitialResponse(mechanism: string, data: string): Buffer {
  return message(Client.Password, terminated(mechanism), sized(data));
}

export function saslResponse(data: string): Buffer {
  return message(Client.Password, Buffer.from(data, 'utf8'));
}
