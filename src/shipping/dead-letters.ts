import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { appendDurably } from './durable-file.ts';
import type { RefusedRecord } from './sink.ts';

/** One line of the report. */
interface DeadLetter {
  readonly time: string;
  readonly id: string;
  readonly seq: number;
  readonly type: string;
  readonly reason: string;
  /** The receiver refused some records of a batch without saying which; this may be one of them. */
  readonly unsure?: true;
  /** As it was sent. */
  readonly record: string;
}

/** What a receiver refused for good: one JSON line each, in the sink's folder. The events themselves are in the audit log all the same. */
export class DeadLetters {
  readonly file: string;
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.file = join(folder, 'refused.jsonl');
  }

  /** Resolves when the report is on disk. After a crash the same records may be in it twice. */
  async add(refused: readonly RefusedRecord[], now: number): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const time = new Date(now).toISOString();
    const lines = refused.map(({ record: { id, event, json }, reason, unsure }) => {
      const letter: DeadLetter = {
        time,
        id,
        seq: event.seq,
        type: event.type,
        reason,
        ...(unsure === true ? { unsure } : {}),
        record: json,
      };
      return `${JSON.stringify(letter)}\n`;
    });
    await appendDurably(this.file, lines.join(''));
  }
}
