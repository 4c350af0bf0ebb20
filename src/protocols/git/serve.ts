import type { Gateway } from '../../gateway/protocol.ts';
import type { Command } from '../../model/command.ts';
import type { Refusal } from '../../model/errors.ts';
import type { ServerCall } from '../../web/message.ts';
import type { Route } from '../../web/protocol.ts';
import type { Context } from './context.ts';
import { fetch } from './fetch.ts';
import { type FetchRequest, fetchOfV0, fetchOfV2 } from './fetch-request.ts';
import { lfsBatch, lfsLocks, refuseLfs } from './lfs.ts';
import { lfsDownload, lfsUpload, lfsVerify } from './lfs-transfer.ts';
import { advertisement, lsRefs, resultType, versionOf } from './list.ts';
import { packetsOf } from './pktline.ts';
import { parseRequestV2 } from './protocol-v2.ts';
import { receivePack } from './receive.ts';
import type { RefsViews } from './refs-view.ts';
import { errorPacket, refusalOf } from './refusals.ts';
import { answerWith, type Question, Relay } from './relay.ts';
import { type Address, addressOf } from './repository.ts';
import { expectType, whole } from './request-body.ts';
import type { GitSettings } from './settings.ts';
import { harmless } from './sideband.ts';
import type { GitUpstream } from './upstream.ts';
import type { Workplace } from './workplace.ts';

/** What outlives requests. */
export interface GitRoom {
  readonly views: RefsViews;
  readonly workplace: Workplace;
  upstreamOf(route: Route, gateway: Gateway): GitUpstream;
}

/** Answers one request of a caller who is logged in. Throws Refusal where the answer has not begun and the session is over. */
export async function serve(room: GitRoom, call: ServerCall, route: Route, gateway: Gateway): Promise<void> {
  const { line } = route;
  const settings = line.target.settings as GitSettings;
  const upstream = room.upstreamOf(route, gateway);
  const asker = { call, line, gateway, settings, upstream, route };
  let address: Address;
  try {
    address = addressOf(call.request.method, route.path, settings.caseSensitive);
  } catch (error) {
    return refused({ call, line }, notUnderstood(route.path), error);
  }
  const { repository } = address;
  const context: Context = { ...asker, repository, view: room.views.of(line, repository.id) };
  try {
    await dispatch(room, context, address);
  } catch (error) {
    if (call.answered || call.signal.aborted || line.signal.aborted) throw error;
    // git shows the text of an error status only where it asked with GET; behind a POST, an error of the protocol.
    const { kind } = address.asked;
    const asError = kind === 'upload-pack' ? refuseFetch : kind.startsWith('lfs-') ? refuseLfs : undefined;
    await refused(context, notUnderstood(`${address.asked.kind} of ${repository.id}`), error, asError);
  }
}

/** What could not be read, or not be looked into, is a command nevertheless: one that is refused. */
async function refused(
  { call, line }: Pick<Context, 'call' | 'line'>,
  command: Command,
  error: unknown,
  refuse?: Question['refuse'],
): Promise<void> {
  const refusal = refusalOf(error);
  if (refusal.kind === 'INTERNAL') throw error;
  const never = () => {
    throw refusal;
  };
  await run(
    { call, line },
    {
      command,
      refusal,
      contentType: 'text/plain',
      send: never,
      data: never,
      end: never,
      ...(refuse === undefined ? {} : { refuse }),
    },
  );
}

function refuseFetch(call: ServerCall, refusal: Refusal): void {
  call.body.cancel();
  answerWith(call, resultType, errorPacket(refusal));
}

function notUnderstood(text: string): Command {
  const facts = { statements: 1, hasWhere: false, functions: [], verbs: ['UNKNOWN'] };
  return {
    classified: { verb: 'UNKNOWN', actions: ['administer'], resources: [], facts },
    text: harmless(text.slice(0, 1000)),
  };
}

async function dispatch(room: GitRoom, context: Context, { asked }: Address): Promise<void> {
  const signal = AbortSignal.any([context.call.signal, context.line.signal]);
  switch (asked.kind) {
    case 'advertisement':
      return run(context, advertisement(context, asked.service));
    case 'upload-pack':
      return uploadPack(context);
    case 'receive-pack':
      return receivePack(context, room.workplace);
    case 'lfs-batch':
      return run(context, await lfsBatch(context));
    case 'lfs-locks':
      return run(context, await lfsLocks(context, asked.rest, asked.query));
    case 'lfs-verify':
      return run(context, await lfsVerify(context, asked.oid, asked.size, signal));
    case 'lfs-object': {
      const transfer = context.call.request.method === 'PUT' ? lfsUpload : lfsDownload;
      return run(context, await transfer(context, asked.oid, asked.size, signal));
    }
  }
}

/** Takes a question down the line; resolves when its caller has an answer. */
export async function run(context: Pick<Context, 'call' | 'line'>, question: Question): Promise<void> {
  const { line, call } = context;
  const relay = new Relay(question, call, line.signal);
  const ended = Promise.withResolvers<never>();
  const stop = () => ended.reject(line.signal.reason);
  line.signal.addEventListener('abort', stop, { once: true });
  if (line.signal.aborted) stop();
  try {
    const answered = Promise.all([line.run(relay), relay.finished]);
    await Promise.race([answered, ended.promise]);
  } finally {
    line.signal.removeEventListener('abort', stop);
  }
}

async function uploadPack(context: Context): Promise<void> {
  const { call, settings, line } = context;
  expectType(call, 'application/x-git-upload-pack-request');
  const packets = packetsOf(await whole(call, settings.maxRequestBytes), 'CLIENT_PROTOCOL');
  // git sends a lone flush to learn whether it is let in before it sends much.
  if (packets.length === 1 && packets[0] === 'flush') {
    answerWith(call, resultType, Buffer.alloc(0));
    return;
  }
  let request: FetchRequest;
  if (versionOf(context) === 2) {
    const asked = parseRequestV2(packets);
    if (asked.command === 'ls-refs') return run(context, lsRefs(context, asked));
    request = fetchOfV2(asked);
  } else request = fetchOfV0(packets);
  const found = await fetch(context, request, AbortSignal.any([call.signal, line.signal]));
  if (found.kind === 'answer') answerWith(call, found.contentType, found.body);
  else await run(context, found.question);
}
