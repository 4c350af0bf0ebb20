import type { Context } from './context.ts';
import { PushAnswer, pushResultType } from './push-answer.ts';
import { finalNo } from './push-parts.ts';
import { PushRun } from './push-run.ts';
import type { ReceiveRequest } from './receive-request.ts';
import { answerWith } from './relay.ts';
import { expectType } from './request-body.ts';
import { spool } from './spool.ts';
import type { Workplace } from './workplace.ts';

/** A push, from its first byte to the report. Rejects with Refusal or PeerError where the answer has not begun. */
export async function receivePack(context: Context, workplace: Workplace): Promise<void> {
  expectType(context.call, 'application/x-git-receive-pack-request');
  const leave = workplace.enter(context.line);
  try {
    await receive(context, workplace);
  } finally {
    leave();
  }
}

async function receive(context: Context, workplace: Workplace): Promise<void> {
  const { call, settings, gateway, line } = context;
  const folder = await workplace.spool(gateway.folder(line.target));
  const spooled = await spool(call, folder, settings.maxPackBytes, (asked) => mayGo(context, asked));
  const { request } = spooled;
  if (request === undefined) {
    answerWith(call, pushResultType, Buffer.alloc(0));
    return;
  }
  const answer = new PushAnswer(call, request);
  try {
    answer.begin();
    await new PushRun(context, workplace, request, spooled, answer, folder).run();
    answer.end();
  } catch (error) {
    answer.abort();
    throw error;
  } finally {
    await spooled.discard();
  }
}

/** Whether there is an update that policy may let go; see `finalNo`. */
function mayGo(context: Context, request: ReceiveRequest): boolean {
  const { updates, objectFormat, options } = request;
  const push = { repository: context.repository.id, objectFormat, updates, options, atomic: false };
  return updates.some((update) => finalNo(context.line, push, update) === undefined);
}
