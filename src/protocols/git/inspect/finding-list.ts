import { Refusal } from '../../../model/errors.ts';
import type { Finding, FindingName } from './findings.ts';

/** Findings of one name that are told one by one. */
const mostTold = 50;

/** Findings of one update, or of the push: all names, and the details of each name up to a bound; lists may share a further one. */
export class FindingList {
  readonly #shared: { left: number };
  readonly #byName = new Map<FindingName, { readonly told: Finding[]; more: number }>();

  constructor(shared: { left: number } = { left: Number.POSITIVE_INFINITY }) {
    this.#shared = shared;
  }

  add(...findings: readonly Finding[]): void {
    for (const finding of findings) {
      const same = this.#byName.get(finding.name);
      if (same === undefined) this.#byName.set(finding.name, { told: [finding], more: 0 });
      else if (same.told.length < mostTold && this.#shared.left > 0) {
        this.#shared.left -= 1;
        same.told.push(finding);
      } else same.more += 1;
    }
  }

  names(): FindingName[] {
    return [...this.#byName.keys()].sort();
  }

  details(): Finding[] {
    return this.names().flatMap((name) => {
      const { told, more } = this.#byName.get(name)!;
      return more === 0 ? told : [...told, { name, text: `${more} more like these` }];
    });
  }

  /** Why `what` is refused without asking policy, when it holds one of the names. */
  refusal(names: ReadonlySet<string>, what: string): Refusal | undefined {
    const reasons = this.names().filter((name) => names.has(name));
    if (reasons.length === 0) return undefined;
    const told = reasons.map((name) => `${name} (${this.#byName.get(name)!.told[0]!.text})`);
    const kind = reasons.includes('too-large-to-inspect') ? 'LIMIT_EXCEEDED' : 'POLICY_DENIED';
    return new Refusal(kind, `${what} is refused: ${told.slice(0, 3).join(', ')}`, {
      rule: `inspect.refuse: ${reasons.join(', ')}`,
    });
  }
}
