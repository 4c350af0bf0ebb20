import type { Format } from './client-messages.ts';
import { MessageBody } from './message-body.ts';
import { int16, int32, message, sized, terminated, uint16, uint32 } from './message-builder.ts';
import { Server } from './message-types.ts';
import type { BackendKey } from './startup-packets.ts';

/** Messages that a server sends. Parsers are as strict as the client's (client-messages.ts) and throw PeerError only. */
function open(name: string, buffer: Buffer, start: number, end: number): MessageBody {
  return new MessageBody('server', name, buffer, start + 5, end);
}

export interface Field {
  readonly name: string;
  /** 0 when the column is not a table's. */
  readonly tableOid: number;
  /** From 1; 0 for none or a whole row, negative for system columns. */
  readonly attnum: number;
  readonly typeOid: number;
  readonly typlen: number;
  readonly typmod: number;
  readonly format: Format;
}

export function parseRowDescription(buffer: Buffer, start: number, end: number): readonly Field[] {
  const body = open('RowDescription', buffer, start, end);
  const fields: Field[] = [];
  for (let left = body.uint16(); left > 0; left--) {
    const name = body.string();
    const tableOid = body.uint32();
    const attnum = body.int16();
    const typeOid = body.uint32();
    const typlen = body.int16();
    const typmod = body.int32();
    fields.push({ name, tableOid, attnum, typeOid, typlen, typmod, format: readFormat(body) });
  }
  body.done();
  return fields;
}

function readFormat(body: MessageBody): Format {
  const format = body.int16();
  if (format !== 0 && format !== 1) throw body.broken(`has the format ${format}; 0 and 1 exist`);
  return format;
}

/** The values of a row, not copied. For speed, masking walks rows itself; this is for the few rows the gateway reads. */
export function parseDataRow(buffer: Buffer, start: number, end: number): readonly (Buffer | null)[] {
  const body = open('DataRow', buffer, start, end);
  const values: (Buffer | null)[] = [];
  for (let left = body.uint16(); left > 0; left--) values.push(body.value());
  body.done();
  return values;
}

/** The tag, such as `INSERT 0 5`. */
export function parseCommandComplete(buffer: Buffer, start: number, end: number): string {
  const body = open('CommandComplete', buffer, start, end);
  const tag = body.string();
  body.done();
  return tag;
}

/** Rows that a tag counts; 0 for tags that count none. */
export function rowsOf(tag: string): number {
  const match = /^(?:INSERT \d+|SELECT|UPDATE|DELETE|MERGE|COPY|FETCH|MOVE) (\d{1,15})$/.exec(tag);
  return match === null ? 0 : Number(match[1]);
}

/** An error or notice. Fields by their letter (PostgreSQL manual, “Error and Notice Message Fields”). */
export interface ServerReport {
  /** The severity that no locale translates: ERROR, FATAL, NOTICE, … */
  readonly severity: string;
  /** Five characters; XX000 when the server sent none that could be one. */
  readonly sqlstate: string;
  readonly message: string;
  readonly fields: ReadonlyMap<string, string>;
}

/** ErrorResponse and NoticeResponse have the same shape. A field sent twice counts once, the first. */
export function parseReport(buffer: Buffer, start: number, end: number): ServerReport {
  const body = open('an error or notice', buffer, start, end);
  const fields = new Map<string, string>();
  for (let letter = body.byte(); letter !== 0; letter = body.byte()) {
    const name = String.fromCharCode(letter);
    const text = body.string();
    if (!fields.has(name)) fields.set(name, text);
  }
  body.done();
  const code = fields.get('C') ?? '';
  return {
    severity: fields.get('V') ?? fields.get('S') ?? 'ERROR',
    sqlstate: /^[0-9A-Z]{5}$/.test(code) ? code : 'XX000',
    message: fields.get('M') ?? '',
    fields,
  };
}

export function parseParameterStatus(
  buffer: Buffer,
  start: number,
  end: number,
): { readonly name: string; readonly value: string } {
  const body = open('ParameterStatus', buffer, start, end);
  const name = body.string();
  const value = body.string();
  body.done();
  return { name, value };
}

/** Idle, in a transaction, or in a failed transaction. */
export type TransactionStatus = 'I' | 'T' | 'E';

