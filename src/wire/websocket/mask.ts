/** XORs `bytes` with the key, in place; `at` is the place of its first byte in the frame's payload (RFC 6455 §5.3). */
export function mask(bytes: Buffer, key: Buffer, at = 0): void {
  const [a, b, c, d] = [key[at & 3]!, key[(at + 1) & 3]!, key[(at + 2) & 3]!, key[(at + 3) & 3]!];
  const end = bytes.length;
  const fours = end - (end & 3);
  for (let index = 0; index < fours; index += 4) {
    bytes[index]! ^= a;
    bytes[index + 1]! ^= b;
    bytes[index + 2]! ^= c;
    bytes[index + 3]! ^= d;
  }
  if (fours < end) bytes[fours]! ^= a;
  if (fours + 1 < end) bytes[fours + 1]! ^= b;
  if (fours + 2 < end) bytes[fours + 2]! ^= c;
}
