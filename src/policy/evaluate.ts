import type { Classified, Resource } from '../model/command.ts';
import type { Decision } from '../model/decision.ts';
import { type Asked, askedOf } from './asked.ts';
import type { CompiledPolicies, CompiledPolicy } from './compile.ts';
import { contextKey, resourceKey } from './distinctions.ts';
import { resourceSlice, type Slice } from './entities.ts';
import type { Answer, Ask, CedarValue } from './question.ts';
import { type Masks, masksFor } from './reveal.ts';
import { remembered, type Scene } from './scene.ts';
import type { AskedAction } from './schema.ts';

/** Rules that are no policy's: nothing permitted it; the engine or a policy failed. */
export const defaultDeny = 'default-deny';
export const engineRule = 'policy-engine';

/** Questions to Cedar for one command, after those that no policy can tell apart are counted once. Each takes a fraction of a millisecond. */
export const maxQuestions = 128;
/** Resources, and names of functions and verbs, of one command that are looked at at all. */
export const maxResources = 5000;
export const maxNames = 1000;

/** What a decision rests on. */
export interface Evaluation {
  readonly decision: Decision;
  readonly because: readonly CompiledPolicy[];
}

/** The policies in force and a way to ask them. */
export interface Rules {
  readonly policies: CompiledPolicies;
  readonly byId: ReadonlyMap<string, CompiledPolicy>;
  readonly ask: Ask;
}

/**
 * A command is allowed when each of its questions (`askedOf`) is: deny wins over hold, hold over allow. A command is held when
 * nothing stands in its way but rules with `@approvers`, and these would let go once their groups have said yes.
 * Throws only when the engine does.
 */
export function evaluateCommand(
  rules: Rules,
  scene: Scene,
  classified: Classified,
  grants: readonly string[],
): Evaluation {
  const questions = distinct(rules, scene, classified);
  if (typeof questions === 'string') return denied(rules, [], engineRule, questions);
  let asked = new Set(grants);
  let first: Verdict | undefined;
  const holding = new Set<string>();
  // Every round adds a group that was not asked before, so there are never more rounds than groups that policies name.
  for (;;) {
    const verdict = judge(rules, scene, questions, [...asked]);
    first ??= verdict;
    if (verdict.kind === 'deny') return denied(rules, verdict.policies, verdict.rule, verdict.reason);
    if (verdict.kind === 'allow') break;
    for (const policy of verdict.policies) holding.add(policy);
    const approvers = new Set([...asked, ...verdict.approvers]);
    if (approvers.size === asked.size) {
      return denied(
        rules,
        verdict.policies,
        verdict.rule,
        `${verdict.rule} forbids this even with the approval it asks for`,
      );
    }
    asked = approvers;
  }
  const masks = masksFor(rules, scene, grants);
  if ('failed' in masks) return denied(rules, [masks.failed], masks.failed, masks.reason);
  if (first.kind === 'hold') first = { ...first, policies: [...holding] };
  return settled(
    rules,
    first,
    masks,
    [...asked].filter((group) => !grants.includes(group)),
  );
}

/** One question about something other than a command. `about` completes the sentence “nothing permits …”. */
export function evaluateSingle(
  rules: Rules,
  question: {
    action: AskedAction;
    principal: Slice;
    resource: Slice;
    context: Record<string, CedarValue>;
    about: string;
  },
): Evaluation {
  const { action, principal, resource, context, about } = question;
  const answer = rules.ask({
    principal: principal[0].uid,
    action,
    resource: resource[0].uid,
    context,
    entities: [...principal, ...resource],
  });
  const verdict = combine(rules, [{ answer, about }]);
  if (verdict.kind === 'allow') return settled(rules, verdict, { masks: {}, policies: [] }, []);
  if (verdict.kind === 'deny') return denied(rules, verdict.policies, verdict.rule, verdict.reason);
  return denied(
    rules,
    verdict.policies,
    verdict.rule,
    `${verdict.rule} forbids ${about}; an approval is possible for commands only`,
  );
}

export function rulesOf(policies: CompiledPolicies, ask: Ask): Rules {
  return { policies, byId: new Map(policies.policies.map((policy) => [policy.id, policy])), ask };
}

type Verdict =
  | { readonly kind: 'allow'; readonly policies: readonly string[] }
  | {
      readonly kind: 'hold';
      readonly rule: string;
      readonly policies: readonly string[];
      readonly approvers: readonly string[];
    }
  | { readonly kind: 'deny'; readonly rule: string; readonly policies: readonly string[]; readonly reason: string };

/** `facing` is the part of the command that it is asked about. */
interface DistinctQuestion {
  readonly asked: Asked;
  readonly slice: Slice;
  readonly key: string;
  readonly facing: Facing;
}

interface Facing {
  readonly context: Record<string, CedarValue>;
  readonly key: string;
}

function distinct(rules: Rules, scene: Scene, classified: Classified): readonly DistinctQuestion[] | string {
  const questions = new Map<string, DistinctQuestion>();
  for (const part of classified.parts ?? [classified]) {
    const problem = addQuestions(rules, scene, part, questions);
    if (problem !== undefined) return problem;
  }
  return questions.size === 0 ? 'the command was classified as nothing at all' : [...questions.values()];
}

