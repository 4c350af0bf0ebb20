import { createInterface } from 'node:readline/promises';

/** What a command sees of the outside: tests bring their own. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => number;
  /** Standard output is a terminal: page, and stay within its width. */
  readonly interactive: boolean;
  /** A person can be asked. */
  readonly answerable: boolean;
  readonly columns: number;
  readonly rows: number;
  /** Resolves when there is room for more. */
  out(text: string | Uint8Array): Promise<void>;
  err(text: string): void;
  /** All of standard input, at most 1 MiB. */
  input(): Promise<string>;
  /** The next key that is pressed: `q`, ` `, `\r`. */
  key(): Promise<string>;
  ask(question: string): Promise<string>;
}

const mostInput = 1024 * 1024;

/** This process's. */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr, env } = process;
  // `sallyport … | head` is no error: whoever reads has seen enough.
  stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  return {
    env,
    now: Date.now,
    interactive: stdout.isTTY === true,
    answerable: stdin.isTTY === true && stderr.isTTY === true,
    get columns() {
      return stdout.columns ?? 100;
    },
    get rows() {
      return stdout.rows ?? 24;
    },
    out: (text) => {
      if (stdout.write(text)) return Promise.resolve();
      return new Promise((resolve) => stdout.once('drain', resolve));
    },
    err: (text) => void stderr.write(text),
    input: async () => {
      const parts: Buffer[] = [];
      let length = 0;
      for await (const part of stdin as AsyncIterable<Buffer>) {
        length += part.length;
        if (length > mostInput) throw new Error('standard input is longer than 1 MiB');
        parts.push(part);
      }
      return Buffer.concat(parts).toString('utf8');
    },
    key: () =>
      new Promise((resolve) => {
        stdin.setRawMode(true);
        stdin.resume();
        stdin.once('data', (pressed) => {
          stdin.setRawMode(false);
          stdin.pause();
          resolve(pressed.toString('utf8'));
        });
      }),
    ask: async (question) => {
      const lines = createInterface({ input: stdin, output: stderr });
      try {
        return await lines.question(question);
      } finally {
        lines.close();
      }
    },
  };
}
