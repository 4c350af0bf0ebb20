import { PeerError } from '../../model/errors.ts';
import { type Capability, formatCapabilities, objectFormatOf, parseCapabilities, understood } from './capabilities.ts';
import { flush, lineText, type Packet, PacketReader, packet } from './pktline.ts';
import type { ObjectFormat, Ref } from './push.ts';
import { isId, isRefName, zeroId } from './ref-name.ts';
import type { Service } from './repository.ts';

/** Refs of one repository that are read; beyond this nothing of it is served. */
export const maxRefs = 1_000_000;

/** What a server says of itself and its refs in protocol v0 or v1 (gitprotocol-http, “Smart Server Response”). */
export interface Advertised {
  readonly version: 0 | 1;
  readonly capabilities: readonly Capability[];
  readonly objectFormat: ObjectFormat;
}

export interface AdvertisementEvents {
  /** Once, before the first ref. */
  head(head: Advertised): void;
  /** In the server's order; HEAD first where there is one. Peeled tags come as one ref. */
  ref(ref: Ref): void;
  /** The server's own history is cut off there. */
  shallow(id: string): void;
}

type State = 'service' | 'service-flush' | 'first' | 'refs' | 'done';

/** Reads a server's answer to `info/refs` as it comes. Throws PeerError for anything that is not one. */
export class AdvertisementParser {
  readonly #service: Service;
  readonly #events: AdvertisementEvents;
  readonly #reader = new PacketReader('UPSTREAM_PROTOCOL');
  #state: State = 'service';
  #version: 0 | 1 = 0;
  #format: ObjectFormat = 'sha1';
  #symrefs = new Map<string, string>();
  /** Kept back until it is known whether its peeled form follows. */
  #last: Ref | undefined;
  #count = 0;

  constructor(service: Service, events: AdvertisementEvents) {
    this.#service = service;
    this.#events = events;
  }

