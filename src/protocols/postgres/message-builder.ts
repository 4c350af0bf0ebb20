/** A terminated string. Throws TypeError for a string that holds a zero byte: it would start a field of its own. */
export function terminated(text: string): Buffer {
  if (text.includes('\0')) throw new TypeError('a protocol string cannot hold a zero byte');
  return Buffer.from(`${text}\0`, 'utf8');
}

export function int16(value: number): Buffer {
  const buffer = Buffer.allocUnsafe(2);
  buffer.writeInt16BE(value);
  return buffer;
}

export function uint16(value: number): Buffer {
  const buffer = Buffer.allocUnsafe(2);
  buffer.writeUInt16BE(value);
  return buffer;
}

export function int32(value: number): Buffer {
  const buffer = Buffer.allocUnsafe(4);
  buffer.writeInt32BE(value);
  return buffer;
}

export function uint32(value: number): Buffer {
  const buffer = Buffer.allocUnsafe(4);
  buffer.writeUInt32BE(value);
  return buffer;
}

/** A value with its length in front; null is -1. */
export function sized(value: string | Buffer | null): Buffer {
  if (value === null) return int32(-1);
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  return Buffer.concat([int32(bytes.length), bytes]);
}

/** A message: type byte, length, body. */
export function message(type: number, ...parts: readonly Buffer[]): Buffer {
  let length = 4;
  for (const part of parts) length += part.length;
  const buffer = Buffer.allocUnsafe(1 + length);
  buffer[0] = type;
  buffer.writeInt32BE(length, 1);
  let at = 5;
  for (const part of parts) at += part.copy(buffer, at);
  return buffer;
}
