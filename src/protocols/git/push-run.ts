import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PeerError, Refusal } from '../../model/errors.ts';
import { type Part, partOf, pushCommand } from './classify.ts';
import type { Context } from './context.ts';
import { fetchPack } from './fetch-pack.ts';
import { describePush } from './inspect/describe.ts';
import type { PushFindings } from './inspect/findings.ts';
import { inspectPush } from './inspect/inspect.ts';
import type { Push, RefUpdate } from './push.ts';
import type { PushAnswer } from './push-answer.ts';
import { type OutgoingPack, PushExchange, type PushRoute } from './push-exchange.ts';
import { denied, detailLines, finalNo, noted, unknown } from './push-parts.ts';
import { openQuarantine, type Quarantine } from './quarantine/quarantine.ts';
import { reachesHidden } from './reaches-hidden.ts';
import type { ReceiveRequest } from './receive-request.ts';
import { linesOf, reasonOf, refusalOf } from './refusals.ts';
import type { RefResult, Report } from './report-status.ts';
import { type Snapshot, snapshot } from './snapshot.ts';
import type { Spooled } from './spool.ts';
import type { Workplace } from './workplace.ts';

/** One push under way. */
export class PushRun {
  readonly #context: Context;
  readonly #workplace: Workplace;
  readonly #request: ReceiveRequest;
  readonly #spooled: Spooled;
  readonly #answer: PushAnswer;
  readonly #results = new Map<string, RefResult>();
  readonly #signal: AbortSignal;
  readonly #spool: string;

  constructor(
    context: Context,
    workplace: Workplace,
    request: ReceiveRequest,
    spooled: Spooled,
    answer: PushAnswer,
    spoolFolder: string,
  ) {
    this.#spool = spoolFolder;
    this.#context = context;
    this.#workplace = workplace;
    this.#request = request;
    this.#spooled = spooled;
    this.#answer = answer;
    this.#signal = AbortSignal.any([context.call.signal, context.line.signal]);
  }

  async run(): Promise<void> {
    let reported = false;
    try {
      reported = await this.#run();
    } catch (error) {
      const { line, call, gateway } = this.#context;
      if (line.signal.aborted) throw error;
      const refusal = call.signal.aborted ? hungUp() : refusalOf(error);
      if (refusal.kind === 'INTERNAL')
        gateway.log('error', 'git: a push failed', { error: String((error as Error).stack) });
      await this.#refuse(this.#claimed(), this.#claimed().updates.map(unknown), refusal);
    }
    if (!reported) void this.#answer.write(this.#answer.report(this.#report()));
  }

