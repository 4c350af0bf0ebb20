import { PeerError } from '../../model/errors.ts';
import { flush, lineText, packet } from './pktline.ts';
import { AnswerPackets, type RequestV2 } from './protocol-v2.ts';
import type { ObjectFormat, Ref } from './push.ts';
import { isId, isRefName } from './ref-name.ts';

/** What a client asks of `ls-refs` (gitprotocol-v2). */
export interface LsRefs {
  readonly symrefs: boolean;
  readonly peel: boolean;
  readonly unborn: boolean;
  /** None: everything. */
  readonly prefixes: readonly string[];
}

const maxPrefixes = 65_536;

/** Throws PeerError for an argument that is not understood. */
export function lsRefsOf(args: readonly string[]): LsRefs {
  const has = (name: string) => args.includes(name);
  const prefixes: string[] = [];
  for (const arg of args) {
    if (arg.startsWith('ref-prefix ')) prefixes.push(arg.slice(11));
    else if (arg !== 'symrefs' && arg !== 'peel' && arg !== 'unborn') {
      throw new PeerError('CLIENT_PROTOCOL', `ls-refs has no argument ${arg.slice(0, 40)}`);
    }
  }
  if (prefixes.length > maxPrefixes) throw new PeerError('CLIENT_PROTOCOL', 'ls-refs names too many prefixes');
  return { symrefs: has('symrefs'), peel: has('peel'), unborn: has('unborn'), prefixes };
}

/** The request as the target gets it: always with symbolic refs, for whether HEAD may be seen depends on what it stands for. */
export function lsRefsRequest(request: RequestV2, asked: LsRefs): RequestV2 {
  const args = ['symrefs', ...(asked.peel ? ['peel'] : []), ...(asked.unborn ? ['unborn'] : [])];
  return { ...request, args: [...args, ...asked.prefixes.map((prefix) => `ref-prefix ${prefix}`)] };
}

/** Goes through a server's answer line by line and keeps what the caller may see. */
export class LsRefsFilter {
  readonly #asked: LsRefs;
  readonly #format: ObjectFormat;
  readonly #visible: (ref: Ref) => boolean;
  readonly #packets = new AnswerPackets();
  #done = false;
  shown = 0;
  hidden = 0;

  constructor(asked: LsRefs, format: ObjectFormat, visible: (ref: Ref) => boolean) {
    this.#asked = asked;
    this.#format = format;
    this.#visible = visible;
  }

  /** What of this chunk goes on. Throws PeerError. */
  push(chunk: Buffer): Buffer {
    const out: Buffer[] = [];
    for (const next of this.#packets.push(chunk)) {
      if (this.#done) throw unreadable();
      if (next === 'flush') {
        this.#done = true;
        out.push(flush);
      } else if (typeof next === 'string') throw unreadable();
      else {
        const line = this.#line(next);
        if (line !== undefined) out.push(packet(`${line}\n`));
      }
    }
    return Buffer.concat(out);
  }

  end(): void {
    this.#packets.end();
    if (!this.#done) throw unreadable();
  }

  #line(payload: Buffer): string | undefined {
    const text = lineText(payload);
    if (text === undefined) return undefined; // A name without a spelling that policy could know.
    if (text.startsWith('ERR ')) throw new PeerError('UPSTREAM_PROTOCOL', 'the target refused to list its refs');
    const [id = '', name = '', ...attributes] = text.split(' ');
    const of = (key: string) => attributes.find((word) => word.startsWith(key))?.slice(key.length);
    const target = of('symref-target:');
    const peeled = of('peeled:');
    if (id !== 'unborn' && !isId(id, this.#format)) throw unreadable();
    if (peeled !== undefined && !isId(peeled, this.#format)) throw unreadable();
    if (id === 'unborn' && (!this.#asked.unborn || target === undefined)) return undefined;
    const known = (ref: string) => ref === 'HEAD' || isRefName(ref);
    const ref = { name, id, ...(peeled === undefined ? {} : { peeled }), ...(target === undefined ? {} : { target }) };
    if (!known(name) || (target !== undefined && !known(target)) || !this.#visible(ref)) {
      this.hidden += 1;
      return undefined;
    }
    this.shown += 1;
    const symref = target !== undefined && (this.#asked.symrefs || id === 'unborn') ? ` symref-target:${target}` : '';
    return `${id} ${name}${symref}${peeled === undefined || !this.#asked.peel ? '' : ` peeled:${peeled}`}`;
  }
}

function unreadable(): PeerError {
  return new PeerError('UPSTREAM_PROTOCOL', "the target's list of refs cannot be read");
}
