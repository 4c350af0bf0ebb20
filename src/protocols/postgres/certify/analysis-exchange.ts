import type { Permit } from '../../../audit/permit.ts';
import type { Exchange, Reply } from '../../../gateway/protocol.ts';
import type { Command } from '../../../model/command.ts';
import type { Frames } from '../rows.ts';

/**
 * Has the target analyse a command before it is decided whether the command runs: an exchange of its own, so that what reaches the
 * target has its own intent before it. Nothing of its reply is shown.
 */
export class AnalysisExchange implements Exchange<Frames> {
  readonly command: Command;
  readonly prepareOnly = true;
  readonly mayWait = false;
  readonly #sent: string;
  readonly #send: (permit: Permit, reply: Reply<Frames>) => void;
  readonly #refused: () => void;

  /** `sent`: the text that the target is given. `refused` runs when it is not given any. */
  constructor(
    command: Command,
    sent: string,
    send: (permit: Permit, reply: Reply<Frames>) => void,
    refused: () => void,
  ) {
    this.command = command;
    this.#sent = sent;
    this.#send = send;
    this.#refused = refused;
  }

  maskable(): undefined {
    return undefined;
  }

  describe(): string {
    return JSON.stringify({ text: this.command.text, analysed: this.#sent });
  }

  forward(permit: Permit, reply: Reply<Frames>): void {
    this.#send(permit, reply);
  }

  mask(): Buffer {
    throw new TypeError('an analysis has no reply');
  }

  respond(): undefined {}

  refuse(): void {
    this.#refused();
  }

  withhold(): void {}
  pending(): void {}
}