export function parseReadyForQuery(buffer: Buffer, start: number, end: number): TransactionStatus {
  const body = open('ReadyForQuery', buffer, start, end);
  const status = String.fromCharCode(body.byte());
  body.done();
  if (status !== 'I' && status !== 'T' && status !== 'E') throw body.broken('has a status that does not exist');
  return status;
}

/** The key is copied: it outlives the buffer. */
export function parseBackendKeyData(buffer: Buffer, start: number, end: number): BackendKey {
  const body = open('BackendKeyData', buffer, start, end);
  const processId = body.int32();
  if (body.left < 4 || body.left > 256) throw body.broken('has a key of an impossible size');
  return { processId, secret: Buffer.from(body.bytes(body.left)) };
}

export interface Notification {
  readonly processId: number;
  readonly channel: string;
  readonly payload: string;
}

export function parseNotification(buffer: Buffer, start: number, end: number): Notification {
  const body = open('NotificationResponse', buffer, start, end);
  const processId = body.int32();
  const channel = body.string();
  const payload = body.string();
  body.done();
  return { processId, channel, payload };
}

export interface CopyResponse {
  readonly format: Format;
  readonly columnFormats: readonly Format[];
}

/** CopyInResponse, CopyOutResponse and CopyBothResponse have the same shape. */
export function parseCopyResponse(buffer: Buffer, start: number, end: number): CopyResponse {
  const body = open('CopyResponse', buffer, start, end);
  const format = body.byte();
  if (format !== 0 && format !== 1) throw body.broken(`has the format ${format}; 0 and 1 exist`);
  const columnFormats: Format[] = [];
  for (let left = body.uint16(); left > 0; left--) columnFormats.push(readFormat(body));
  body.done();
  return { format, columnFormats };
}

/** Type OIDs of a statement's parameters. */
export function parseParameterDescription(buffer: Buffer, start: number, end: number): readonly number[] {
  const body = open('ParameterDescription', buffer, start, end);
  const types: number[] = [];
  for (let left = body.uint16(); left > 0; left--) types.push(body.uint32());
  body.done();
  return types;
}

export interface Negotiation {
  /** The newest minor version of protocol 3 that the server speaks. */
  readonly minor: number;
  readonly unknownOptions: readonly string[];
}

export function parseNegotiateProtocolVersion(buffer: Buffer, start: number, end: number): Negotiation {
  const body = open('NegotiateProtocolVersion', buffer, start, end);
  const version = body.uint32();
  if (version >>> 16 !== 0 && version >>> 16 !== 3) throw body.broken('speaks another major version');
  const count = body.int32();
  if (count < 0 || count > body.left) throw body.broken('counts more options than it has');
  const unknownOptions: string[] = [];
  for (let left = count; left > 0; left--) unknownOptions.push(body.string());
  body.done();
  return { minor: version & 0xffff, unknownOptions };
}

export type Authentication =
  | { readonly kind: 'ok' | 'cleartext' }
  | { readonly kind: 'md5'; readonly salt: Buffer }
  | { readonly kind: 'sasl'; readonly mechanisms: readonly string[] }
  | { readonly kind: 'sasl-continue' | 'sasl-final'; readonly data: string }
  | { readonly kind: 'unsupported'; readonly code: number };

/** Buffers are copied. */
export function parseAuthentication(buffer: Buffer, start: number, end: number): Authentication {
  const body = open('Authentication', buffer, start, end);
  const code = body.int32();
  switch (code) {
    case 0:
    case 3:
      body.done();
      return { kind: code === 0 ? 'ok' : 'cleartext' };
    case 5: {
      const salt = Buffer.from(body.bytes(4));
      body.done();
      return { kind: 'md5', salt };
    }
    case 10: {
      const mechanisms: string[] = [];
      for (let name = body.string(); name !== ''; name = body.string()) mechanisms.push(name);
      body.done();
      return { kind: 'sasl', mechanisms };
    }
    case 11:
    case 12:
      return { kind: code === 11 ? 'sasl-continue' : 'sasl-final', data: body.bytes(body.left).toString('utf8') };
    default:
      return { kind: 'unsupported', code };
  }
}

