import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { ChildNews } from './gateway-child.ts';

/** A gateway in a process of its own. */
export class GatewayProcess {
  readonly port: number;
  readonly api: string;
  readonly ca: string;
  /** Resolves when the process is over, with its exit code; null when a signal ended it. */
  readonly ended: Promise<number | null>;
  /** Resolves with why the gateway stopped by itself. */
  readonly failed: Promise<string>;
  readonly #child: ChildProcess;
  readonly #log: () => string;

  private constructor(child: ChildProcess, ready: ChildNews & { kind: 'ready' }, log: () => string) {
    this.#child = child;
    this.#log = log;
    this.port = ready.port;
    this.api = `https://127.0.0.1:${ready.apiPort}`;
    this.ca = readFileSync(ready.caFile, 'utf8');
    this.ended = new Promise((resolve) => child.once('exit', resolve));
    this.failed = new Promise((resolve) => {
      child.on('message', (news: ChildNews) => {
        if (news.kind === 'failed') resolve(news.message);
      });
    });
  }

  /** Resolves when it accepts connections. */
  static async start(configFile: string): Promise<GatewayProcess> {
    const child = fork(fileURLToPath(new URL('./gateway-child.ts', import.meta.url)), [configFile], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
    });
    let log = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-65_536);
    });
    const ready = await new Promise<ChildNews>((resolve, reject) => {
      child.once('message', (news: ChildNews) => resolve(news));
      child.once('exit', (code) => reject(new Error(`the gateway ended with ${code} before it was ready:\n${log}`)));
    });
    if (ready.kind !== 'ready') throw new Error(`the gateway failed: ${ready.message}`);
    return new GatewayProcess(child, ready, () => log);
  }

  /** What it wrote to its log so far. */
  get log(): string {
    return this.#log();
  }

  /** From here on nothing it writes reaches the disk. */
  fillTheDisk(): void {
    this.#child.send('fill the disk');
  }

  /** Ends it as a power cut would: nothing more is written, nobody is told. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.send('stop');
    await this.ended;
  }

  async client(token: string): Promise<pg.Client> {
    const { port, ca } = this;
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      database: 'shop',
      user: 'anyone',
      password: token,
      ssl: { ca, servername: 'localhost' },
    });
    client.on('error', () => undefined); // An ended session is the test's to notice by its queries.
    await client.connect();
    return client;
  }
}
