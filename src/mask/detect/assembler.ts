/**
 * As much of a WebAssembly assembler as the prefilter needs (WebAssembly Core Specification 2.0, chapter 5). Code is a flat list of
 * bytes; an instruction takes its operands as code in front of it, so nested calls read like the expression they compute.
 */
export type Code = readonly number[];

export const I32 = 0x7f;
export const I64 = 0x7e;
export const V128 = 0x7b;

export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return bytes;
}

export function signed(value: bigint): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; ) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    const done = (rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0);
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
  }
}

const plain =
  (opcode: number) =>
  (...operands: Code[]): Code => [...operands.flat(), opcode];
const vector =
  (opcode: number) =>
  (...operands: Code[]): Code => [...operands.flat(), 0xfd, ...unsigned(opcode)];

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number, value: Code): Code => [...value, 0x21, ...unsigned(local)];

export const i32 = {
  const: (value: number): Code => [0x41, ...signed(BigInt(value))],
  add: plain(0x6a),
  sub: plain(0x6b),
  and: plain(0x71),
  or: plain(0x72),
  shl: plain(0x74),
  ltU: plain(0x49),
  eqz: plain(0x45),
  ctz: plain(0x68),
  store: (address: Code, value: Code): Code => [...address, ...value, 0x36, 2, 0],
  load8: (offset: number, address: Code): Code => [...address, 0x2d, 0, ...unsigned(offset)],
  wrap: plain(0xa7),
};

export const i64 = {
  const: (value: bigint): Code => [0x42, ...signed(BigInt.asIntN(64, value))],
  and: plain(0x83),
  or: plain(0x84),
  andNot: (a: Code, b: Code): Code => [...a, ...b, 0x42, 0x7f, 0x85, 0x83], // a & (b ^ -1)
  shl: (value: Code, by: number | Code): Code => [...value, ...shift(by), 0x86],
  shr: (value: Code, by: number | Code): Code => [...value, ...shift(by), 0x88],
  sub: plain(0x7d),
  ctz: plain(0x7a),
  eqz: plain(0x50),
  extend: plain(0xad),
};

const shift = (by: number | Code): Code => (typeof by === 'number' ? [0x42, ...signed(BigInt(by))] : by);

export const v128 = {
  load: (offset: number, address: Code): Code => [...address, 0xfd, 0, 0, ...unsigned(offset)],
  store: (offset: number, address: Code, value: Code): Code => [
    ...address,
    ...value,
    0xfd,
    0x0b,
    0,
    ...unsigned(offset),
  ],
  zero: [0xfd, 0x0c, ...Array<number>(16).fill(0)] as Code,
  and: vector(0x4e),
  or: vector(0x50),
  anyTrue: vector(0x53),
  /** Looks up each byte of the second operand in the first; indices from 16 up give 0. */
  swizzle: vector(0x0e),
  shuffle: (a: Code, b: Code, lanes: readonly number[]): Code => [...a, ...b, 0xfd, 0x0d, ...lanes],
  notEqual: vector(0x24),
  add: vector(0x6e),
  sub: vector(0x71),
  /** Shifts 16-bit lanes. */
  shr16: vector(0x8d),
  /** The top bit of each of the 16 bytes. */
  bitmask: vector(0x64),
};

const empty = 0x40;
/** `while (condition) body` */
export const whileLoop = (condition: Code, body: Code): Code => [
  ...[0x02, empty, 0x03, empty],
  ...condition,
  ...[0x45, 0x0d, 1],
  ...body,
  ...[0x0c, 0, 0x0b, 0x0b],
];
export const when = (condition: Code, body: Code): Code => [...condition, 0x04, empty, ...body, 0x0b];

/** A module that exports its memory as `memory` and one function from i32 to i32 as `run`. `locals` are typed from index 1 on; 0 is the parameter. */
export function assemble(pages: number, locals: readonly number[], body: Code): Uint8Array<ArrayBuffer> {
  const section = (id: number, bytes: Code): Code => [id, ...unsigned(bytes.length), ...bytes];
  const name = (text: string): Code => [text.length, ...new TextEncoder().encode(text)];
  const declared = [...unsigned(locals.length), ...locals.flatMap((type) => [1, type])];
  const code = [...declared, ...body, 0x0b];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 1, I32, 1, I32]),
    ...section(3, [1, 0]),
    ...section(5, [1, 1, ...unsigned(pages), ...unsigned(pages)]),
    ...section(7, [2, ...name('memory'), 2, 0, ...name('run'), 0, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ]);
}
