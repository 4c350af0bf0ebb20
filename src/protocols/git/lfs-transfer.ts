import { createHash } from 'node:crypto';
import type { Permit } from '../../audit/permit.ts';
import type { Command } from '../../model/command.ts';
import { PeerError, Refusal } from '../../model/errors.ts';
import type { OutgoingCall } from '../../web/connection.ts';
import { type AnswerSink, type Body, type BodySink, field, type ResponseHead } from '../../web/message.ts';
import { collect, unexpected } from './answers.ts';
import type { Context } from './context.ts';
import { batchAsk, lfsCommand, refuseLfs } from './lfs.ts';
import { type Action, type Batch, lfsType, parseBatchAnswer } from './lfs-actions.ts';
import type { Ways } from './lfs-ways.ts';
import { type Question, silent } from './relay.ts';
import { whole } from './request-body.ts';
import { type Ask, bytesBody, noBody, type Way } from './upstream.ts';

const maxAnswer = 8 * 2 ** 20;
const binary = 'application/octet-stream';

/** One object to the caller: its bytes as they come, and never as complete where they are not what its id says. */
export async function lfsDownload(context: Context, oid: string, size: number, signal: AbortSignal): Promise<Question> {
  const { repository, settings } = context;
  const command = lfsCommand(repository.id, 'LFS_DOWNLOAD', 'read', `LFS download ${repository.id}\n${oid} ${size}`);
  if (size > settings.maxObjectBytes) throw tooLarge(settings.maxObjectBytes);
  const way = await wayFor(context, command, 'download', oid, size, signal);
  const hash = createHash('sha256');
  let seen = 0;
  // The last piece goes only when everything is known to be right: who has them all has the object.
  let kept: Buffer = none;
  return {
    command,
    contentType: binary,
    ...way.refused,
    send: (permit, sink) => way.send(permit, { method: 'GET', fields: ['accept', binary], body: noBody }, sink),
    expect(head) {
      const wrong = unexpected({ ...head, fields: withType(head) }, binary);
      if (wrong === undefined && head.length !== undefined && head.length !== size) return otherSize();
      return wrong;
    },
    head: () => ({ status: 200, fields: ['content-type', binary, 'cache-control', 'no-cache'], length: size }),
    data(bytes) {
      seen += bytes.length;
      if (seen > size) throw otherSize();
      hash.update(bytes);
      const shown = kept;
      kept = bytes;
      return { shown, recorded: none };
    },
    end() {
      if (seen !== size) throw otherSize();
      if (hash.digest('hex') !== oid) throw new PeerError('UPSTREAM_PROTOCOL', 'the target sent another object');
      return { piece: { shown: kept, recorded: told(oid, size) }, rows: 1, detail: { oid } };
    },
    refuse: refuseLfs,
  };
}

/** One object to the target: it is sent on as it comes, but for its end, which goes only when it is what its id says. */
export async function lfsUpload(context: Context, oid: string, size: number, signal: AbortSignal): Promise<Question> {
  const { call, repository, settings } = context;
  const command = lfsCommand(repository.id, 'LFS_UPLOAD', 'write', `LFS upload ${repository.id}\n${oid} ${size}`);
  if (size > settings.maxObjectBytes) throw tooLarge(settings.maxObjectBytes);
  if (call.body.length !== undefined && call.body.length !== size)
    throw new Refusal('UNPARSABLE', 'the object has another size');
  if (field(call.request.fields, 'content-encoding') !== undefined)
    throw new Refusal('UNSUPPORTED', 'objects are sent as they are');
  const way = await wayFor(context, command, 'upload', oid, size, signal);
  return {
    command,
    contentType: lfsType,
    ...way.refused,
    send: (permit, sink) =>
      way.send(
        permit,
        { method: 'PUT', fields: ['content-type', binary], body: checkedBody(call.body, oid, size) },
        sink,
      ),
    ...nothingToShow,
    end: () => ({ piece: { shown: none, recorded: told(oid, size) }, rows: 1, detail: { oid } }),
  };
}

/** After an upload: the target looks whether it has the object. */
export async function lfsVerify(context: Context, oid: string, size: number, signal: AbortSignal): Promise<Question> {
  const { call, repository } = context;
  await whole(call, 65_536); // It can say nothing but what the address says.
  const command = lfsCommand(repository.id, 'LFS_VERIFY', 'write', `LFS verify ${repository.id}\n${oid} ${size}`);
  const way = await wayFor(context, command, 'verify', oid, size, signal);
  const body = Buffer.from(JSON.stringify({ oid, size }));
  return {
    command,
    contentType: lfsType,
    ...way.refused,
    send: (permit, sink) =>
      way.send(
        permit,
        { method: 'POST', fields: ['accept', lfsType, 'content-type', lfsType], body: bytesBody(body) },
        sink,
      ),
    ...nothingToShow,
    end: () => ({ piece: silent, rows: 0 }),
  };
}

