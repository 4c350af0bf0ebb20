import { PeerError } from '../../model/errors.ts';
import { field } from '../../web/message.ts';
import { AdvertisementParser, AdvertisementWriter, ServerSays } from './advertisement.ts';
import { listCommand } from './classify.ts';
import type { Context } from './context.ts';
import { LsRefsFilter, lsRefsOf, lsRefsRequest } from './ls-refs.ts';
import { packetsOf } from './pktline.ts';
import { parseOfferV2, type RequestV2, writeOfferV2, writeRequestV2 } from './protocol-v2.ts';
import type { Ref } from './push.ts';
import { turns } from './quarantine/turns.ts';
import { errorPacket } from './refusals.ts';
import { answerWith, type Piece, type Question, silent } from './relay.ts';
import type { Service } from './repository.ts';
import { bytesBody, noBody } from './upstream.ts';

/** The version a client asks for in `Git-Protocol` (gitprotocol-v2, “HTTP Transport”). */
export function versionOf(context: Context): 0 | 1 | 2 {
  const asked = field(context.call.request.fields, 'git-protocol') ?? '';
  const versions = asked.split(':').map((part) => /^version=([012])$/.exec(part.trim())?.[1]);
  return Math.max(0, ...versions.map((version) => Number(version ?? 0))) as 0 | 1 | 2;
}

function isVisible({ view, upstream }: Context): (ref: Ref) => boolean {
  return (ref) => {
    const visible = view.visible(ref) && !upstream.reveals(ref.name);
    if (visible) view.note(ref);
    return visible;
  };
}

/** `info/refs`: in v0 and v1 all refs, in v2 what the server can do. */
export function advertisement(context: Context, service: Service): Question {
  const asked = versionOf(context);
  // Pushing knows no version 2: servers answer in version 0 (gitprotocol-v2).
  const version = asked === 2 && service === 'git-receive-pack' ? 0 : asked;
  const answer = version === 2 ? new OfferAnswer(context) : new RefsAnswer(context, service);
  return {
    command: listCommand(context.repository.id, version === 2 ? `${service} version 2` : service),
    contentType: `application/x-${service}-advertisement`,
    send: (permit, sink) =>
      context.upstream.command(
        permit,
        {
          method: 'GET',
          path: `${context.repository.path}/info/refs?service=${service}`,
          fields: version === 0 ? [] : ['git-protocol', `version=${version}`],
          body: noBody,
        },
        sink,
      ),
    data: (bytes) => answer.data(bytes),
    end: () => answer.end(),
  };
}

/** All refs, those that the caller may not see taken out. */
class RefsAnswer {
  readonly #parser: AdvertisementParser;
  readonly #writer: AdvertisementWriter;
  readonly #context: Context;
  #hiddenTags = 0;

