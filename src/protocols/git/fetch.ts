import { PeerError, Refusal } from '../../model/errors.ts';
import { fetchCommand, readOf, type Wanted } from './classify.ts';
import type { Context } from './context.ts';
import { type FetchRequest, writeFetch } from './fetch-request.ts';
import { resultType, uploadPack } from './list.ts';
import { PackWatch } from './pack-watch.ts';
import { flush, packet } from './pktline.ts';
import { errorPacket } from './refusals.ts';
import { answerWith, beginAnswer, type Question } from './relay.ts';
import { banded, remoteLines } from './sideband.ts';
import { snapshot } from './snapshot.ts';

/** What is to be done with a fetch. */
export type Fetch =
  | { readonly kind: 'ask'; readonly question: Question }
  /** Part of a negotiation that needs nobody. */
  | { readonly kind: 'answer'; readonly contentType: string; readonly body: Buffer };

/**
 * A request for a pack. An id is wanted by a ref that shows it to this caller; one that none shows (a hidden ref's, any other
 * object's) is a thing of its own for policy, and refused where some ref is hidden: nobody could tell what it belongs to.
 */
export async function fetch(context: Context, request: FetchRequest, signal: AbortSignal): Promise<Fetch> {
  const wanted = await wantedOf(context, request, signal);
  const { repository, view, line } = context;
  const refusal = wanted instanceof Refusal ? wanted : undefined;
  const known = wanted instanceof Refusal ? bare(request) : wanted;
  const words = new Set(request.words);
  // It would bring annotated tags besides what is wanted, hidden ones too. Clients then ask for those they see.
  if (view.tagsMayHide) words.delete('include-tag');
  const asked: FetchRequest = { ...request, words };
  const command = fetchCommand(repository.id, asked, known);
  const held = refusal === undefined && line.decide(command.classified).outcome === 'hold';
  // A fetch takes several requests, of which the last brings the pack. That one is held. In version 2 the target may choose
  // which one is the last, so the gateway itself says that it needs to hear more.
  if (held && !request.done && request.version === 2) {
    return {
      kind: 'answer',
      contentType: resultType,
      body: Buffer.concat([packet('acknowledgments\n'), packet('NAK\n'), flush]),
    };
  }
  return { kind: 'ask', question: question(context, asked, command, held, refusal) };
}

function question(
  context: Context,
  asked: FetchRequest,
  command: Question['command'],
  held: boolean,
  refusal: Refusal | undefined,
): Question {
  const watch = new PackWatch((text) => context.upstream.reveals(text));
  // In version 2, an answer to a plain last request begins with the pack. Only then can it be begun before the target's.
  const early = held && asked.version === 2 && asked.deepen === undefined && asked.deepenSince === undefined;
  const begins = early && asked.deepenNot.length === 0 && asked.wantRefs.length === 0 && asked.shallow.length === 0;
  let begun = false;
  let skip = Buffer.alloc(0);
  return {
    command,
    ...(refusal === undefined ? {} : { refusal }),
    // Without `done` version 0 brings no pack (`no-done` is not offered): commit ids only.
    ...(held && !asked.done ? { prepareOnly: true } : {}),
    contentType: resultType,
    noted: { haves: asked.haves.length, shallow: asked.shallow.length, done: asked.done, version: asked.version },
    send: (permit, sink) =>
      context.upstream.command(permit, uploadPack(context, writeFetch(asked), asked.version), sink),
    data(bytes) {
      watch.push(bytes);
      if (!begun) return { shown: bytes, recorded: nothing };
      // The section's name was sent with the first word about the approval.
      if (skip.length < packfile.length) {
        skip = Buffer.concat([skip, bytes]);
        if (skip.length < packfile.length) return { shown: nothing };
        if (!skip.subarray(0, packfile.length).equals(packfile)) {
          throw new PeerError('UPSTREAM_PROTOCOL', 'the answer of the target does not begin with a pack');
        }
        return { shown: skip.subarray(packfile.length), recorded: nothing };
      }
      return { shown: bytes, recorded: nothing };
    },
    end() {
      watch.end();
      const pack = { objects: watch.objects, bytes: watch.bytes, sha256: watch.digest() };
      const recorded = Buffer.from(`${JSON.stringify(watch.bytes > 0 ? { pack } : { negotiation: true })}\n`);
      return {
        piece: { shown: nothing, recorded },
        rows: pack.objects,
        failed: watch.failed,
        ...(watch.bytes > 0
          ? { detail: { objects: pack.objects, packBytes: pack.bytes, packSha256: pack.sha256 } }
          : {}),
      };
    },
    refuse: (call, no) => answerWith(call, resultType, errorPacket(no)),
    ...(begins
      ? {
          pending(call, approval, link) {
            begun = true;
            beginAnswer(call, resultType);
            const lines = [
              `waiting for approval by ${approval.approvers.join(' and ')} (rule ${approval.rule})`,
              `approval: ${link}`,
            ];
            void call.write(Buffer.concat([packfile, remoteLines(lines, 'side-band-64k')]));
          },
          late: (no) =>
            banded(
              3,
              Buffer.from(
                `${no.code}: ${no.message}${no.details.advice === undefined ? '' : `\n${no.details.advice}`}\n`,
              ),
              'side-band-64k',
            ),
        }
      : {}),
  };
}

