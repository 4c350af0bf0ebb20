import { Refusal } from '../../../model/errors.ts';
import { type Fields, field } from '../../../web/message.ts';
import type { Carried } from './carried.ts';
import { carryForm } from './form.ts';
import { carryJson, utf8 } from './json.ts';
import { carryMultipart } from './multipart.ts';

/** A request's body as far as it is known when it is decided on: none, all of it, or too large to be held. */
export type KnownBody = Buffer | undefined | 'too large';

/**
 * Gathers what a body carries, in every form that a server could take it for. What cannot be looked into is the finding
 * `body.unseen`: a rule that goes by fields has to say what becomes of such a request.
 */
export function carryBody(body: KnownBody, fields: Fields, carried: Carried): void {
  if (body === undefined || body.length === 0) return;
  const type = mediaType(fields);
  if (body === 'too large' || isEncoded(fields)) {
    carried.found('body.unseen');
    return;
  }
  const read = readers(type, body, carried).filter((reader) => reader());
  if (read.length === 0) carried.found('body.unseen');
}

/** Each reads the body in one way and says whether it was that. */
function readers(type: MediaType, body: Buffer, carried: Carried): readonly (() => boolean)[] {
  if (type.charset !== undefined && !/^(?:utf-?8|us-ascii)$/.test(type.charset)) return [];
  const asJson = () => carryJson(body, 'body', carried) !== undefined;
  const asForm = () => carryText(body, carried);
  if (type.name === 'multipart/form-data') return [() => carryMultipart(body, type.boundary ?? '', carried)];
  if (type.name === 'application/x-www-form-urlencoded') return looksLikeJson(body) ? [asForm, asJson] : [asForm];
  if (/^application\/(?:[a-z0-9.+-]+\+)?json$|^text\/json$/.test(type.name)) return [asJson];
  if (/^application\/(?:x-)?(?:ndjson|jsonl|json-seq|json-lines)$/.test(type.name))
    return [() => carryLines(body, carried)];
  // Without a type, or with one that any client sends: many servers parse what it looks like.
  if (looksLikeJson(body)) return [asJson];
  return [];
}

function carryText(body: Buffer, carried: Carried): boolean {
  const text = utf8(body);
  if (text === undefined) return false;
  carryForm(text, 'body', carried);
  return true;
}

function carryLines(body: Buffer, carried: Carried): boolean {
  const text = utf8(body);
  if (text === undefined) return false;
  const lines = text
    .replaceAll('\x1e', '\n')
    .split('\n')
    .filter((line) => line.trim() !== '');
  return lines.every((line) => carryJson(Buffer.from(line), 'body', carried) !== undefined);
}

function looksLikeJson(body: Buffer): boolean {
  return /^[ \t\r\n]*[[{]/.test(body.toString('latin1', 0, 64));
}

export interface MediaType {
  /** Lower case; empty where there is none. */
  readonly name: string;
  readonly charset?: string;
  readonly boundary?: string;
}

/** Reads Content-Type. Throws Refusal UNPARSABLE where there are several, or one that can be read in two ways. */
export function mediaType(fields: Fields): MediaType {
  const written = field(fields, 'content-type');
  if (written === undefined || written === '') return { name: '' };
  const name = /^[!#$%&'*+.^_`|~0-9a-z-]+\/[!#$%&'*+.^_`|~0-9a-z-]+/i.exec(written)?.[0];
  if (name === undefined) return severalTypes(written);
  const parameters = new Map<string, string>();
  const parameter = /[ \t]*;[ \t]*(?:([!#$%&'*+.^_`|~0-9a-z-]+)=(?:"([^"\\]*)"|([!#$%&'*+.^_`|~0-9a-z-]+)))?/iy;
  for (let at = name.length; at < written.length; at = parameter.lastIndex) {
    parameter.lastIndex = at;
    const match = parameter.exec(written);
    if (match === null) return severalTypes(written);
    const key = match[1]?.toLowerCase();
    if (key === undefined) continue;
    if (parameters.has(key)) return severalTypes(written);
    parameters.set(key, match[2] ?? match[3] ?? '');
  }
  const charset = parameters.get('charset')?.toLowerCase();
  const boundary = parameters.get('boundary');
  return {
    name: name.toLowerCase(),
    ...(charset === undefined ? {} : { charset }),
    ...(boundary === undefined ? {} : { boundary }),
  };
}

function severalTypes(written: string): never {
  throw new Refusal(
    'UNPARSABLE',
    `the request's Content-Type is not one media type: ${JSON.stringify(written.slice(0, 200))}`,
    {
      advice: 'send one Content-Type, such as application/json',
    },
  );
}

/** Whether the body went through a content coding, so that its bytes are not what it means. */
export function isEncoded(fields: Fields): boolean {
  const coding = field(fields, 'content-encoding');
  return coding !== undefined && !/^(?:identity)?$/i.test(coding.trim());
}
