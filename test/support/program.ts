import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';

export interface ProgramOptions {
  /** Added to PATH, HOME and a C.UTF-8 locale, which is all a program sees of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** What it reads from its standard input, which then ends. Without it the input stays open for `type`. */
  readonly input?: string;
  /** After this the program is killed and `ended` rejects, ms. */
  readonly timeoutMs?: number;
}

export interface Finished {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program as a user would start it, with what it has said so far. */
export class Program {
  readonly ended: Promise<Finished>;
  readonly #child: ChildProcessWithoutNullStreams;
  #stdout = '';
  #stderr = '';
  #heardOut = 0;
  #heardErr = 0;
  #over = false;
  #wake: (() => void) | undefined;

  constructor(command: string, args: readonly string[], { env = {}, input, timeoutMs = 50_000 }: ProgramOptions = {}) {
    const own = { PATH: process.env.PATH ?? '', HOME: '/nonexistent', LC_ALL: 'C.UTF-8' };
    const child = spawn(command, args, { env: { ...own, ...env }, stdio: 'pipe' });
    this.#child = child;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      this.#wake?.();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      this.#wake?.();
    });
    child.stdin.on('error', () => undefined); // It may end before it has read everything.
    if (input !== undefined) child.stdin.end(input);
    this.ended = new Promise<Finished>((resolve, reject) => {
      const late = setTimeout(() => {
        child.kill('SIGKILL');
        reject(new Error(`${command} did not end:\n${this.#stdout}\n${this.#stderr}`));
      }, timeoutMs);
      child.once('error', reject);
      child.once('close', (code) => {
        clearTimeout(late);
        this.#over = true;
        this.#wake?.();
        resolve({ code, stdout: this.#stdout, stderr: this.#stderr });
      });
    });
    this.ended.catch(() => undefined); // Whoever waits for it is told; nobody has to.
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  type(text: string): void {
    this.#child.stdin.write(text);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /**
   * Waits until the program says this, on either channel and after what it was last waited for. Rejects when it ends, or 20 s
   * pass, before.
   */
  async says(pattern: RegExp): Promise<void> {
    const deadline = Date.now() + 20_000;
    while (!this.#heard(pattern)) {
      if (this.#over || Date.now() > deadline) {
        throw new Error(`it did not say ${pattern}, but:\n${this.#stdout}\n${this.#stderr}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadline - Date.now() + 1);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #heard(pattern: RegExp): boolean {
    const out = pattern.exec(this.#stdout.slice(this.#heardOut));
    const err = pattern.exec(this.#stderr.slice(this.#heardErr));
    if (out !== null) this.#heardOut += out.index + out[0].length;
    if (err !== null) this.#heardErr += err.index + err[0].length;
    return out !== null || err !== null;
  }
}

/** Runs a program to its end. */
export function run(command: string, args: readonly string[], options: ProgramOptions = {}): Promise<Finished> {
  return new Program(command, args, { input: '', ...options }).ended;
}
