import { Permit } from '../../audit/permit.ts';
import { cancelUpstream } from './cancel.ts';
import { terminate } from './codec.ts';
import type { UpstreamConnection } from './connect.ts';

/** Why a connection to the server is over. */
export type UpstreamEnd = { readonly kind: 'closed' } | { readonly kind: 'failed'; readonly code: string };

/** The only writer to the server after login. Nothing goes out without a permit; see audit/permit.ts. */
export class Upstream {
  readonly connection: UpstreamConnection;
  /** Of the command sent last: only that can be added to. */
  #begun: Permit | undefined;
  /** What a turn has collected, while it collects. */
  #collected: Buffer[] | undefined;
  #ended = false;

  /** `onData` gets every chunk as it was read; `onEnd` is called once. The socket is paused until `resume`. */
  constructor(connection: UpstreamConnection, onData: (chunk: Buffer) => void, onEnd: (end: UpstreamEnd) => void) {
    this.connection = connection;
    const { socket } = connection;
    let failure: string | undefined;
    socket.on('error', (error: NodeJS.ErrnoException) => {
      failure = error.code ?? 'UNKNOWN';
    });
    // Our end closes with the server's: a half-open session is of no use to anybody.
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      this.#ended = true;
      onEnd(failure === undefined ? { kind: 'closed' } : { kind: 'failed', code: failure });
    });
    socket.pause();
    if (connection.reads === undefined) socket.on('data', onData).pause();
    else connection.reads.attach(onData);
  }

  /** Sends a command and spends its permit. False when the socket is full then. Throws TypeError without a good permit. */
  send(permit: Permit, bytes: Buffer): boolean {
    Permit.spend(permit, 'command');
    this.#begun = permit;
    return this.#write(bytes);
  }

  /** Sends more of the last command, which `send` began with this permit on this connection: the data of a COPY. */
  more(permit: Permit, bytes: Buffer): boolean {
    if (this.#begun !== permit) throw new TypeError('the last command was not begun with this permit');
    return this.#write(bytes);
  }

  /** Sends what the session needs and no command is behind. */
  housekeeping(permit: Permit, bytes: Buffer): boolean {
    Permit.spend(permit, 'session');
    return this.#write(bytes);
  }

  /** The server is slower than we are: stop reading what is meant for it until `drained`. */
  get congested(): boolean {
    return this.connection.socket.writableNeedDrain;
  }

  /** Resolves when the socket takes writes again, or is over. */
  drained(): Promise<void> {
    const { socket } = this.connection;
    if (this.#ended || !socket.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        socket.off('drain', done);
        socket.off('close', done);
        resolve();
      };
      socket.on('drain', done);
      socket.on('close', done);
    });
  }

  /** For `onData`: the chunk is still in use when it returns. */
  keep(): void {
    this.connection.reads?.keep();
  }

  pause(): void {
    this.connection.socket.pause();
  }

  resume(): void {
    this.connection.socket.resume();
  }

  /** Asks the server to cancel what this session runs. Nothing happens when the server gave no key. Rejects when the server cannot be asked. */
  async cancel(permit: Permit, timeoutMs: number): Promise<void> {
    const { target, key } = this.connection;
    if (key === undefined || this.#ended) Permit.spend(permit, 'session');
    else await cancelUpstream({ target, key, permit, timeoutMs });
  }

  /** Says goodbye and closes. What the server still sends is read and dropped. */
  end(permit: Permit): void {
    Permit.spend(permit, 'session');
    if (this.#ended) return;
    const { socket } = this.connection;
    socket.removeAllListeners('data');
    socket.end(terminate);
    socket.resume();
  }

  /** Closes at once. */
  destroy(): void {
    this.connection.socket.destroy();
  }

  /** From here to `flush`, what is sent is collected, so that it leaves in one write. */
  collect(): void {
    this.#collected ??= [];
  }

  flush(): void {
    const collected = this.#collected;
    this.#collected = undefined;
    if (collected === undefined || collected.length === 0) return;
    this.#write(collected.length === 1 ? collected[0]! : Buffer.concat(collected));
  }

  #write(bytes: Buffer): boolean {
    if (this.#ended) return true;
    if (this.#collected !== undefined) {
      this.#collected.push(bytes);
      return true;
    }
    return this.connection.socket.write(bytes);
  }
}