const none = Buffer.alloc(0);

/** What the recording says of an object; its content is not recorded. */
function told(oid: string, bytes: number): Buffer {
  return Buffer.from(`${JSON.stringify({ object: { oid, bytes } })}\n`);
}

/** An answer of which only counts that it is a yes. */
const nothingToShow = {
  expect: (head: ResponseHead) => (head.status >= 200 && head.status < 300 ? undefined : unexpected(head, lfsType)),
  head: () => ({ status: 200, fields: ['cache-control', 'no-cache'], length: 0 }),
  data: () => silent,
  refuse: refuseLfs,
};

interface Passage {
  /** Set where the target has no way for this. */
  readonly refused: { readonly refusal?: Refusal };
  send(permit: Permit, ask: Omit<Ask, 'path'>, answer: AnswerSink): OutgoingCall;
}

/** The way of one transfer. The target is not asked for one where policy denies the command: that is said then, and nothing is sent. */
async function wayFor(
  context: Context,
  { classified }: Command,
  what: keyof Ways,
  oid: string,
  size: number,
  signal: AbortSignal,
): Promise<Passage> {
  const denied = context.line.decide(classified).outcome === 'deny';
  const way = denied ? undefined : await wayOf(context, what, oid, size, signal);
  return {
    refused: way instanceof Refusal ? { refusal: way } : {},
    send(permit, ask, answer) {
      if (way !== undefined && !(way instanceof Refusal)) return context.upstream.transfer(permit, way, ask, answer);
      ask.body.cancel();
      queueMicrotask(() => answer.fail(new Refusal('UPSTREAM_UNAVAILABLE', 'the way to the object is not known yet')));
      return { cancel: () => undefined };
    },
  };
}

/** Where an object is: as the target said a moment ago, or says now. */
async function wayOf(
  context: Context,
  what: keyof Ways,
  oid: string,
  size: number,
  signal: AbortSignal,
): Promise<Way | Refusal> {
  const { view, upstream, line } = context;
  const operation = what === 'download' ? 'download' : 'upload';
  let ways = view.lfs.of(operation, oid);
  if (ways === undefined) {
    const batch: Batch = { operation, objects: [{ oid, size }] };
    const body = await collect(
      (sink) => upstream.housekeeping(line.permit, batchAsk(context, batch), sink),
      lfsType,
      maxAnswer,
      signal,
    );
    view.lfs.note(operation, parseBatchAnswer(body, batch));
    ways = view.lfs.of(operation, oid);
  }
  const action: Action | undefined = ways?.[what];
  if (action === undefined) {
    const why = operation === 'download' ? 'the target has no such object' : 'the target does not want this object';
    return new Refusal('TARGET_UNKNOWN', why);
  }
  return upstream.wayTo(action.href, action.header ?? {});
}

/** Storage may say any type or none. */
function withType({ fields }: ResponseHead): string[] {
  const kept = fields.filter((_, index) => fields[index - (index % 2)] !== 'content-type');
  return [...kept, 'content-type', binary];
}

function otherSize(): Refusal {
  return new Refusal('UPSTREAM_PROTOCOL', 'the target sent an object of another size');
}

function tooLarge(limit: number): Refusal {
  return new Refusal('LIMIT_EXCEEDED', `the object is larger than ${limit} bytes`);
}

/** Gives a body on with its last piece kept back until the whole is known to be what `oid` says. */
export function checkedBody(body: Body, oid: string, size: number): Body {
  return {
    length: size,
    cancel: () => body.cancel(),
    pipe(sink: BodySink) {
      const hash = createHash('sha256');
      let seen = 0;
      let kept: Buffer | undefined;
      let over = false;
      const fail = (error: PeerError) => {
        if (over) return;
        over = true;
        sink.fail(error);
        body.cancel();
      };
      body.pipe({
        data(bytes) {
          if (over || bytes.length === 0) return undefined;
          seen += bytes.length;
          if (seen > size) {
            fail(new PeerError('CLIENT_PROTOCOL', 'the object is larger than it said'));
            return undefined;
          }
          hash.update(bytes);
          const before = kept;
          kept = bytes;
          return before === undefined ? undefined : sink.data(before);
        },
        end() {
          if (over) return;
          if (seen !== size || hash.digest('hex') !== oid) {
            fail(new PeerError('CLIENT_PROTOCOL', 'the object is not what its id says'));
            return;
          }
          over = true;
          const wait = kept === undefined ? undefined : sink.data(kept);
          if (wait === undefined) sink.end([]);
          else void wait.then(() => sink.end([]));
        },
        fail: (error) => {
          if (over) return;
          over = true;
          sink.fail(error);
        },
      });
    },
  };
}
