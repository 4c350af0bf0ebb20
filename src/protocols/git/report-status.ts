import { PeerError } from '../../model/errors.ts';
import { flush, lineText, type Packet, packet } from './pktline.ts';
import { harmless } from './sideband.ts';

/** What became of one ref (gitprotocol-pack, “Reporting Status”). */
export interface RefResult {
  readonly ok: boolean;
  /** Why not. */
  readonly reason?: string;
  /** `option …` lines of report-status-v2. */
  readonly options?: readonly string[];
}

export interface Report {
  /** `ok`, or what went wrong with the pack as a whole. */
  readonly unpack: string;
  readonly refs: ReadonlyMap<string, RefResult>;
}

/** Reads a server's report about the refs that it was asked to update. Throws PeerError for anything else. */
export function parseReport(packets: readonly Packet[], asked: ReadonlySet<string>): Report {
  const refs = new Map<string, RefResult>();
  const [first, ...rest] = packets;
  const unpack = /^unpack (.+)$/.exec(textOf(first))?.[1];
  if (unpack === undefined || rest.pop() !== 'flush') throw unreadable();
  let last: string | undefined;
  for (const line of rest) {
    const text = textOf(line);
    const option = /^option (.+)$/.exec(text)?.[1];
    if (option !== undefined && last !== undefined) {
      const before = refs.get(last)!;
      refs.set(last, { ...before, options: [...(before.options ?? []), harmless(option).slice(0, 1000)] });
      continue;
    }
    const [, word, ref, reason] = /^(ok|ng) (\S+)(?: (.*))?$/.exec(text) ?? [];
    if (ref === undefined || !asked.has(ref) || refs.has(ref)) throw unreadable();
    refs.set(ref, word === 'ok' ? { ok: true } : { ok: false, reason: harmless(reason ?? 'failed').slice(0, 500) });
    last = ref;
  }
  return { unpack: harmless(unpack).slice(0, 500), refs };
}

function textOf(line: Packet | undefined): string {
  const text = line === undefined || typeof line === 'string' ? undefined : lineText(line);
  if (text === undefined) throw unreadable();
  return text;
}

function unreadable(): PeerError {
  return new PeerError('UPSTREAM_PROTOCOL', "the target's report on the push cannot be read");
}

/** Writes the report for the client; `v2` where it understands options. */
export function writeReport({ unpack, refs }: Report, v2: boolean): Buffer {
  const lines = [packet(`unpack ${unpack}\n`)];
  for (const [ref, result] of refs) {
    lines.push(packet(result.ok ? `ok ${ref}\n` : `ng ${ref} ${result.reason ?? 'failed'}\n`));
    if (v2) for (const option of result.options ?? []) lines.push(packet(`option ${option}\n`));
  }
  return Buffer.concat([...lines, flush]);
}