const nothing = Buffer.alloc(0);
const packfile = packet('packfile\n');

function bare(request: FetchRequest): Wanted[] {
  return [
    ...request.wants.map((id) => ({ id, ref: undefined })),
    ...request.wantRefs.map((ref) => ({ id: undefined, ref })),
  ];
}

/** By what each wanted thing may be had; a Refusal where something may not. */
async function wantedOf(context: Context, request: FetchRequest, signal: AbortSignal): Promise<Wanted[] | Refusal> {
  const { view, line, repository } = context;
  if (line.decide(readOf(repository.id, [])).outcome === 'deny') return bare(request); // Policy itself says why.
  const byName = request.wantRefs.length > 0 || request.deepenNot.length > 0;
  const lately = view.hiddenLately(Date.now());
  const missing = request.wants.some((id) => view.refOf(id) === undefined);
  const seen = byName || (missing && lately === undefined) ? await look(context, request, signal) : undefined;
  const unseen = [...request.wantRefs, ...request.deepenNot].find(
    (name) => !spellings(name).some((full) => seen?.names.has(full)),
  );
  if (unseen !== undefined) {
    return new Refusal('POLICY_DENIED', `${repository.id} has no ref ${unseen.slice(0, 200)} that you may read`);
  }
  const wanted = request.wants.map(
    (id): Wanted => ({ id, ref: view.refOf(id) ?? view.least(seen?.refs.get(id) ?? []) }),
  );
  const loose = wanted.find(({ ref }) => ref === undefined);
  if (loose !== undefined && (seen?.hidden ?? lately) !== 0) {
    return new Refusal('POLICY_DENIED', `no ref of ${repository.id} that you may read shows ${loose.id}`, {
      advice:
        'fetch a branch or tag that is listed to you; single objects (partial clones) need a repository without hidden refs',
    });
  }
  return [...wanted, ...request.wantRefs.map((ref): Wanted => ({ id: undefined, ref }))];
}

/** All refs as they are now: how many are hidden, the names of the others, and which of these show what is wanted. */
async function look(
  context: Context,
  request: FetchRequest,
  signal: AbortSignal,
): Promise<{ hidden: number; names: ReadonlySet<string>; refs: ReadonlyMap<string, readonly string[]> }> {
  const { view } = context;
  const wants = new Set(request.wants);
  const names = new Set<string>();
  const refs = new Map<string, string[]>();
  const all = (await snapshot(context, 'git-upload-pack', signal)).refs;
  const visible = await view.amongVisible(all);
  const hidden = all.length - visible.length;
  for (const ref of visible) {
    view.note(ref);
    names.add(ref.name);
    for (const id of [ref.id, ref.peeled]) {
      if (id === undefined || !wants.has(id)) continue;
      const of = refs.get(id);
      if (of === undefined) refs.set(id, [ref.target ?? ref.name]);
      else of.push(ref.target ?? ref.name);
    }
  }
  view.sawAll(hidden, Date.now());
  return { hidden, names, refs };
}

/** What a short name may stand for (gitrevisions). */
function spellings(name: string): string[] {
  return [name, `refs/${name}`, `refs/tags/${name}`, `refs/heads/${name}`, `refs/remotes/${name}`];
}