  constructor(context: Context, service: Service) {
    this.#context = context;
    const visible = isVisible(context);
    this.#writer = new AdvertisementWriter(service, (ref) => {
      const shown = visible(ref);
      if (!shown && ref.name.startsWith('refs/tags/')) this.#hiddenTags += 1;
      return shown;
    });
    this.#parser = new AdvertisementParser(service, this.#writer);
  }

  data(bytes: Buffer): Piece | Promise<Piece> {
    const done = () => ({ shown: this.#writer.take() });
    const rest = bitByBit(bytes, (piece) => said(() => this.#parser.push(piece)));
    return rest === undefined ? done() : rest.then(done);
  }

  /** An answer that is there all at once. */
  whole(bytes: Buffer) {
    said(() => this.#parser.push(bytes));
    return this.end();
  }

  end() {
    said(() => this.#parser.end());
    this.#writer.end();
    this.#context.view.tagsMayHide = this.#hiddenTags > 0;
    const { shown, hidden } = this.#writer;
    return { piece: { shown: this.#writer.take() }, rows: shown, detail: { refs: shown, hidden } };
  }
}

/** About as many refs as policy can be asked about while nobody notices. */
const bit = 4096;

/** Goes through bytes so that others have their turns meanwhile; a promise only where it takes that long. */
function bitByBit(bytes: Buffer, take: (piece: Buffer) => void): Promise<void> | undefined {
  const turn = turns();
  for (let at = 0; at < bytes.length; at += bit) {
    take(bytes.subarray(at, at + bit));
    const wait = turn();
    if (wait !== undefined) return wait.then(() => bitByBit(bytes.subarray(at + bit), take));
  }
  return undefined;
}

const maxOffer = 65_536;

/** What the server can do, that which is not understood here taken out. Small: written when it is whole. */
class OfferAnswer {
  readonly #context: Context;
  readonly #chunks: Buffer[] = [];
  #size = 0;
  #old: RefsAnswer | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  data(bytes: Buffer) {
    // A server that knows no version 2 lists all its refs instead: then the whole is read as such.
    if (this.#old !== undefined) return this.#old.data(bytes);
    this.#size += bytes.length;
    this.#chunks.push(bytes);
    if (this.#size > 64 && !Buffer.concat(this.#chunks).subarray(0, 100).includes('version 2')) return this.#fallBack();
    if (this.#size > maxOffer) throw new PeerError('UPSTREAM_PROTOCOL', "the target's capabilities are too long");
    return silent;
  }

  end() {
    if (this.#old !== undefined) return this.#old.end();
    const offer = said(() => parseOfferV2(packetsOf(Buffer.concat(this.#chunks), 'UPSTREAM_PROTOCOL')));
    if (offer === undefined) {
      // Short, or it would have been noticed before: one of few refs.
      const old = new RefsAnswer(this.#context, 'git-upload-pack');
      return old.whole(Buffer.concat(this.#chunks));
    }
    return { piece: { shown: writeOfferV2(offer) }, rows: 0 };
  }

  #fallBack() {
    this.#old = new RefsAnswer(this.#context, 'git-upload-pack');
    const all = Buffer.concat(this.#chunks);
    this.#chunks.length = 0;
    return this.#old.data(all);
  }
}

/** A server's own words of an error are not passed on: nobody knows what is in them. */
function said<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ServerSays)
      throw new PeerError('UPSTREAM_PROTOCOL', 'the target refused this with an error of its own');
    throw error;
  }
}

export const resultType = 'application/x-git-upload-pack-result';

/** Protocol v2, `ls-refs`. */
export function lsRefs(context: Context, request: RequestV2): Question {
  const asked = lsRefsOf(request.args);
  const visible = isVisible(context);
  const allTags = asked.prefixes.length === 0 || asked.prefixes.some((prefix) => 'refs/tags/'.startsWith(prefix));
  let hiddenTags = 0;
  const filter = new LsRefsFilter(asked, request.objectFormat, (ref) => {
    const shown = visible(ref);
    if (!shown && ref.name.startsWith('refs/tags/')) hiddenTags += 1;
    return shown;
  });
  return {
    command: listCommand(context.repository.id, 'ls-refs'),
    contentType: resultType,
    noted: { prefixes: asked.prefixes.slice(0, 100) },
    send: (permit, sink) =>
      context.upstream.command(permit, uploadPack(context, writeRequestV2(lsRefsRequest(request, asked)), 2), sink),
    data(bytes) {
      const shown: Buffer[] = [];
      const done = () => ({ shown: Buffer.concat(shown) });
      const rest = bitByBit(bytes, (piece) => void shown.push(filter.push(piece)));
      return rest === undefined ? done() : rest.then(done);
    },
    end() {
      filter.end();
      if (allTags) context.view.tagsMayHide = hiddenTags > 0;
      const { shown, hidden } = filter;
      return { piece: silent, rows: shown, detail: { refs: shown, hidden } };
    },
    refuse: (call, refusal) => answerWith(call, resultType, errorPacket(refusal)),
  };
}

/** A request to upload-pack. */
export function uploadPack({ repository }: Context, body: Buffer, version: 0 | 1 | 2) {
  return {
    method: 'POST',
    path: `${repository.path}/git-upload-pack`,
    fields: [
      'content-type',
      'application/x-git-upload-pack-request',
      'accept',
      resultType,
      ...(version === 0 ? [] : ['git-protocol', `version=${version}`]),
    ],
    body: bytesBody(body),
  } as const;
}
