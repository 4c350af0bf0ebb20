import { PeerError } from '../../model/errors.ts';
import { choice, objectFormatOf } from './capabilities.ts';
import { lineText, type Packet, PacketReader } from './pktline.ts';
import type { ObjectFormat, RefUpdate } from './push.ts';
import { isId, isPushableRefName, zeroId } from './ref-name.ts';

/** What stands before the pack in a push (gitprotocol-pack, “Reference Update Request”). */
export interface ReceiveRequest {
  readonly updates: readonly RefUpdate[];
  readonly capabilities: ReadonlyMap<string, string | undefined>;
  readonly objectFormat: ObjectFormat;
  readonly options: readonly string[];
  readonly shallow: readonly string[];
  /** A pack follows; it does not where refs are only deleted. */
  readonly pack: boolean;
}

export const maxUpdates = 1000;
const maxOptions = 100;
const maxOptionBytes = 4096;
const maxShallow = 100_000;

/** Reads the part before the pack as it comes. `take` returns what follows it once it is complete. */
export class ReceiveRequestParser {
  readonly #reader = new PacketReader('CLIENT_PROTOCOL');
  readonly #updates: RefUpdate[] = [];
  readonly #options: string[] = [];
  readonly #shallow: string[] = [];
  #capabilities: ReadonlyMap<string, string | undefined> | undefined;
  #format: ObjectFormat = 'sha1';
  #state: 'commands' | 'options' | 'done' = 'commands';

  /** Undefined while it is not complete; then the first bytes of the pack. Throws PeerError. */
  take(chunk: Buffer): Buffer | undefined {
    if (this.#state === 'done') return chunk;
    this.#reader.push(chunk);
    for (let next = this.#reader.next(); next !== undefined; next = this.#reader.next()) {
      if (next !== 'flush') this.#line(next);
      else if (this.#flush()) return this.#reader.rest();
    }
    return undefined;
  }

  /** Undefined where the client asked for nothing at all: a lone flush, by which git tests whether it is let in. Throws PeerError when it is cut short. */
  end(): ReceiveRequest | undefined {
    if (this.#state !== 'done') throw wrong('it ended early');
    if (this.#capabilities === undefined) return undefined;
    return {
      updates: this.#updates,
      capabilities: this.#capabilities,
      objectFormat: this.#format,
      options: this.#options,
      shallow: this.#shallow,
      pack: this.#updates.some((update) => update.new !== undefined),
    };
  }

  /** True when the pack comes next. */
  #flush(): boolean {
    const wantsOptions = this.#state === 'commands' && this.#capabilities?.has('push-options') === true;
    if (this.#updates.length === 0 && this.#shallow.length > 0) throw wrong('it updates nothing');
    this.#state = wantsOptions ? 'options' : 'done';
    return !wantsOptions;
  }

  #line(payload: Packet): void {
    const bytes = typeof payload === 'string' ? undefined : payload;
    if (bytes === undefined) throw wrong('a packet of another version');
    if (this.#state === 'options') this.#option(bytes);
    else this.#command(bytes);
  }

  #option(bytes: Buffer): void {
    const text = lineText(bytes);
    if (text === undefined || text.includes('\0') || text.includes('\n')) throw wrong('a push option is no text');
    if (this.#options.length >= maxOptions || bytes.length > maxOptionBytes) throw wrong('too many push options');
    this.#options.push(text);
  }

  #command(bytes: Buffer): void {
    const nul = this.#capabilities === undefined ? bytes.indexOf(0) : -1;
    const text = lineText(nul < 0 ? bytes : bytes.subarray(0, nul));
    if (text === undefined) throw wrong('the name of a ref is not UTF-8');
    if (text.startsWith('shallow ')) {
      this.#shallow.push(text.slice(8));
      if (this.#shallow.length > maxShallow) throw wrong('too many shallow lines');
      return;
    }
    if (text.startsWith('push-cert')) throw wrong('push certificates were not offered');
    if (this.#capabilities === undefined) {
      this.#capabilities = choice('git-receive-pack', nul < 0 ? '' : (lineText(bytes.subarray(nul + 1)) ?? ''));
      this.#format = objectFormatOf(this.#capabilities.get('object-format'), 'CLIENT_PROTOCOL');
    }
    this.#update(text);
  }

  #update(text: string): void {
    const length = this.#format === 'sha1' ? 40 : 64;
    const old = text.slice(0, length);
    const next = text.slice(length + 1, 2 * length + 1);
    const ref = text.slice(2 * length + 2);
    const formed = text[length] === ' ' && text[2 * length + 1] === ' ';
    if (!formed || !isId(old, this.#format) || !isId(next, this.#format)) throw wrong('a line is no update of a ref');
    if (!isPushableRefName(ref)) throw wrong('an update has no name of a ref that may be pushed to');
    if (this.#updates.some((update) => update.ref === ref)) throw wrong('a ref is updated twice');
    if (this.#updates.length >= maxUpdates) throw wrong(`more than ${maxUpdates} refs at once`);
    const zero = zeroId(this.#format);
    if (old === zero && next === zero) throw wrong('an update from nothing to nothing');
    this.#updates.push({ ref, old: old === zero ? undefined : old, new: next === zero ? undefined : next });
  }
}

function wrong(how: string): PeerError {
  return new PeerError('CLIENT_PROTOCOL', `the push cannot be read: ${how}`);
}
