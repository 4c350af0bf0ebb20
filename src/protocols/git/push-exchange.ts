import { createReadStream } from 'node:fs';
import type { Permit } from '../../audit/permit.ts';
import type { Exchange, Reply } from '../../gateway/protocol.ts';
import type { ApprovalRequest } from '../../model/approval.ts';
import type { Command } from '../../model/command.ts';
import { PeerError, type Refusal, refusals } from '../../model/errors.ts';
import type { OutgoingCall } from '../../web/connection.ts';
import type { Body } from '../../web/message.ts';
import { unexpected } from './answers.ts';
import type { Context } from './context.ts';
import { flush, PacketReader, packet, packetsOf } from './pktline.ts';
import type { Push, RefUpdate } from './push.ts';
import { type PushAnswer, pushResultType } from './push-answer.ts';
import { zeroId } from './ref-name.ts';
import { reasonOf, refusalOf } from './refusals.ts';
import type { Piece } from './relay.ts';
import { parseReport, type RefResult, type Report } from './report-status.ts';
import { harmless } from './sideband.ts';

/** The pack that goes upstream. */
export interface OutgoingPack {
  readonly file: string;
  readonly bytes: number;
}

export interface PushRoute {
  readonly context: Context;
  readonly answer: PushAnswer;
  readonly push: Push;
  readonly updates: readonly RefUpdate[];
  readonly command: Command;
  /** Set where these updates are refused. */
  readonly refusal?: Refusal;
  /** What the target can do, by its own words of a moment ago. */
  readonly offered: ReadonlySet<string>;
  /** What the recording says besides. */
  readonly noted: Readonly<Record<string, unknown>>;
  /** Made when it is needed: after the last yes. */
  readonly pack: () => Promise<OutgoingPack | undefined>;
  /** The whole report, with what became of the other refs, from what the target said. */
  report(own: Report): Report;
}

const nothing = Buffer.alloc(0);
const maxReport = 4 * 2 ** 20;

/** Ref updates that go one way: upstream together, or not at all. */
export class PushExchange implements Exchange<Piece> {
  readonly command: Command;
  readonly mayWait = true;
  readonly cancelled: AbortSignal;
  readonly refusal: Refusal | undefined;
  /** What became of each ref; rejects never. */
  readonly finished: Promise<ReadonlyMap<string, RefResult>>;
  readonly #finish: (results: ReadonlyMap<string, RefResult>) => void;
  readonly #route: PushRoute;
  /** Whether the report has been written; then the answer is complete but for its end. */
  reported = false;
  /** What was refused, where it was. */
  refused: Refusal | undefined;
  #recorded: Buffer = nothing;

  constructor(route: PushRoute) {
    const { promise, resolve } = Promise.withResolvers<ReadonlyMap<string, RefResult>>();
    this.finished = promise;
    this.#finish = resolve;
    this.command = route.command;
    this.cancelled = route.context.call.signal;
    this.refusal = route.refusal;
    this.#route = route;
  }

  maskable(): undefined {
    return undefined; // A report holds no classified values.
  }

  describe(): string {
    const { text, parameters, preview } = this.command;
    return JSON.stringify({ text, parameters, ...(preview === undefined ? {} : { preview }), ...this.#route.noted });
  }

  mask(piece: Piece): Buffer {
    this.#recorded = piece.recorded ?? piece.shown;
    return piece.shown;
  }

  recorded(): Buffer {
    return this.#recorded;
  }

  respond(bytes: Buffer): Promise<void> | undefined {
    return this.#route.answer.write(bytes);
  }

  refuse(refusal: Refusal): void {
    this.refused = refusal;
    this.#finish(this.#all(refusal));
  }

  withhold(): void {
    this.#route.answer.abort();
  }

  pending(request: ApprovalRequest, link: string): void {
    this.#route.answer.say([
      '',
      `waiting for approval by ${request.approvers.join(' and ')} (request ${request.id}, rule ${request.rule})`,
      `approval: ${link}`,
      'this push goes on as soon as they say yes; if it ends before, push the same again',
      '',
    ]);
  }

  forward(permit: Permit, reply: Reply<Piece>): void {
    void this.#forward(permit, reply);
  }

  async #forward(permit: Permit, reply: Reply<Piece>): Promise<void> {
    const { context, updates, report } = this.#route;
    const asked = new Set(updates.map(({ ref }) => ref));
    try {
      const pack = await this.#route.pack();
      const own = await send(permit, this.#route, pack, (lines) => this.#say(reply, lines));
      for (const ref of asked)
        if (!own.refs.has(ref)) throw new PeerError('UPSTREAM_PROTOCOL', "the target's report misses a ref");
      const shown = this.#route.answer.report(report(own));
      this.reported = true;
      void reply.frames(
        { shown, recorded: Buffer.from(`${JSON.stringify({ unpack: own.unpack, refs: [...own.refs] })}\n`) },
        own.refs.size,
      );
      const failed = own.unpack !== 'ok' || [...own.refs.values()].some(({ ok }) => !ok);
      reply.end({ status: failed ? 'error' : 'ok', ...(failed ? { errorCode: 'ng' } : {}) });
      this.#finish(own.refs);
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal.kind === 'INTERNAL')
        context.gateway.log('error', 'git: a push failed', { error: String((error as Error).stack) });
      this.refused = refusal;
      reply.end({ status: 'error', errorCode: refusals[refusal.kind].code });
      this.#finish(this.#all(refusal));
    }
  }

  #all(refusal: Refusal): ReadonlyMap<string, RefResult> {
    const result = { ok: false, reason: reasonOf(refusal) };
    return new Map(this.#route.updates.map(({ ref }) => [ref, result]));
  }

  /** The target's own words, line by line. */
  #say(reply: Reply<Piece>, lines: readonly string[]): Promise<void> | undefined {
    const shown = this.#route.answer.remote(lines);
    return reply.frames({ shown, recorded: Buffer.from(`${JSON.stringify({ remote: lines })}\n`) }, 0);
  }
}

