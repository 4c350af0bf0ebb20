import type { Command } from '../../model/command.ts';
import { Refusal } from '../../model/errors.ts';
import { field, type ResponseHead, type ServerCall } from '../../web/message.ts';
import { statusOf } from '../../web/problem.ts';
import { unexpected } from './answers.ts';
import { facts, repositoryResource } from './classify.ts';
import type { Context } from './context.ts';
import { type Batch, lfsType, parseBatch, parseBatchAnswer, writeBatch, writeBatchAnswer } from './lfs-actions.ts';
import { linesOf } from './refusals.ts';
import { type Question, silent } from './relay.ts';
import { expectType, whole } from './request-body.ts';
import { type Ask, bytesBody } from './upstream.ts';

const maxAnswer = 8 * 2 ** 20;

/** A command of the LFS API. Downloads read the repository, everything else writes it. */
export function lfsCommand(
  repository: string,
  verb: string,
  access: 'read' | 'write',
  text: string,
  ref?: string,
): Command {
  return {
    classified: {
      verb,
      actions: [access],
      resources: [repositoryResource(repository, access)],
      // What an object holds is looked at by nobody: policy can go by this word.
      facts: facts(verb, {
        ...(access === 'write' && verb !== 'LFS_LOCK' ? { findings: ['lfs.uninspected'] } : {}),
        ...(ref === undefined ? {} : { values: [`ref=${ref}`] }),
      }),
    },
    text,
    scope: repository,
  };
}

/** Asks for objects: where they can be had, or left. */
export async function lfsBatch(context: Context): Promise<Question> {
  const { call, settings, repository } = context;
  expectType(call, lfsType);
  const batch = parseBatch(await whole(call, settings.maxRequestBytes));
  const access = batch.operation === 'download' ? 'read' : 'write';
  const lines = batch.objects.map(({ oid, size }) => `${oid} ${size}`);
  const text = [`LFS ${batch.operation} ${repository.id}`, ...lines].join('\n');
  const answer = wholeAnswer(maxAnswer);
  return {
    command: lfsCommand(repository.id, 'LFS_BATCH', access, text, batch.ref?.name),
    contentType: lfsType,
    send: (permit, sink) => context.upstream.command(permit, batchAsk(context, batch), sink),
    data: answer.data,
    end() {
      const found = parseBatchAnswer(answer.bytes(), batch);
      context.view.lfs.note(batch.operation, found);
      const shown = writeBatchAnswer(found, lfsAddress(context));
      const missing = found.objects.filter(({ error }) => error !== undefined).length;
      return { piece: { shown }, rows: found.objects.length, detail: { objects: found.objects.length, missing } };
    },
    refuse: refuseLfs,
  };
}

export function batchAsk({ repository }: Context, batch: Batch): Ask {
  return {
    method: 'POST',
    path: `${repository.path}/info/lfs/objects/batch`,
    fields: ['accept', lfsType, 'content-type', lfsType],
    body: bytesBody(writeBatch(batch)),
  };
}

/** Where the caller finds the LFS API of the repository. */
function lfsAddress({ route, repository }: Context): string {
  return `${route.origin}${route.base}${repository.path}/info/lfs`;
}

/** Locks: listed, made, checked and released as the target says. Bodies and answers are small JSON and go through as they are. */
export async function lfsLocks(context: Context, rest: string, query: string): Promise<Question> {
  const { call, settings, repository } = context;
  const { method } = call.request;
  const listing = method === 'GET';
  if (listing !== (rest === '' && method === 'GET')) throw new Refusal('UNPARSABLE', 'locks are listed with GET');
  if (!listing) expectType(call, lfsType);
  const body = await whole(call, Math.min(settings.maxRequestBytes, 2 ** 20));
  const what = listing || rest === '/verify' ? 'list' : rest === '' ? 'make' : 'release';
  const text = `${what} LFS locks of ${repository.id}${rest}${query}`;
  const answer = wholeAnswer(maxAnswer);
  let head: ResponseHead | undefined;
  return {
    command: {
      ...lfsCommand(
        repository.id,
        what === 'list' ? 'LFS_LOCKS' : 'LFS_LOCK',
        what === 'list' ? 'read' : 'write',
        text,
      ),
      ...(body.length === 0 ? {} : { parameters: [body.toString('utf8')] }),
    },
    contentType: lfsType,
    send: (permit, sink) =>
      context.upstream.command(
        permit,
        {
          method: listing ? 'GET' : 'POST',
          path: `${repository.path}/info/lfs/locks${rest}${query}`,
          fields: ['accept', lfsType, ...(listing ? [] : ['content-type', lfsType])],
          body: bytesBody(body),
        },
        sink,
      ),
    expect(found) {
      head = found;
      // 201: made; 409: somebody has it, and the answer says who.
      const known = [200, 201, 409].includes(found.status);
      return unexpected(known ? { ...found, status: 200 } : found, lfsType);
    },
    head: () => ({ status: head?.status ?? 200, fields: ['content-type', lfsType, 'cache-control', 'no-cache'] }),
    data: answer.data,
    end() {
      const text = answer.bytes().toString('utf8');
      if (context.upstream.reveals(text))
        throw new Refusal('UPSTREAM_PROTOCOL', 'the target tells what nobody may see');
      return { piece: { shown: answer.bytes() }, rows: 0, detail: { status: head?.status ?? 0 } };
    },
    refuse: refuseLfs,
  };
}

/** Collects an answer; throws beyond `limit` bytes. */
export function wholeAnswer(limit: number): { data(bytes: Buffer): typeof silent; bytes(): Buffer } {
  const chunks: Buffer[] = [];
  let size = 0;
  return {
    data(bytes) {
      size += bytes.length;
      if (size > limit) throw new Refusal('UPSTREAM_PROTOCOL', 'the answer of the target is too long');
      chunks.push(bytes);
      return silent;
    },
    bytes: () => Buffer.concat(chunks),
  };
}

/** As the LFS client shows it. */
export function refuseLfs(call: ServerCall, refusal: Refusal): void {
  const { link } = refusal.details;
  const body = Buffer.from(
    `${JSON.stringify({ message: linesOf(refusal).join('; '), ...(link === undefined ? {} : { documentation_url: link }) })}\n`,
  );
  call.body.cancel();
  call.answer({
    status: statusOf[refusal.kind],
    fields: ['content-type', lfsType, 'cache-control', 'no-cache'],
    length: body.length,
  });
  void call.write(body);
  call.end();
}

export function isJson({ fields }: ResponseHead): boolean {
  return /json/.test(field(fields, 'content-type') ?? '');
}
