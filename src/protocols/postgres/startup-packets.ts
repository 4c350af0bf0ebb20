import { PeerError } from '../../model/errors.ts';
import { MessageBody } from './message-body.ts';
import { int32, terminated } from './message-builder.ts';

/** Major in the upper half, minor in the lower. */
export const protocol30 = 0x0003_0000;
export const protocol32 = 0x0003_0002;

const cancelCode = 80_877_102; // 1234 << 16 | 5678
const sslCode = 80_877_103;
const gssCode = 80_877_104;
/** PostgreSQL's own limit (MAX_STARTUP_PACKET_LENGTH). */
const maxLength = 10_000;

/** What a client says before anything else; these packets have no type byte. */
export type StartupPacket =
  | { readonly kind: 'ssl' }
  | { readonly kind: 'gss' }
  | { readonly kind: 'cancel'; readonly processId: number; readonly secret: Buffer }
  | { readonly kind: 'startup'; readonly version: number; readonly parameters: ReadonlyMap<string, string> };

/**
 * Reads the packet at the start of `bytes`. Undefined when it is not complete yet; otherwise the packet and its size:
 * bytes after it are the caller's to judge. Throws PeerError.
 */
export function parseStartupPacket(
  bytes: Buffer,
): { readonly packet: StartupPacket; readonly size: number } | undefined {
  if (bytes.length < 4) return undefined;
  const size = bytes.readInt32BE(0);
  if (size < 8 || size > maxLength)
    throw clientError(`a start-up packet claims a length of ${size}; 8 to ${maxLength} are allowed`);
  if (bytes.length < size) return undefined;
  const body = new MessageBody('client', 'the start-up packet', bytes, 4, size);
  const code = body.int32();
  if (code === cancelCode) {
    const processId = body.int32();
    const secret = body.bytes(body.left);
    if (secret.length < 4 || secret.length > 256) throw clientError('a cancel request has a key of an impossible size');
    return { packet: { kind: 'cancel', processId, secret }, size };
  }
  if (code === sslCode || code === gssCode) {
    body.done();
    return { packet: { kind: code === sslCode ? 'ssl' : 'gss' }, size };
  }
  if (code >>> 16 !== 3)
    throw clientError(`protocol version ${code >>> 16}.${code & 0xffff} is not spoken here; use 3.0 or 3.2`);
  return { packet: { kind: 'startup', version: code, parameters: parameters(body) }, size };
}

function parameters(body: MessageBody): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (;;) {
    const name = body.string();
    if (name === '') break;
    // PostgreSQL would take the last one; whoever sends two means to confuse.
    if (found.has(name)) throw body.broken(`names “${name.slice(0, 64)}” twice`);
    found.set(name, body.string());
  }
  body.done();
  return found;
}

export function sslRequest(): Buffer {
  return Buffer.concat([int32(8), int32(sslCode)]);
}

export function gssEncRequest(): Buffer {
  return Buffer.concat([int32(8), int32(gssCode)]);
}

export function startupMessage(version: number, parameters: Readonly<Record<string, string>>): Buffer {
  const parts = Object.entries(parameters).flatMap(([name, value]) => {
    if (name === '') throw new TypeError('a start-up parameter needs a name');
    return [terminated(name), terminated(value)];
  });
  const body = Buffer.concat([int32(version), ...parts, Buffer.of(0)]);
  return Buffer.concat([int32(4 + body.length), body]);
}

/** The key as BackendKeyData gave it: 4 bytes in protocol 3.0, up to 256 in 3.2. */
export interface BackendKey {
  readonly processId: number;
  readonly secret: Buffer;
}

export function cancelRequest(key: BackendKey): Buffer {
  return Buffer.concat([int32(12 + key.secret.length), int32(cancelCode), int32(key.processId), key.secret]);
}

/** A key for a client of ours, from `random` (such as node:crypto's randomBytes); the process id is just more of it. */
export function freshKey(version: number, random: (size: number) => Buffer): BackendKey {
  return { processId: random(4).readUInt32BE(0) >>> 1, secret: random(version >= protocol32 ? 32 : 4) };
}

function clientError(message: string): PeerError {
  return new PeerError('CLIENT_PROTOCOL', message);
}
