import { createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto';

/** Signature type of Ed25519 in C2SP signed-note. */
const ed25519 = 0x01;

/** A key that notes are checked with: C2SP signed-note, "Verifier keys". */
export interface NoteKey {
  readonly name: string;
  /** First four bytes of SHA-256(name || "\n" || type || public key). */
  readonly id: Buffer;
  readonly publicKey: KeyObject;
}

/** Text of a tree head: C2SP tlog-checkpoint. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
}

function keyId(name: string, raw: Buffer): Buffer {
  return hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(ed25519), raw]), 'buffer').subarray(0, 4);
}

function rawPublicKey(key: KeyObject): Buffer {
  const { x } = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  if (x === undefined) throw new TypeError('not an Ed25519 key');
  return Buffer.from(x, 'base64url');
}

/** The verification key in its text form: `name+id+base64(type || public key)`. Takes a private or a public key. */
export function encodeVkey(name: string, key: KeyObject): string {
  const raw = rawPublicKey(key);
  return `${name}+${keyId(name, raw).toString('hex')}+${Buffer.concat([Buffer.of(ed25519), raw]).toString('base64')}`;
}

/** Throws when the text is not the key of an Ed25519 signer. */
export function decodeVkey(text: string): NoteKey {
  const [, name, id, data] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text.trim()) ?? [];
  if (name === undefined || id === undefined || data === undefined)
    throw new Error('not a verification key (name+id+base64)');
  const bytes = Buffer.from(data, 'base64');
  const raw = bytes.subarray(1);
  if (bytes[0] !== ed25519 || raw.length !== 32 || bytes.toString('base64') !== data)
    throw new Error('not an Ed25519 verification key');
  const computed = keyId(name, raw);
  if (computed.toString('hex') !== id) throw new Error('the verification key does not match its id');
  const publicKey = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') },
    format: 'jwk',
  });
  return { name, id: computed, publicKey };
}

/** Signs a text (which ends in a newline). */
export function signNote(text: string, name: string, key: KeyObject): string {
  if (!text.endsWith('\n')) throw new TypeError('a note ends in a newline');
  const signature = Buffer.concat([keyId(name, rawPublicKey(key)), sign(null, Buffer.from(text), key)]);
  return `${text}\n— ${name} ${signature.toString('base64')}\n`;
}

/** The text of a note that this key has signed. Signatures by other keys are ignored, as the specification wants. Throws when there is no good one. */
export function openNote(note: string, key: NoteKey): string {
  const split = note.lastIndexOf('\n\n');
  if (split === -1 || !note.endsWith('\n')) throw new Error('not a signed note');
  const text = note.slice(0, split + 1);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the specification forbids them in a note's text.
  if (/[\u0000-\u0009\u000b-\u001f]|\ufffd/.test(text)) throw new Error('the note holds control characters');
  let signed = false;
  for (const line of note.slice(split + 2, -1).split('\n')) {
    const [, name, base64] = /^— ([^\s+]+) ([A-Za-z0-9+/]+=*)$/.exec(line) ?? [];
    if (name === undefined || base64 === undefined) throw new Error('the note holds a malformed signature line');
    const bytes = Buffer.from(base64, 'base64');
    if (bytes.toString('base64') !== base64) throw new Error('the note holds a malformed signature');
    if (name !== key.name || !bytes.subarray(0, 4).equals(key.id)) continue;
    if (!verify(null, Buffer.from(text), key.publicKey, bytes.subarray(4)))
      throw new Error('the signature is not good');
    signed = true;
  }
  if (!signed) throw new Error(`not signed by ${key.name}+${key.id.toString('hex')}`);
  return text;
}

export function encodeCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${root.toString('base64')}\n`;
}

/** Throws when the text is no checkpoint. Extension lines after the third are allowed and ignored. */
export function decodeCheckpoint(text: string): Checkpoint {
  const [origin, size, root] = text.split('\n');
  if (!origin || size === undefined || !/^(0|[1-9]\d{0,15})$/.test(size)) throw new Error('not a checkpoint');
  const hashed = Buffer.from(root ?? '', 'base64');
  if (hashed.length !== 32 || hashed.toString('base64') !== root) throw new Error('not a checkpoint');
  return { origin, size: Number(size), root: hashed };
}
