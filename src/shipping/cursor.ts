import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from './durable-file.ts';

/** How far a sink is. */
export interface Cursor {
  /** Every record up to this event was acknowledged or given up. */
  readonly seq: number;
  /** A batch up to this event was being sent; see `BatchLimits.sameRange`. */
  readonly sending?: number;
}

/** The cursor cannot be trusted: the sink does not go on by itself. */
export class CursorError extends Error {
  override readonly name = 'CursorError';
}

/** The durable place of one sink's cursor, in a folder of its own. */
export class CursorFile {
  readonly #path: string;
  readonly #log: string;

  private constructor(path: string, log: string) {
    this.#path = path;
    this.#log = log;
  }

  static async open(folder: string, log: string): Promise<CursorFile> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return new CursorFile(join(folder, 'cursor.json'), log);
  }

  /** Undefined for a sink that has not begun. Throws CursorError for one that is not of this log, or that cannot be read. */
  async read(): Promise<Cursor | undefined> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    const found = parse(text);
    if (found === undefined)
      throw new CursorError(`${this.#path} cannot be read as a cursor; without it the sink begins anew`);
    if (found.log !== this.#log)
      throw new CursorError(`${this.#path} belongs to the log ${JSON.stringify(found.log)}, not to this one`);
    return { seq: found.seq, ...(found.sending === undefined ? {} : { sending: found.sending }) };
  }

  /** Resolves when it is on disk. */
  async write(cursor: Cursor): Promise<void> {
    await replaceFile(this.#path, `${JSON.stringify({ log: this.#log, ...cursor })}\n`);
  }
}

function parse(text: string): { log: string; seq: number; sending?: number } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { log, seq, sending } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const number = (given: unknown): given is number => Number.isSafeInteger(given) && (given as number) >= 0;
  if (typeof log !== 'string' || !number(seq) || (sending !== undefined && !number(sending))) return undefined;
  return { log, seq, ...(sending === undefined ? {} : { sending }) };
}
