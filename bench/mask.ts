import { createDetector, type Detector, type ValuesOf } from '../src/mask/detect/detector.ts';
import { regexpFinder } from '../src/mask/detect/regexp.ts';
import { Keyed } from '../src/mask/keyed.ts';
import { Ledger } from '../src/mask/ledger.ts';
import { maskText } from '../src/mask/methods.ts';

/** Speed of content detection and of mask methods, in memory, on one thread. */
export interface MaskFigures {
  readonly engine: string;
  /** MB/s over 64 KiB chunks of PostgreSQL rows: nothing to find; a secret in every 100th row, in every row. */
  readonly clean: number;
  readonly sparse: number;
  readonly dense: number;
  /** µs for a chunk of one 100-byte row. */
  readonly small: number;
}

const chunkSize = 65_536;

/** Rows as PostgreSQL sends them: DataRow messages of eight text columns, about 170 bytes each; `from` numbers the first. */
export function rows(secretEvery: number, from = 0): Buffer {
  const messages: Buffer[] = [];
  let size = 0;
  for (let i = from; size < chunkSize; i++) {
    const secret =
      secretEvery > 0 && i % secretEvery === 0
        ? `card 4111 1111 1111 1111 of order ${i}`
        : `parcel left at the door of number ${i % 90}`;
    const values = [
      String(100_000 + i * 7),
      `Customer number ${i}`,
      `${10 + (i % 80)} Long Winding Road, Springfield`,
      ['open', 'paid', 'shipped'][i % 3]!,
      `2026-0${1 + (i % 9)}-1${i % 10} 12:34:56.${123_456 + i}+00`,
      (i * 1.37).toFixed(2),
      'DE',
      secret,
    ].map((text) => Buffer.from(text));
    const message = Buffer.alloc(7 + values.reduce((sum, value) => sum + 4 + value.length, 0));
    message.write('D', 0, 'latin1');
    message.writeUInt32BE(message.length - 1, 1);
    message.writeUInt16BE(values.length, 5);
    let at = 7;
    for (const value of values) {
      message.writeUInt32BE(value.length, at);
      value.copy(message, at + 4);
      at += 4 + value.length;
    }
    messages.push(message);
    size += message.length;
  }
  return Buffer.concat(messages);
}

/** Walks the messages of `rows`. */
export const rowValues: ValuesOf = (bytes) => {
  const values: number[] = [];
  for (let at = 0; at + 7 <= bytes.length; ) {
    const end = at + 1 + bytes.readUInt32BE(at + 1);
    for (let value = at + 7; value < end; ) {
      const length = bytes.readUInt32BE(value);
      values.push(value + 4, value + 4 + length);
      value += 4 + length;
    }
    at = end;
  }
  return values;
};

function speed(detector: Detector, source: Buffer, seconds: number): number {
  const work = Buffer.from(source);
  let bytes = 0;
  let scrubbing = 0;
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    source.copy(work);
    const start = performance.now();
    detector.scrub(work, rowValues);
    scrubbing += performance.now() - start;
    bytes += work.length;
  }
  return bytes / 1e6 / (scrubbing / 1000);
}

export function measureMask(detector = createDetector(), seconds = 0.7): MaskFigures {
  const chunks = [rows(0), rows(100), rows(1)] as const;
  for (const chunk of chunks) speed(detector, chunk, 0.2);
  const one = chunks[0].subarray(0, 1 + chunks[0].readUInt32BE(1));
  const times = 200_000;
  const start = performance.now();
  for (let i = 0; i < times; i++) detector.scrub(one, rowValues);
  const small = ((performance.now() - start) * 1000) / times;
  const [clean, sparse, dense] = chunks.map((chunk) => speed(detector, chunk, seconds)) as [number, number, number];
  return { engine: detector.engine, clean, sparse, dense, small };
}

/** µs for one value. */
export function measureMethods(): Readonly<Record<string, number>> {
  const key = new Keyed(Buffer.alloc(32, 7));
  const figures: Record<string, number> = {};
  const time = (name: string, run: () => void) => {
    for (let i = 0; i < 5000; i++) run();
    const start = performance.now();
    for (let i = 0; i < 50_000; i++) run();
    figures[name] = ((performance.now() - start) * 1000) / 50_000;
  };
  for (const method of ['redact', 'partial', 'token', 'digits'] as const) {
    time(method, () => maskText(method, 'pci.pan', '4111 1111 1111 1111', key));
  }
  const originals = Buffer.alloc(200, 'x');
  time('ledger of one field', () => {
    const ledger = new Ledger(key);
    ledger.masked('public.customers.ssn', 'pii.ssn', 'redact', 10, originals);
    ledger.fields();
  });
  return figures;
}

if (import.meta.main) {
  for (const detector of [createDetector(), createDetector({ finder: regexpFinder() })]) {
    const { engine, clean, sparse, dense, small } = measureMask(detector);
    console.log(
      `detect (${engine}): clean ${clean.toFixed(0)} MB/s, a card in every 100th row ${sparse.toFixed(0)} MB/s, in every row ${dense.toFixed(0)} MB/s; one row ${small.toFixed(2)} µs`,
    );
  }
  for (const [name, micros] of Object.entries(measureMethods())) console.log(`${name}: ${micros.toFixed(2)} µs`);
}