/** Adds what is to be asked about one part. Returns why it cannot be decided on, if so. */
function addQuestions(
  rules: Rules,
  scene: Scene,
  part: Classified,
  questions: Map<string, DistinctQuestion>,
): string | undefined {
  const { actions, resources, facts } = part;
  const { distinctions } = rules.policies;
  if (actions.length === 0) return 'the command was classified as nothing at all';
  if (resources.length > maxResources) return `the command touches more than ${maxResources} objects`;
  const lists = [facts.functions, facts.verbs, facts.findings, facts.fields, facts.values];
  if (Math.max(...lists.map((list) => list?.length ?? 0)) > maxNames) {
    return `the command uses more than ${maxNames} functions, verbs, findings or fields`;
  }
  const context = contextOf(scene, part);
  const facing = { context, key: contextKey(distinctions, context) };
  const slices = new Map(resources.map((resource) => [resource, resourceSlice(resource, scene.target)]));
  const keys = new Map([...slices.values()].map((slice) => [slice, resourceKey(distinctions, slice)]));
  for (const asked of askedOf(part)) {
    const slice = (asked.resource && slices.get(asked.resource)) ?? scene.target;
    const key = `${asked.action} ${keys.get(slice) ?? 'Target'} ${facing.key}`;
    if (!questions.has(key)) questions.set(key, { asked, slice, key, facing });
    if (questions.size > maxQuestions)
      return `the command touches too many different objects to decide on (limit ${maxQuestions})`;
  }
  return undefined;
}

/** What Cedar's `context` holds, but for the grants. */
function contextOf(scene: Scene, { verb, actions, facts }: Classified): Record<string, CedarValue> {
  return {
    target: { __entity: scene.target[0].uid },
    protocol: scene.protocol,
    verb,
    verbs: [...facts.verbs],
    actions: [...actions],
    statements: facts.statements,
    hasWhere: facts.hasWhere,
    functions: [...facts.functions],
    findings: [...(facts.findings ?? [])],
    fields: [...(facts.fields ?? [])],
    values: [...(facts.values ?? [])],
  };
}

function judge(rules: Rules, scene: Scene, questions: readonly DistinctQuestion[], grants: readonly string[]): Verdict {
  const answers = questions.map(({ asked, slice, key, facing }) => ({
    about: describe(asked, scene),
    answer: remembered(scene, grants.length === 0 ? key : undefined, () =>
      rules.ask({
        principal: scene.principal[0].uid,
        action: asked.action,
        resource: slice[0].uid,
        context: { ...facing.context, grants: [...grants] },
        entities: [...scene.principal, ...slice],
      }),
    ),
  }));
  return combine(rules, answers);
}

function combine(rules: Rules, answers: readonly { readonly answer: Answer; readonly about: string }[]): Verdict {
  const policies = [...new Set(answers.flatMap(({ answer }) => answer.policies))];
  for (const { answer } of answers) {
    const [error] = answer.errors;
    if (error === undefined) continue;
    return {
      kind: 'deny',
      rule: error.policy,
      policies: [error.policy],
      reason: `the policy ${error.policy} could not be evaluated: ${error.message}`,
    };
  }
  const stops = answers.flatMap(({ answer, about }) =>
    answer.decision === 'allow' ? [] : [{ about, forbids: answer.policies }],
  );
  for (const { about, forbids } of stops) {
    const rule = forbids.find((id) => rules.byId.get(id)?.approvers.length === 0);
    if (rule !== undefined) return { kind: 'deny', rule, policies, reason: `${rule} forbids ${about}` };
  }
  const unpermitted = stops.find(({ forbids }) => forbids.length === 0);
  if (unpermitted !== undefined) {
    return { kind: 'deny', rule: defaultDeny, policies: [], reason: `no policy permits ${unpermitted.about}` };
  }
  const holding = [...new Set(stops.flatMap(({ forbids }) => forbids))];
  const [rule] = holding;
  if (rule === undefined) return { kind: 'allow', policies };
  const approvers = new Set(holding.flatMap((id) => rules.byId.get(id)?.approvers ?? []));
  return { kind: 'hold', rule, policies: holding, approvers: [...approvers] };
}

function settled(rules: Rules, verdict: Verdict, { masks, policies }: Masks, approvers: readonly string[]): Evaluation {
  const { version: policyVersion } = rules.policies;
  const because = lookUp(rules, [...verdict.policies, ...policies]);
  const obligations = { masks };
  const [rule] = verdict.kind === 'hold' ? [verdict.rule] : verdict.policies;
  const common = { rule: rule ?? defaultDeny, rules: verdict.policies, policyVersion, ...adviceOf(rules, rule) };
  if (verdict.kind === 'hold') return { because, decision: { outcome: 'hold', ...common, approvers, obligations } };
  return { because, decision: { outcome: 'allow', ...common, obligations } };
}

function denied(rules: Rules, policies: readonly string[], rule: string, reason: string): Evaluation {
  const decision = denial({
    rule,
    reason,
    rules: policies.length > 0 ? policies : [rule],
    version: rules.policies.version,
  });
  return { because: lookUp(rules, policies), decision: { ...decision, ...adviceOf(rules, rule) } };
}

export function denial(d: {
  rule: string;
  reason: string;
  version: string;
  rules?: readonly string[];
}): Decision & { outcome: 'deny' } {
  return { outcome: 'deny', rule: d.rule, rules: d.rules ?? [d.rule], policyVersion: d.version, reason: d.reason };
}

function adviceOf(rules: Rules, rule: string | undefined): { advice?: string } {
  const advice = rules.byId.get(rule ?? '')?.advice;
  return advice === undefined ? {} : { advice };
}

function lookUp(rules: Rules, ids: readonly string[]): readonly CompiledPolicy[] {
  return [...new Set(ids)].flatMap((id) => rules.byId.get(id) ?? []);
}

function describe({ action, resource }: Asked, { target }: Scene): string {
  const [{ uid }] = target;
  return resource === undefined ? `${action} on ${uid.id}` : `${action} of ${named(resource)} on ${uid.id}`;
}

function named({ type, id }: Resource): string {
  const shown = id.length > 200 ? `${id.slice(0, 200)}…` : id;
  return type === 'Table' ? shown : `${type.toLowerCase()} ${shown}`;
}