export interface Report {
  readonly severity: 'ERROR' | 'FATAL' | 'PANIC' | 'WARNING' | 'NOTICE' | 'INFO' | 'LOG' | 'DEBUG';
  /** SQLSTATE. */
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

export function errorResponse(report: Report): Buffer {
  return reportMessage(Server.ErrorResponse, report);
}

export function noticeResponse(report: Report): Buffer {
  return reportMessage(Server.NoticeResponse, report);
}

function reportMessage(type: number, report: Report): Buffer {
  const field = (letter: string, text: string | undefined) =>
    // What a report quotes may hold anything; a zero byte would end the field early.
    text === undefined ? '' : `${letter}${text.replaceAll('\0', '�')}\0`;
  const { severity, code, message: text, detail, hint } = report;
  const fields = [
    field('S', severity),
    field('V', severity),
    field('C', code),
    field('M', text),
    field('D', detail),
    field('H', hint),
  ];
  return message(type, Buffer.from(`${fields.join('')}\0`, 'utf8'));
}

export function readyForQuery(status: TransactionStatus): Buffer {
  return message(Server.ReadyForQuery, Buffer.from(status, 'latin1'));
}

export const authenticationOk: Buffer = message(Server.Authentication, int32(0));
export const authenticationCleartextPassword: Buffer = message(Server.Authentication, int32(3));

export function authenticationMd5Password(salt: Buffer): Buffer {
  return message(Server.Authentication, int32(5), salt);
}

export function authenticationSasl(mechanisms: readonly string[]): Buffer {
  return message(Server.Authentication, int32(10), ...mechanisms.map(terminated), Buffer.of(0));
}

export function authenticationSaslContinue(data: string): Buffer {
  return message(Server.Authentication, int32(11), Buffer.from(data, 'utf8'));
}

export function authenticationSaslFinal(data: string): Buffer {
  return message(Server.Authentication, int32(12), Buffer.from(data, 'utf8'));
}

export function parameterStatus(name: string, value: string): Buffer {
  return message(Server.ParameterStatus, terminated(name), terminated(value));
}

export function backendKeyData(key: BackendKey): Buffer {
  return message(Server.BackendKeyData, int32(key.processId), key.secret);
}

export function negotiateProtocolVersion(minor: number, unknownOptions: readonly string[]): Buffer {
  return message(
    Server.NegotiateProtocolVersion,
    uint32((3 << 16) | minor),
    int32(unknownOptions.length),
    ...unknownOptions.map(terminated),
  );
}

export function rowDescription(fields: readonly Field[]): Buffer {
  const parts = fields.map((f) =>
    Buffer.concat([
      terminated(f.name),
      uint32(f.tableOid),
      int16(f.attnum),
      uint32(f.typeOid),
      int16(f.typlen),
      int32(f.typmod),
      int16(f.format),
    ]),
  );
  return message(Server.RowDescription, uint16(fields.length), ...parts);
}

/** A text column that belongs to no table. */
export function textField(name: string): Field {
  return { name, tableOid: 0, attnum: 0, typeOid: 25, typlen: -1, typmod: -1, format: 0 };
}

export function dataRow(values: readonly (string | Buffer | null)[]): Buffer {
  return message(Server.DataRow, uint16(values.length), ...values.map(sized));
}

export function commandComplete(tag: string): Buffer {
  return message(Server.CommandComplete, terminated(tag));
}

export function parameterDescription(types: readonly number[]): Buffer {
  return message(Server.ParameterDescription, uint16(types.length), ...types.map(uint32));
}

export function notificationResponse(notification: Notification): Buffer {
  return message(
    Server.NotificationResponse,
    int32(notification.processId),
    terminated(notification.channel),
    terminated(notification.payload),
  );
}

/** Which way a COPY goes. */
export function copyResponse(direction: 'in' | 'out', format: Format, columns: number): Buffer {
  const type = direction === 'in' ? Server.CopyInResponse : Server.CopyOutResponse;
  return message(type, Buffer.of(format), uint16(columns), ...Array.from({ length: columns }, () => uint16(format)));
}

export const parseComplete: Buffer = message(Server.ParseComplete);
export const bindComplete: Buffer = message(Server.BindComplete);
export const closeComplete: Buffer = message(Server.CloseComplete);
export const noData: Buffer = message(Server.NoData);
export const emptyQueryResponse: Buffer = message(Server.EmptyQueryResponse);
export const portalSuspended: Buffer = message(Server.PortalSuspended);
