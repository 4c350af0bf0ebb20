import { createHash } from 'node:crypto';
import { Refusal } from '../../model/errors.ts';
import { bytesBody, ReadAhead } from '../../web/body.ts';
import { type Body, field, type RequestHead } from '../../web/message.ts';
import type { KnownBody } from './classify/classify.ts';

/** A request's body as it is decided on and sent. */
export interface RequestBody {
  /** For classification. */
  readonly known: KnownBody;
  /** What goes upstream; piped once. */
  readonly body: Body;
  /** What an approver and the audit log see of it, and what a yes is bound to; undefined for none, and while it is not known. */
  readonly parameter: string | undefined;
  /** How a body begins that the parameter only describes, where it is text. */
  readonly beginning?: string | undefined;
}

/** Bodies up to here stand in the audit log as text. */
export const textBytes = 16 * 1024;
/** A request that is held is kept whole, up to here. */
export const heldBytes = 16 * 1024 * 1024;

/** A body of nothing. */
export function bodyless(body: Body): RequestBody {
  return { known: undefined, body, parameter: undefined };
}

/**
 * Reads as much of a body as is looked into, `inspectBytes` at most. A stream that the caller may go on with while it waits for
 * answers is not read ahead at all: neither side would ever come to an end. Rejects when the caller breaks off.
 */
export async function readRequestBody(request: RequestHead, body: Body, inspectBytes: number): Promise<RequestBody> {
  if (body.length === 0) return bodyless(body);
  if ((body.length ?? 0) > inspectBytes || (body.length === undefined && isStream(request)))
    return { known: 'too large', body, parameter: undefined };
  const ahead = new ReadAhead(body, inspectBytes);
  const whole = await ahead.read();
  if (whole === undefined) return { known: 'too large', body: ahead, parameter: undefined };
  if (whole.length === 0) return { known: undefined, body: ahead, parameter: undefined };
  // What trails the body has been seen by nobody, and nobody has agreed to it.
  return { known: whole, body: bytesBody(whole), parameter: parameterOf(whole), beginning: beginningOf(whole) };
}

/** How much `readWhole` may keep of a body. */
export function wholeLength({ body }: RequestBody): number {
  return Math.min(body.length ?? heldBytes, heldBytes);
}

/** The same with all of it read, so that a yes can be bound to it. Throws Refusal LIMIT_EXCEEDED where it is too long to be kept. */
export async function readWhole({ known, body }: RequestBody): Promise<RequestBody> {
  const whole = await new ReadAhead(body, heldBytes).read();
  if (whole === undefined) {
    throw new Refusal(
      'LIMIT_EXCEEDED',
      `this request needs an approval, and its body is longer than ${heldBytes} bytes`,
      {
        advice: 'send it in smaller parts, or ask for a rule that lets it through',
      },
    );
  }
  return { known, body: bytesBody(whole), parameter: parameterOf(whole), beginning: beginningOf(whole) };
}

/** Whether all of the body stands in the command's parameters already. */
export function isRecordedAsParameter({ known }: RequestBody): boolean {
  return Buffer.isBuffer(known) && textOf(known) !== undefined;
}

function isStream({ fields, upgrade }: RequestHead): boolean {
  if (upgrade !== undefined) return true;
  const type = field(fields, 'content-type') ?? '';
  return !/json|form|xml|text\/|^$/i.test(type) || /ndjson|json-seq|jsonl|stream/i.test(type);
}

/** Short text as it is; anything else as its length and SHA-256. No text is taken for such a description of another body. */
export function parameterOf(bytes: Buffer): string {
  return textOf(bytes) ?? `${bytes.length} bytes, sha256 ${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Up to `textBytes` of a longer text. */
function beginningOf(bytes: Buffer): string | undefined {
  if (bytes.length <= textBytes) return undefined;
  const text = bytes.toString('utf8', 0, textBytes);
  // The last character may be cut.
  return /[\0\ufffd]/.test(text.slice(0, -3)) ? undefined : `${text}…`;
}

const description = /^\d+ bytes, sha256 [0-9a-f]{64}$/;

function textOf(bytes: Buffer): string | undefined {
  if (bytes.length > textBytes) return undefined;
  const text = bytes.toString('utf8');
  return text.includes('\ufffd') || text.includes('\0') || description.test(text) ? undefined : text;
}
