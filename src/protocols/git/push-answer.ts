import type { ServerCall } from '../../web/message.ts';
import { flush } from './pktline.ts';
import type { ReceiveRequest } from './receive-request.ts';
import { beginAnswer } from './relay.ts';
import { type Report, writeReport } from './report-status.ts';
import { banded, keepAlive, remoteLines } from './sideband.ts';

export const pushResultType = 'application/x-git-receive-pack-result';
const quietMs = 5000;

/**
 * The answer to a push while it is being made: text for people at once where the client takes it (side-band-64k), signs of life
 * while nothing happens, the report at the end.
 */
export class PushAnswer {
  readonly #call: ServerCall;
  readonly #sideband: boolean;
  readonly #reports: 'none' | 'v1' | 'v2';
  #alive: NodeJS.Timeout | undefined;
  #over = false;

  constructor(call: ServerCall, { capabilities }: ReceiveRequest) {
    this.#call = call;
    this.#sideband = capabilities.has('side-band-64k');
    this.#reports = capabilities.has('report-status-v2') ? 'v2' : capabilities.has('report-status') ? 'v1' : 'none';
  }

  /** From here on the caller knows that somebody is there. */
  begin(): void {
    beginAnswer(this.#call, pushResultType);
    if (!this.#sideband) return;
    this.#alive = setInterval(() => this.write(keepAlive), quietMs);
    this.#alive.unref();
  }

  /** Lines that git shows behind `remote:`. */
  say(lines: readonly string[]): void {
    if (lines.length > 0) void this.write(this.remote(lines));
  }

  /** The same as bytes; none where the client takes no text. */
  remote(lines: readonly string[]): Buffer {
    return this.#sideband ? remoteLines(lines, 'side-band-64k') : Buffer.alloc(0);
  }

  report(report: Report): Buffer {
    if (this.#reports === 'none') return this.#sideband ? flush : Buffer.alloc(0);
    const bytes = writeReport(report, this.#reports === 'v2');
    return this.#sideband ? Buffer.concat([banded(1, bytes, 'side-band-64k'), flush]) : bytes;
  }

  write(bytes: Buffer): Promise<void> | undefined {
    return this.#over || bytes.length === 0 || this.#call.signal.aborted ? undefined : this.#call.write(bytes);
  }

  end(): void {
    this.#stop();
    this.#call.end();
  }

  abort(): void {
    this.#stop();
    this.#call.abort();
  }

  #stop(): void {
    this.#over = true;
    clearInterval(this.#alive);
  }
}
