import type { Principal } from '../model/principal.ts';
import type { Target } from '../model/target.ts';
import type { Distinctions } from './distinctions.ts';
import { principalSlice, type Slice, targetSlice } from './entities.ts';
import type { Answer } from './question.ts';

/** Who asks, and where: what all questions of one principal at one target share, under one set of policies. */
export interface Scene {
  readonly principal: Slice;
  readonly target: Slice;
  readonly protocol: string;
  /** What the target's configuration classifies. */
  readonly classifications: readonly string[];
  /** Answers given without grants, by all that policies can tell apart. */
  readonly answers: Map<string, Answer>;
}

/** Throws RangeError when the principal is too large to ask about. */
export function sceneOf(
  principal: Principal,
  target: Target,
  classifications: readonly string[],
  known: Distinctions,
): Scene {
  return {
    principal: principalSlice(principal, (group) => known.groups.has(group)),
    target: targetSlice(target),
    protocol: target.protocol,
    classifications,
    answers: new Map(),
  };
}

const maxAnswers = 1000;
const maxKey = 4096;

/** The answer from before, or a new one, which is kept when it has a key of a bearable length. */
export function remembered({ answers }: Scene, key: string | undefined, ask: () => Answer): Answer {
  if (key === undefined || key.length > maxKey) return ask();
  const known = answers.get(key);
  if (known !== undefined) return known;
  const answer = ask();
  if (answers.size >= maxAnswers) answers.clear();
  answers.set(key, answer);
  return answer;
}
