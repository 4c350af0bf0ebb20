import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Everything that the benchmark starts, so that nothing outlives it: each is stopped by its own process id, at the end, on
 * failure, and on Ctrl-C.
 */
export class Children {
  readonly #live = new Set<ChildProcess>();

  constructor() {
    process.once('exit', () => this.#killAll());
  }

  /** `what` names it in errors. */
  start(what: string, command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
    const child = spawn(command, args, options);
    this.#live.add(child);
    child.once('exit', () => this.#live.delete(child));
    child.once('error', (error) => {
      this.#live.delete(child);
      process.stderr.write(`bench: ${what}: ${error.message}\n`);
    });
    return child;
  }

  /** Runs to its end; rejects with what it wrote to stderr when it fails. A fired signal ends it. */
  async run(
    what: string,
    command: string,
    args: readonly string[],
    options: SpawnOptions & { readonly signal: AbortSignal },
  ): Promise<string> {
    const { signal, ...rest } = options;
    signal.throwIfAborted();
    const child = this.start(what, command, args, { ...rest, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-8192);
    });
    const stop = () => void this.stop(child, 'SIGTERM', 2000);
    signal.addEventListener('abort', stop, { once: true });
    const code = await new Promise<number | null>((resolve) => {
      child.once('close', resolve);
      child.once('error', () => resolve(-1));
    });
    signal.removeEventListener('abort', stop);
    signal.throwIfAborted();
    if (code !== 0) throw new Error(`${what} failed (${child.signalCode ?? `status ${code}`}):\n${errors || output}`);
    return output;
  }

  /** Resolves when it has ended; killed when that takes longer than `graceMs`. */
  async stop(child: ChildProcess, signal: NodeJS.Signals, graceMs: number): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    const late = setTimeout(() => child.kill('SIGKILL'), graceMs);
    await ended;
    clearTimeout(late);
  }

  /** Whatever is left, such as a program that was still starting when the benchmark was stopped. */
  async stopAll(): Promise<void> {
    await Promise.all([...this.#live].map((child) => this.stop(child, 'SIGTERM', 5000)));
  }

  #killAll(): void {
    for (const child of this.#live) child.kill('SIGKILL');
  }
}
