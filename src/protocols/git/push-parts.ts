import type { Line } from '../../gateway/protocol.ts';
import type { Decision } from '../../model/decision.ts';
import { Refusal } from '../../model/errors.ts';
import { type Part, partOf } from './classify.ts';
import type { PushFindings } from './inspect/findings.ts';
import type { Push, RefUpdate, UpdateKind } from './push.ts';

/** What an update may turn out to be, as far as can be told without looking at what it brings. */
export function kindsOf({ ref, old, new: next }: RefUpdate): readonly UpdateKind[] {
  const tag = ref.startsWith('refs/tags/');
  if (next === undefined) return [tag ? 'tagDelete' : 'delete'];
  if (old === undefined) return [tag ? 'tagCreate' : 'create'];
  return tag ? ['tagMove'] : ['fastForward', 'force'];
}

/** An update of which no more is known than what the client says. */
export function unknown(update: RefUpdate): Part {
  return { update, kind: kindsOf(update)[0] as UpdateKind, findings: [] };
}

export function denied(decision: Decision): Refusal {
  const reason = decision.outcome === 'deny' ? decision.reason : 'refused';
  return new Refusal('POLICY_DENIED', reason, {
    rule: decision.rule,
    ...(decision.advice === undefined ? {} : { advice: decision.advice }),
  });
}

/** What is found later can only make a push harder, so a no to every kind that an update may be of is final. */
export function finalNo(line: Line, push: Push, update: RefUpdate): Refusal | undefined {
  const decisions = kindsOf(update).map((kind) => line.decide(partOf(push, { update, kind, findings: [] })));
  const [first] = decisions;
  return first !== undefined && decisions.every(({ outcome }) => outcome === 'deny') ? denied(first) : undefined;
}

const maxDetails = 20;

/** Where to look, for whoever has to mend it: what was found in refused updates. Never the secret itself. */
export function detailLines(findings: PushFindings, refused: ReadonlySet<string>): string[] {
  const details = [
    ...(refused.size > 0 ? findings.details : []),
    ...findings.updates.filter(({ ref }) => refused.has(ref)).flatMap((update) => update.details),
  ];
  const lines = details.slice(0, maxDetails).map(({ name, text, commit, path, line, fingerprint }) => {
    const where = [path, line].filter((part) => part !== undefined).join(':');
    const by = commit === undefined ? '' : ` (commit ${commit.slice(0, 12)})`;
    const mark = fingerprint === undefined ? '' : ` [fingerprint ${fingerprint}]`;
    return `${name}: ${text}${where === '' ? '' : ` in ${where}`}${by}${mark}`;
  });
  const more = details.length - lines.length;
  return more > 0 ? [...lines, `and ${more} more`] : lines;
}

/** What the recording says of a push besides its command. */
export function noted({ pack }: Push, findings: PushFindings): Record<string, unknown> {
  const { objects, updates } = findings;
  return {
    ...(pack === undefined ? {} : { pack: { bytes: pack.bytes, sha256: pack.sha256, objects } }),
    commits: updates.map(({ ref, commitCount }) => ({ ref, count: commitCount })),
  };
}