  /** True when the report has been written. */
  async #run(): Promise<boolean> {
    const now = await snapshot(this.#context, 'git-receive-pack', this.#signal);
    const push = this.#checked(now);
    const early = this.#early(push, now);
    if (early.size === push.updates.length || (push.atomic && early.size > 0)) {
      await this.#refuseAll(push, push.updates.map(unknown), early);
      return false;
    }
    const { repository, gateway, line, settings } = this.#context;
    const mirror = await this.#workplace.mirror(gateway.folder(line.target), repository.id, push.objectFormat);
    await mirror.update(now.refs, fetchPack(this.#context, push.objectFormat), this.#signal);
    const quarantine = await openQuarantine(mirror, { packBytes: settings.maxPackBytes });
    try {
      const findings = await this.#workplace.inspections.take(async () => {
        await quarantine.receive(push.pack?.file, this.#signal);
        await this.#noLookingAside(push, now, early, quarantine);
        return this.#inspect(push, now, quarantine);
      }, this.#signal);
      return await this.#decide(push, now, findings, early, quarantine);
    } finally {
      await quarantine.destroy();
    }
  }

  #inspect(push: Push, now: Snapshot, quarantine: Quarantine): Promise<PushFindings> {
    // A delete of nothing has nothing to look at; everything else stays, or its objects would count as hidden.
    const updates = push.updates.filter((update) => update.new !== undefined || update.old !== undefined);
    return inspectPush({
      push: { ...push, updates },
      refs: now.refs,
      quarantine,
      settings: this.#context.settings.inspect,
      principal: this.#context.line.session.principal,
      signal: this.#signal,
    });
  }

  /** Refuses updates that would show what hidden refs hide. */
  async #noLookingAside(push: Push, now: Snapshot, early: Map<string, Refusal>, quarantine: Quarantine): Promise<void> {
    const { view } = this.#context;
    const visible = (await view.amongVisible(now.refs)).map(({ id }) => id);
    if (visible.length === now.refs.length) return;
    for (const { ref, new: tip } of push.updates) {
      if (early.has(ref) || tip === undefined) continue;
      if (!(await reachesHidden(quarantine, [tip], visible, this.#signal))) continue;
      early.set(ref, new Refusal('POLICY_DENIED', 'it leads to objects that no ref shows that you may read'));
    }
  }

  /** The push as the client put it. */
  #claimed(): Push {
    const { updates, options, objectFormat, capabilities } = this.#request;
    const { pack } = this.#spooled;
    return {
      repository: this.#context.repository.id,
      objectFormat,
      updates,
      ...(pack === undefined ? {} : { pack }),
      options,
      atomic: capabilities.has('atomic'),
    };
  }

  /** The push with the ids that the target's refs have now. Throws PeerError for what the target was not asked in its own terms. */
  #checked({ refs, objectFormat, capabilities }: Snapshot): Push {
    const claimed = this.#claimed();
    if (claimed.objectFormat !== objectFormat) {
      throw new PeerError('CLIENT_PROTOCOL', `the repository names its objects by ${objectFormat}`);
    }
    for (const [name, asked] of [
      ['atomic', claimed.atomic],
      ['push-options', claimed.options.length > 0],
    ] as const) {
      if (asked && !capabilities.has(name)) throw new PeerError('CLIENT_PROTOCOL', `the target does not know ${name}`);
    }
    const ids = new Map(refs.map(({ name, id }) => [name, id]));
    return { ...claimed, updates: claimed.updates.map((update) => ({ ...update, old: ids.get(update.ref) })) };
  }

  /** What is clear without looking at what the push brings. */
  #early(push: Push, now: Snapshot): Map<string, Refusal> {
    const { view } = this.#context;
    const refused = new Map<string, Refusal>();
    const refs = new Map(now.refs.map((ref) => [ref.name, ref]));
    for (const [index, update] of push.updates.entries()) {
      const claimed = this.#request.updates[index] as RefUpdate;
      const ref = refs.get(update.ref);
      if (ref !== undefined && !view.visible(ref)) {
        refused.set(update.ref, new Refusal('POLICY_DENIED', 'there is something there that you may not read'));
      } else if (update.old === undefined && update.new === undefined) {
        refused.set(update.ref, new Refusal('CLIENT_PROTOCOL', 'there is no such ref to delete'));
      } else if (claimed.old !== update.old) {
        const how = update.old === undefined ? 'is gone' : `is at ${update.old.slice(0, 12)} by now`;
        const what = `${update.ref} ${how}`;
        refused.set(update.ref, new Refusal('CLIENT_PROTOCOL', what, { advice: 'fetch first, then push again' }));
      } else {
        const no = finalNo(this.#context.line, push, update);
        if (no !== undefined) refused.set(update.ref, no);
      }
    }
    return refused;
  }

  async #decide(
    push: Push,
    now: Snapshot,
    findings: PushFindings,
    early: ReadonlyMap<string, Refusal>,
    quarantine: Quarantine,
  ): Promise<boolean> {
    const { line } = this.#context;
    const inspected = new Map(findings.updates.map((each) => [each.ref, each]));
    const parts = push.updates.map((update): Part => {
      const own = inspected.get(update.ref);
      return own === undefined
        ? unknown(update)
        : { update, kind: own.kind, findings: [...own.findings, ...findings.findings] };
    });
    const refused = new Map(early);
    for (const part of parts) {
      const { ref } = part.update;
      if (refused.has(ref)) continue;
      const fixed = findings.refusal ?? inspected.get(ref)?.refusal;
      const decision = line.decide(partOf(push, part));
      if (fixed !== undefined) refused.set(ref, fixed);
      else if (decision.outcome === 'deny') refused.set(ref, denied(decision));
    }
    this.#answer.say(detailLines(findings, new Set(refused.keys())));
    const going = push.atomic && refused.size > 0 ? [] : parts.filter(({ update }) => !refused.has(update.ref));
    await this.#refuseAll(push, parts, refused);
    if (going.length === 0) return false;
    return this.#go(push, now, parts, going, findings, quarantine);
  }

