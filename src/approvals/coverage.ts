import type { ApprovalDecision } from '../model/approval.ts';

type Yes = Pick<ApprovalDecision, 'answer' | 'groups'>;

/**
 * How many of the groups can be spoken for when each person who said yes speaks for one of the groups they belong to: nobody is
 * two of the people that were asked for. Who speaks for which group is left open until it matters, so the order of answers cannot
 * lead into a dead end. (A maximum bipartite matching, by augmenting paths.)
 */
export function covered(groups: readonly string[], decisions: readonly Yes[]): number {
  const yes = decisions.filter(({ answer }) => answer === 'approve');
  const speaker = new Map<string, number>();

  const place = (person: number, tried: Set<string>): boolean => {
    for (const group of groups) {
      if (tried.has(group) || !yes[person]?.groups.includes(group)) continue;
      tried.add(group);
      const holder = speaker.get(group);
      if (holder === undefined || place(holder, tried)) {
        speaker.set(group, person);
        return true;
      }
    }
    return false;
  };

  return yes.filter((_, person) => place(person, new Set())).length;
}

/** Every group has somebody of its own. A request that names no group can never be approved. */
export function isApproved(groups: readonly string[], decisions: readonly Yes[]): boolean {
  return groups.length > 0 && covered(groups, decisions) === groups.length;
}
