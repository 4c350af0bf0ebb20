import { assemble, type Code, get, I32, I64, i32, i64, set, V128, v128, when, whileLoop } from './assembler.ts';
import { type CandidateFinder, lookahead, windowSize } from './candidates.ts';
import { bucketTables } from './tables.ts';

/**
 * The finder in WebAssembly SIMD, 16 bytes at a time, in two passes:
 *
 * Text patterns: each byte's two nibbles are looked up in tables of which buckets allow it as their first, second, third byte. A
 * position is a candidate where first, second and third (shifted to the same lane) still have a bucket in common. (The idea is
 * known as Teddy, from Hyperscan.)
 *
 * Numbers: 64 bytes become 64-bit masks of which are digits, separators, pluses; patterns are then shifts and ANDs of masks. Each
 * step decides 48 positions and sees 15 bytes beyond them, so no state is carried over.
 *
 * Returns undefined where the engine has no SIMD.
 */
export function simdFinder(): CandidateFinder | undefined {
  const { code, constants } = program();
  const engine = (globalThis as { readonly WebAssembly?: Engine }).WebAssembly;
  if (engine === undefined || !engine.validate(code)) return undefined;
  const { exports } = new engine.Instance(new engine.Module(code));
  const run = exports.run as (length: number) => number;
  const { buffer } = exports.memory as { readonly buffer: ArrayBuffer };
  const memory = new Uint8Array(buffer);
  memory.set(constants, constantsAt);
  return {
    name: 'simd',
    found: new Uint32Array(buffer, output, outputs),
    find(bytes, from, to) {
      memory.set(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to), input);
      memory.fill(0, input + to - from, input + to - from + margin);
      return run(to - from);
    },
  };
}

/** As much of the WebAssembly JavaScript interface as is used here; the language's own library does not declare it. */
interface Engine {
  validate(code: Uint8Array<ArrayBuffer>): boolean;
  readonly Module: new (code: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object) => { readonly exports: Readonly<Record<string, unknown>> };
}

// Memory: scratch, constants, zeros (the number pass looks one byte back), the input, zeros after it, the candidates.
const scratch = 0;
const constantsAt = 16;
const input = 512;
const margin = 128; // the number pass reads up to 64 bytes beyond the end
const output = input + windowSize + lookahead + margin;
// At most one text candidate per position, and one number candidate.
const outputs = 2 * (windowSize + lookahead);
const pages = Math.ceil((output + 4 * outputs) / 65_536);

const length = 0; // parameter
const at = 1;
const next = 2; // address of the next candidate
const bits = 3; // candidates of 16 positions
const bit = 4;
const [digit, separator, around, plus, run, pair, four, card, ssn, nanp, plusses, todo] = [
  5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
] as const;
const [bytes, low, high] = [17, 18, 19] as const;
// What a block of the text pass leaves for the next one; blocks take turns.
const even = { first: 20, second: 21 } as const;
const odd = { first: 22, second: 23 } as const;
const hits = [24, 25, 26, 27] as const;
const locals = [...Array(4).fill(I32), ...Array(12).fill(I64), ...Array(11).fill(V128)];

/** The module, and the vectors that it expects at `constantsAt`. */
export function program(): { readonly code: Uint8Array<ArrayBuffer>; readonly constants: readonly number[] } {
  const constants = new Constants();
  const passes = [...textPass(constants), ...numberPass(constants)];
  const code = assemble(pages, locals, [...set(next, i32.const(output)), ...passes, ...countFound()]);
  return { code, constants: constants.bytes };
}

/** Vector constants, kept in memory: V8 builds a literal one from immediates each time it is used, which halves the speed. */
class Constants {
  readonly bytes: number[] = [];

  vector(bytes: readonly number[]): Code {
    this.bytes.push(...bytes);
    return v128.load(constantsAt + this.bytes.length - 16, i32.const(0));
  }

  splat(byte: number): Code {
    return this.vector(Array.from({ length: 16 }, () => byte));
  }
}

function countFound(): Code {
  return [...i32.sub(get(next), i32.const(output)), ...i32.const(2), 0x76]; // shift right: four bytes each
}

function emit(entry: Code): Code {
  return [...i32.store(get(next), entry), ...set(next, i32.add(get(next), i32.const(4)))];
}

function textPass(constants: Constants): Code {
  const nibble = constants.splat(0x0f);
  const tables = bucketTables().map((table) => [constants.vector(table.low), constants.vector(table.high)] as const);
  const allowed = (position: 0 | 1 | 2): Code => {
    const [lows, highs] = tables[position]!;
    return v128.and(v128.swizzle(lows, get(low)), v128.swizzle(highs, get(high)));
  };
  // Moves lanes up by `count`, filling from the end of the vector before.
  const moved = (before: number, now: number, count: number): Code =>
    v128.shuffle(
      get(before),
      get(now),
      Array.from({ length: 16 }, (_, i) => 16 - count + i),
    );
  const block = (i: number): Code => {
    const [now, before] = i % 2 === 0 ? ([even, odd] as const) : ([odd, even] as const);
    return [
      ...set(bytes, v128.load(input + 16 * i, get(at))),
      ...set(low, v128.and(get(bytes), nibble)),
      ...set(high, v128.and(v128.shr16(get(bytes), i32.const(4)), nibble)),
      ...set(now.first, allowed(0)),
      ...set(now.second, allowed(1)),
      ...set(
        hits[i]!,
        v128.and(allowed(2), v128.and(moved(before.second, now.second, 1), moved(before.first, now.first, 2))),
      ),
    ];
  };
  const any = v128.anyTrue(v128.or(v128.or(get(hits[0]), get(hits[1])), v128.or(get(hits[2]), get(hits[3]))));
  return [
    ...set(at, i32.const(0)),
    ...whileLoop(i32.ltU(get(at), get(length)), [
      ...[0, 1, 2, 3].flatMap(block),
      ...when(any, [0, 1, 2, 3].flatMap(textHits)),
      ...set(at, i32.add(get(at), i32.const(64))),
    ]),
  ];
}

