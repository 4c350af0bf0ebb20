import type { MaskMethod } from '../model/decision.ts';
import { classificationSlice } from './entities.ts';
import type { Rules } from './evaluate.ts';
import { remembered, type Scene } from './scene.ts';

export interface Masks {
  readonly masks: Readonly<Record<string, MaskMethod>>;
  /** The policies that determined them. */
  readonly policies: readonly string[];
}

/** From what shows most to what shows least. */
const strictness: readonly MaskMethod[] = ['reveal', 'partial', 'digits', 'token', 'redact', 'null'];

/** More than anybody configures; keeps the work per session bounded. */
export const maxClassifications = 256;

/**
 * How each classification of the target looks for this caller:
 *
 * - permitted by a policy without `@mask`: `reveal`; permitted only by policies with `@mask`: the mildest of theirs;
 * - forbidden: the strictest `@mask` of the forbidding policies, where one without counts as `redact`;
 * - neither: `redact`.
 *
 * A policy that cannot be evaluated fails the whole.
 */
export function masksFor(
  { ask, byId }: Rules,
  scene: Scene,
  grants: readonly string[],
): Masks | { readonly failed: string; readonly reason: string } {
  const masks = new Map<string, MaskMethod>();
  const policies = new Set<string>();
  const [{ uid: principal }] = scene.principal;
  const context = { target: { __entity: scene.target[0].uid }, protocol: scene.protocol, grants: [...grants] };
  for (const classification of scene.classifications.slice(0, maxClassifications)) {
    const slice = classificationSlice(classification);
    const entities = [...scene.principal, ...scene.target, ...slice];
    const answer = remembered(scene, grants.length === 0 ? `reveal ${classification}` : undefined, () =>
      ask({ principal, action: 'reveal', resource: slice[0].uid, context, entities }),
    );
    const [error] = answer.errors;
    if (error !== undefined)
      return { failed: error.policy, reason: `the policy ${error.policy} could not be evaluated: ${error.message}` };
    for (const policy of answer.policies) policies.add(policy);
    const methods = answer.policies.map(
      (id) => byId.get(id)?.mask ?? (answer.decision === 'allow' ? 'reveal' : 'redact'),
    );
    masks.set(classification, answer.decision === 'allow' ? mildest(methods) : strictest(methods));
  }
  return { masks: Object.fromEntries(masks), policies: [...policies] };
}

function mildest(methods: readonly MaskMethod[]): MaskMethod {
  return strictness.find((method) => methods.includes(method)) ?? 'redact';
}

function strictest(methods: readonly MaskMethod[]): MaskMethod {
  return strictness.findLast((method) => methods.includes(method)) ?? 'redact';
}