/** Sends the updates with their pack; resolves with the target's report. */
async function send(
  permit: Permit,
  route: PushRoute,
  pack: OutgoingPack | undefined,
  say: (lines: readonly string[]) => Promise<void> | undefined,
): Promise<Report> {
  const { context, updates } = route;
  const { line, upstream, repository } = context;
  const over = Promise.withResolvers<void>();
  const report: Buffer[] = [];
  let size = 0;
  let text = '';
  const reader = new PacketReader('UPSTREAM_PROTOCOL');
  const sideband = route.offered.has('side-band-64k');
  let ended = false;
  const take = (bytes: Buffer): Promise<void> | undefined => {
    if (!sideband) {
      size += bytes.length;
      if (size > maxReport) throw new PeerError('UPSTREAM_PROTOCOL', 'the report of the target is too long');
      report.push(bytes);
      return undefined;
    }
    reader.push(bytes);
    const lines: string[] = [];
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      if (ended) throw new PeerError('UPSTREAM_PROTOCOL', 'something follows the report of the target');
      if (next === 'flush') {
        ended = true;
      } else if (typeof next === 'string')
        throw new PeerError('UPSTREAM_PROTOCOL', 'the report of the target is of another version');
      else if (next[0] === 1) {
        size += next.length;
        if (size > maxReport) throw new PeerError('UPSTREAM_PROTOCOL', 'the report of the target is too long');
        report.push(next.subarray(1));
      } else if (next[0] === 2) {
        text += next.toString('utf8', 1);
        const parts = text.split(/\r\n|\r|\n/);
        text = (parts.pop() ?? '').slice(0, 65_536);
        lines.push(...parts);
      } else throw new PeerError('UPSTREAM_PROTOCOL', 'the target ended the push with an error');
    }
    return lines.length === 0 ? undefined : say(lines.map(shown));
  };
  const shown = (words: string) => (upstream.reveals(words) ? '(a line that tells a credential)' : harmless(words));
  const stop = () => over.reject(line.signal.reason);
  let call: OutgoingCall | undefined;
  line.signal.addEventListener('abort', stop, { once: true });
  const path = `${repository.path}/git-receive-pack`;
  const fields = ['content-type', 'application/x-git-receive-pack-request', 'accept', pushResultType];
  const body = pushBody(route, pack);
  try {
    if (line.signal.aborted) stop();
    call = upstream.command(
      permit,
      { method: 'POST', path, fields, body },
      {
        informed: () => undefined,
        head(head) {
          const wrong = unexpected(head, pushResultType);
          if (wrong !== undefined) over.reject(wrong);
        },
        data(bytes) {
          try {
            return take(bytes);
          } catch (error) {
            over.reject(error);
            return undefined;
          }
        },
        end: () => over.resolve(),
        fail: (error) => over.reject(error),
        switched: () => over.reject(new PeerError('UPSTREAM_PROTOCOL', 'the target switched protocols')),
      },
    );
    await over.promise;
    if (text !== '') await say([shown(text)]);
    if (sideband && (!ended || !reader.empty))
      throw new PeerError('UPSTREAM_PROTOCOL', 'the report of the target ended early');
    return parseReport(packetsOf(Buffer.concat(report), 'UPSTREAM_PROTOCOL'), new Set(updates.map(({ ref }) => ref)));
  } catch (error) {
    call?.cancel();
    throw error;
  } finally {
    line.signal.removeEventListener('abort', stop);
  }
}

/** The request as the target gets it: the updates that go on, our own choice of capabilities, the pack. */
function pushBody({ push, updates, offered }: PushRoute, pack: OutgoingPack | undefined): Body {
  const zero = zeroId(push.objectFormat);
  const capabilities = [
    offered.has('report-status-v2') ? 'report-status-v2' : 'report-status',
    ...(offered.has('side-band-64k') ? ['side-band-64k'] : []),
    ...(push.atomic ? ['atomic'] : []),
    ...(push.options.length > 0 ? ['push-options'] : []),
    ...(push.objectFormat === 'sha1' ? [] : [`object-format=${push.objectFormat}`]),
    'agent=git/sallyport',
  ].join(' ');
  const commands = updates.map(({ ref, old, new: next }, index) =>
    packet(`${old ?? zero} ${next ?? zero} ${ref}${index === 0 ? `\0 ${capabilities}` : ''}\n`),
  );
  const options = push.options.length === 0 ? [] : [...push.options.map((option) => packet(option)), flush];
  const head = Buffer.concat([...commands, flush, ...options]);
  return joined(head, pack);
}

/** Some bytes, then a file, with back-pressure. */
function joined(head: Buffer, pack: OutgoingPack | undefined): Body {
  let file: ReturnType<typeof createReadStream> | undefined;
  return {
    length: head.length + (pack?.bytes ?? 0),
    pipe(sink) {
      const go = async () => {
        await sink.data(head);
        if (pack !== undefined) {
          file = createReadStream(pack.file, { highWaterMark: 65_536 });
          for await (const chunk of file as AsyncIterable<Buffer>) {
            const wait = sink.data(chunk);
            if (wait !== undefined) await wait;
          }
        }
        sink.end([]);
      };
      go().catch(() => sink.fail(new PeerError('CLIENT_PROTOCOL', 'the pack cannot be read any more')));
    },
    cancel: () => void file?.destroy(),
  };
}
