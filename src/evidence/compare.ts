import type { PackageFiles } from './package-files.ts';
import { buffered, type Sink, type SinkFile } from './sink.ts';

/** Compares what would be written with what is there, and names the first line of each file that differs. */
export class ComparingSink implements Sink {
  readonly #files: PackageFiles;
  readonly #problem: (file: string, message: string, line?: number) => void;

  constructor(files: PackageFiles, problem: (file: string, message: string, line?: number) => void) {
    this.#files = files;
    this.#problem = problem;
  }

  file(name: string): SinkFile {
    const there = new Lines(this.#files.has(name) ? this.#files.chunks(name) : [][Symbol.iterator]());
    const made = new Pieces();
    let line = 0;
    let wrong = false;
    const compare = (expected: string | undefined): void => {
      if (wrong) return;
      line++;
      const found = there.next();
      if (found === expected) return;
      wrong = true;
      this.#problem(name, difference(found, expected), line);
    };
    return buffered(
      (bytes) => {
        for (const text of made.add(bytes)) compare(text);
      },
      () => {
        const rest = made.rest();
        if (rest !== '') compare(rest);
        compare(undefined);
        there.close();
      },
    );
  }
}

function difference(found: string | undefined, expected: string | undefined): string {
  if (expected === undefined) return `nothing leads to this line: ${cut(found)}`;
  if (found === undefined) return `a line is missing: ${cut(expected)}`;
  return `it says ${cut(found)}, the events say ${cut(expected)}`;
}

function cut(line = ''): string {
  const text = line.trim();
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 199)}…` : text);
}

/** Cuts bytes into lines, each with its line feed; one byte is one character, so that none is lost. */
class Pieces {
  #rest = '';

  add(bytes: Buffer): readonly string[] {
    const lines = (this.#rest + bytes.toString('latin1')).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines.map((line) => `${line}\n`);
  }

  rest(): string {
    return this.#rest;
  }
}

class Lines {
  readonly #chunks: Iterator<Buffer>;
  readonly #pieces = new Pieces();
  #waiting: readonly string[] = [];
  #place = 0;
  #ended = false;

  constructor(chunks: Iterator<Buffer>) {
    this.#chunks = chunks;
  }

  next(): string | undefined {
    while (this.#place === this.#waiting.length && !this.#ended) {
      const chunk = this.#chunks.next();
      this.#place = 0;
      if (chunk.done === true) {
        this.#ended = true;
        const rest = this.#pieces.rest();
        this.#waiting = rest === '' ? [] : [rest];
      } else {
        this.#waiting = this.#pieces.add(chunk.value);
      }
    }
    return this.#waiting[this.#place++];
  }

  close(): void {
    this.#chunks.return?.();
  }
}