  push(chunk: Buffer): void {
    this.#reader.push(chunk);
    for (let next = this.#reader.next(); next !== undefined; next = this.#reader.next()) this.#take(next);
  }

  end(): void {
    if (this.#state !== 'done' || !this.#reader.empty) throw broken('it ended early');
  }

  #take(next: Packet): void {
    if (this.#state === 'done') throw broken('something follows its end');
    if (next === 'flush') this.#flush();
    else if (typeof next === 'string') throw broken('it holds a packet of another version');
    else this.#line(next);
  }

  #flush(): void {
    if (this.#state === 'service-flush') this.#state = 'first';
    else if (this.#state === 'first') {
      // An empty repository may have nothing to say at all.
      this.#events.head({ version: this.#version, capabilities: [], objectFormat: this.#format });
      this.#state = 'done';
    } else if (this.#state === 'refs') {
      this.#release();
      this.#state = 'done';
    } else throw broken('a flush where none belongs');
  }

  #line(payload: Buffer): void {
    if (this.#state === 'service') {
      if (lineText(payload) !== `# service=${this.#service}`) throw broken('it does not begin with the service');
      this.#state = 'service-flush';
    } else if (this.#state === 'first') this.#first(payload);
    else if (this.#state === 'refs') this.#further(payload);
    else throw broken('a line where none belongs');
  }

  #first(payload: Buffer): void {
    const nul = payload.indexOf(0);
    if (nul < 0) {
      const text = lineText(payload) ?? '';
      if (text === 'version 1' && this.#version === 0) {
        this.#version = 1;
        return;
      }
      if (text.startsWith('ERR ')) throw new ServerSays(text.slice(4));
      throw broken(text === 'version 2' ? 'it is of version 2' : 'its first line names no capabilities');
    }
    const capabilities = parseCapabilities(lineText(payload.subarray(nul + 1)) ?? '');
    for (const { name, value } of capabilities) {
      if (name === 'object-format') this.#format = objectFormatOf(value, 'UPSTREAM_PROTOCOL');
      if (name === 'symref' && value !== undefined) {
        const [from, to] = value.split(':');
        if (from !== undefined && to !== undefined) this.#symrefs.set(from, to);
      }
    }
    this.#events.head({ version: this.#version, capabilities, objectFormat: this.#format });
    this.#state = 'refs';
    const line = lineText(payload.subarray(0, nul));
    if (line === `${zeroId(this.#format)} capabilities^{}`) return;
    this.#ref(line);
  }

  #further(payload: Buffer): void {
    const line = lineText(payload);
    const shallow = line?.startsWith('shallow ') ? line.slice(8) : undefined;
    if (shallow === undefined) {
      this.#ref(line);
      return;
    }
    if (!isId(shallow, this.#format)) throw broken('a line names no object');
    this.#events.shallow(shallow);
  }

  #ref(line: string | undefined): void {
    const space = this.#format === 'sha1' ? 40 : 64;
    // A name that is not UTF-8 has no spelling that policy could know.
    if (line === undefined) return;
    const id = line.slice(0, space);
    const name = line.slice(space + 1);
    if (line[space] !== ' ' || !isId(id, this.#format)) throw broken('a line names no object');
    if (name.endsWith('^{}')) {
      if (this.#last?.name !== name.slice(0, -3)) return;
      this.#last = { ...this.#last, peeled: id };
      return;
    }
    if (++this.#count > maxRefs) throw broken(`it has more than ${maxRefs} refs`);
    this.#release();
    // `.have` tells objects of other repositories that share storage with this one: nobody's business.
    if (name !== 'HEAD' && !isRefName(name)) return;
    const target = this.#symrefs.get(name);
    this.#last = { name, id, ...(target === undefined ? {} : { target }) };
  }

  #release(): void {
    if (this.#last !== undefined) this.#events.ref(this.#last);
    this.#last = undefined;
  }
}

/** The server reported an error in its own words. */
export class ServerSays extends Error {
  override readonly name = 'ServerSays';
}

function broken(how: string): PeerError {
  return new PeerError('UPSTREAM_PROTOCOL', `the target's list of refs cannot be read: ${how}`);
}

/** Writes an advertisement for a caller: only refs it may see, only capabilities that are understood. */
export class AdvertisementWriter {
  readonly #service: Service;
  readonly #visible: (ref: Ref) => boolean;
  #head: Advertised | undefined;
  #begun = false;
  #out: Buffer[] = [];
  readonly #shallow: Buffer[] = [];
  #hidden = 0;
  #shown = 0;

  constructor(service: Service, visible: (ref: Ref) => boolean) {
    this.#service = service;
    this.#visible = visible;
  }

  head(head: Advertised): void {
    this.#head = head;
    this.#out.push(packet(`# service=${this.#service}\n`), flush);
    if (head.version === 1) this.#out.push(packet('version 1\n'));
  }

  ref(ref: Ref): void {
    if (!this.#visible(ref)) {
      this.#hidden += 1;
      return;
    }
    this.#shown += 1;
    this.#line(`${ref.id} ${ref.name}`, ref);
    if (ref.peeled !== undefined) this.#line(`${ref.peeled} ${ref.name}^{}`, ref);
  }

  shallow(id: string): void {
    this.#shallow.push(packet(`shallow ${id}`));
  }

  end(): void {
    const { capabilities = [], objectFormat = 'sha1' } = this.#head ?? {};
    if (!this.#begun && capabilities.length > 0) this.#line(`${zeroId(objectFormat)} capabilities^{}`, undefined);
    this.#out.push(...this.#shallow, flush);
  }

  /** What has been written since the last call. */
  take(): Buffer {
    const bytes = Buffer.concat(this.#out);
    this.#out = [];
    return bytes;
  }

  get hidden(): number {
    return this.#hidden;
  }

  get shown(): number {
    return this.#shown;
  }

  #line(text: string, ref: Ref | undefined): void {
    if (this.#begun) {
      this.#out.push(packet(`${text}\n`));
      return;
    }
    this.#begun = true;
    // HEAD comes first, so a symbolic ref is announced only where it is shown itself: its target then is as well.
    const keep = ({ name, value }: Capability) =>
      name !== 'symref' || (ref?.name === 'HEAD' && value === `HEAD:${ref.target}`);
    const capabilities = understood(this.#service, this.#head?.capabilities ?? [], keep);
    this.#out.push(packet(`${text}\0${formatCapabilities(capabilities)}\n`));
  }
}