  /** Sends on what may go. True when the report has been written. */
  async #go(
    push: Push,
    now: Snapshot,
    parts: readonly Part[],
    going: readonly Part[],
    findings: PushFindings,
    quarantine: Quarantine,
  ): Promise<boolean> {
    const whole = going.length === parts.length && findings.hiddenCount === 0;
    const updates = going.map(({ update }) => update);
    const repacked = join(this.#spool, `${randomUUID()}.pack`);
    const pack = async (): Promise<OutgoingPack | undefined> => {
      const tips = updates.flatMap((update) => update.new ?? []);
      if (tips.length === 0 || push.pack === undefined) return undefined;
      if (whole) return push.pack;
      // What was refused, and what no ref reaches, must not come to the target either.
      const ids = [...new Set(now.refs.map(({ id }) => id))];
      const { bytes } = await quarantine.pack([...new Set(tips)], ids, repacked, this.#signal);
      return { file: repacked, bytes };
    };
    try {
      const exchange = await this.#exchange({
        context: this.#context,
        answer: this.#answer,
        push,
        updates,
        command: pushCommand(push, going, describePush(push, findings)),
        offered: now.capabilities,
        noted: noted(push, findings),
        pack,
        report: (own) => {
          for (const [ref, result] of own.refs) this.#results.set(ref, result);
          return { ...this.#report(), unpack: own.unpack };
        },
      });
      for (const [ref, result] of await exchange.finished) this.#results.set(ref, result);
      if (exchange.refused !== undefined) this.#answer.say(linesOf(exchange.refused));
      if (exchange.reported && whole && updates.every(({ ref }) => this.#results.get(ref)?.ok === true))
        await quarantine.promote();
      return exchange.reported;
    } finally {
      await rm(repacked, { force: true });
    }
  }

  /** Each refused update alone, so that each is a command of its own in the log; all of them as one where they stand or fall together. */
  async #refuseAll(push: Push, parts: readonly Part[], refused: ReadonlyMap<string, Refusal>): Promise<void> {
    const [first] = refused;
    if (first === undefined) return;
    if (push.atomic) {
      const [ref, refusal] = first;
      await this.#refuse(push, parts, refusal);
      const others = reasonOf(new Refusal(refusal.kind, `the push is atomic, and ${ref} was refused`));
      for (const { update } of parts) {
        const own = refused.get(update.ref);
        this.#results.set(update.ref, { ok: false, reason: own === undefined ? others : reasonOf(own) });
      }
      return;
    }
    for (const part of parts) {
      const refusal = refused.get(part.update.ref);
      if (refusal !== undefined) await this.#refuse(push, [part], refusal);
    }
  }

  async #refuse(push: Push, parts: readonly Part[], refusal: Refusal): Promise<void> {
    const exchange = await this.#exchange({
      context: this.#context,
      answer: this.#answer,
      push,
      updates: parts.map(({ update }) => update),
      command: pushCommand(push, parts),
      refusal,
      offered: new Set(),
      noted: {},
      pack: async () => undefined,
      report: (own) => own,
    });
    for (const [ref, result] of await exchange.finished) this.#results.set(ref, result);
    const what = parts.length === 1 ? `${parts[0]!.update.ref}: ` : '';
    const [line = '', ...more] = linesOf(refusal);
    this.#answer.say([`${what}${line}`, ...more]);
  }

  async #exchange(route: PushRoute): Promise<PushExchange> {
    const { line } = this.#context;
    const exchange = new PushExchange(route);
    const ended = Promise.withResolvers<never>();
    const stop = () => ended.reject(line.signal.reason);
    line.signal.addEventListener('abort', stop, { once: true });
    if (line.signal.aborted) stop();
    try {
      await Promise.race([Promise.all([line.run(exchange), exchange.finished]), ended.promise]);
      return exchange;
    } finally {
      line.signal.removeEventListener('abort', stop);
    }
  }

  #report(): Report {
    const missing: RefResult = { ok: false, reason: 'not attempted' };
    return {
      unpack: 'ok',
      refs: new Map(this.#request.updates.map(({ ref }) => [ref, this.#results.get(ref) ?? missing])),
    };
  }
}

function hungUp(): Refusal {
  return new Refusal('CLIENT_PROTOCOL', 'the caller hung up before the push was decided on');
}
