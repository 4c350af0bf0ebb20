import type { Gateway } from '../gateway/protocol.ts';
import { ConfigError, Refusal } from '../model/errors.ts';
import type { Target } from '../model/target.ts';

/** What a protocol has made of its targets' settings; each is opened with its first request, and once. */
export class OpenedTargets<Settings, Opened> {
  readonly #opened = new WeakMap<Target<Settings>, Opened>();
  readonly #open: (target: Target<Settings>) => Opened;

  /** `open` throws ConfigError for settings, or files they name, that cannot be used. */
  constructor(open: (target: Target<Settings>) => Opened) {
    this.#open = open;
  }

  /** Throws Refusal UPSTREAM_UNAVAILABLE where the settings cannot be used; why goes to the operator. */
  of(target: Target<Settings>, gateway: Gateway): Opened {
    let opened = this.#opened.get(target);
    if (opened === undefined) {
      try {
        opened = this.#open(target);
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        gateway.log('error', `target ${target.name} cannot be used`, { problem: error.message });
        throw new Refusal('UPSTREAM_UNAVAILABLE', `the target ${target.name} is not set up properly`, {
          advice: 'tell its operator to look at the log of the gateway',
        });
      }
      this.#opened.set(target, opened);
    }
    return opened;
  }
}