function textHits(block: number): Code {
  const buckets = i32.shl(i32.load8(scratch, get(bit)), i32.const(24));
  const start = i32.add(i32.add(get(at), get(bit)), i32.const(16 * block - 2)); // lanes are those of the third byte
  return [
    ...v128.store(scratch, i32.const(0), get(hits[block]!)),
    ...set(bits, v128.bitmask(v128.notEqual(get(hits[block]!), v128.zero))),
    ...whileLoop(get(bits), [
      ...set(bit, i32.ctz(get(bits))),
      ...emit(i32.or(start, buckets)),
      ...set(bits, i32.and(get(bits), i32.sub(get(bits), i32.const(1)))),
    ]),
  ];
}

// Bits of the classes of 0x20–0x2f, from the top: blank and hyphen; those, dot and closing parenthesis; plus.
const punctuation = Array.from({ length: 16 }, (_, i) =>
  i === 0 || i === 0xd ? 0xc0 : i === 0x9 || i === 0xe ? 0x40 : i === 0xb ? 0x20 : 0,
);
const decimal = Array.from({ length: 16 }, (_, i) => (i < 10 ? 0x80 : 0));

function numberPass(constants: Constants): Code {
  const [digits, marks] = [constants.vector(decimal), constants.vector(punctuation)];
  const [zero, blank] = [constants.splat(0x30), constants.splat(0x20)];
  const block = (i: number): Code => {
    const join = (local: number, mask: Code): Code => {
      const wide = i64.shl(i64.extend(mask), 16 * i);
      return set(local, i === 0 ? wide : i64.or(get(local), wide));
    };
    return [
      ...set(bytes, v128.load(input - 1 + 16 * i, get(at))),
      ...join(digit, v128.bitmask(v128.swizzle(digits, v128.sub(get(bytes), zero)))),
      ...set(low, v128.swizzle(marks, v128.sub(get(bytes), blank))),
      ...join(separator, v128.bitmask(get(low))),
      ...set(low, v128.add(get(low), get(low))),
      ...join(around, v128.bitmask(get(low))),
      ...join(plus, v128.bitmask(v128.add(get(low), get(low)))),
    ];
  };
  // Bit 0 is the byte before the block; bits 1–48 are decided in this step.
  const decided = i64.const(((1n << 48n) - 1n) << 1n);
  const later = (local: number, by: number): Code => i64.shr(get(local), by);
  return [
    ...set(at, i32.const(0)),
    ...whileLoop(i32.ltU(get(at), get(length)), [
      ...[0, 1, 2, 3].flatMap(block),
      // A separator belongs to a run when digits stand on both sides.
      ...set(run, i64.or(get(digit), i64.and(get(separator), i64.and(i64.shl(get(digit), 1), later(digit, 1))))),
      ...set(pair, i64.and(get(run), later(run, 1))),
      ...set(pair, i64.and(get(pair), later(pair, 2))),
      ...set(run, i64.and(get(pair), later(pair, 4))), // eight in a row
      ...set(plusses, i64.and(get(plus), later(run, 1))),
      ...set(card, i64.and(get(run), later(run, 6))), // fourteen
      ...set(pair, i64.and(get(digit), later(digit, 1))),
      ...set(four, i64.and(get(pair), later(pair, 2))),
      ...set(run, i64.and(get(four), later(four, 4))),
      ...set(card, i64.or(get(card), i64.and(get(run), later(run, 5)))), // or thirteen without separators
      ...set(card, i64.andNot(get(card), i64.shl(get(card), 1))), // only where a run begins
      ...set(run, i64.and(get(pair), later(digit, 2))), // three
      ...set(
        ssn,
        i64.and(
          i64.and(get(run), later(separator, 3)),
          i64.and(i64.and(later(pair, 4), later(separator, 6)), later(four, 7)),
        ),
      ),
      ...set(nanp, i64.and(i64.and(get(around), later(run, 1)), i64.and(later(around, 4), later(four, 5)))),
      ...set(todo, i64.and(decided, i64.or(i64.or(get(card), get(ssn)), i64.or(get(nanp), get(plusses))))),
      ...whileLoop(i32.eqz(i64.eqz(get(todo))), numberHit()),
      ...set(at, i32.add(get(at), i32.const(48))),
    ]),
  ];
}

function numberHit(): Code {
  const flag = (local: number, by: number): Code =>
    i32.shl(i32.and(i32.wrap(i64.shr(get(local), i64.ctz(get(todo)))), i32.const(1)), i32.const(by));
  const position = i32.sub(i32.add(get(at), i32.wrap(i64.ctz(get(todo)))), i32.const(1));
  const flags = i32.or(i32.or(flag(card, 20), flag(ssn, 21)), i32.or(flag(nanp, 22), flag(plusses, 23)));
  return [...emit(i32.or(position, flags)), ...set(todo, i64.and(get(todo), i64.sub(get(todo), i64.const(1n))))];
}
