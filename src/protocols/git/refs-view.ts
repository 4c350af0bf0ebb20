import type { Line } from '../../gateway/protocol.ts';
import type { Classified } from '../../model/command.ts';
import type { Decision } from '../../model/decision.ts';
import { readOf } from './classify.ts';
import { LfsWays } from './lfs-ways.ts';
import type { Ref } from './push.ts';
import { turns } from './quarantine/turns.ts';

/** Ids that are remembered of one repository; a fetch of others asks the target again. */
const maxIds = 100_000;
/** Lazy fetches of a partial clone come one after the other: not each of them has all refs read again. */
const latelyMs = 10_000;

/**
 * What one caller may know of a repository's refs, and which of its ids it was shown. A ref is hidden when policy denies reading
 * it; one whose reading a person must approve is listed, and fetching it is then held.
 */
export class RefsView {
  readonly #line: Line;
  readonly #repository: string;
  readonly #probe: Classified;
  #version = '';
  readonly #outcomes = new Map<string, Decision['outcome']>();
  #names = new Map<string, string[]>();
  /** Whether an annotated tag may exist that the caller must not see. */
  tagsMayHide = true;
  /** How many refs were hidden when all of them were last looked at, and when that was. */
  #hidden: { readonly count: number; readonly at: number; readonly version: string } | undefined;
  /** Ways to LFS objects. */
  readonly lfs = new LfsWays();

  constructor(line: Line, repository: string) {
    this.#line = line;
    this.#repository = repository;
    this.#probe = readOf(repository, []);
  }

  /** A symbolic ref shows what it stands for; where that is not known, policy is asked about it by its own name. */
  visible(ref: Ref): boolean {
    if (ref.name === 'HEAD' && ref.target !== undefined) return this.outcome(ref.target) !== 'deny';
    if (this.outcome(ref.name) === 'deny') return false;
    return ref.target === undefined || this.outcome(ref.target) !== 'deny';
  }

  /** Those of the refs that the caller may know of. Policy may take its time with each, so others have their turns in between. */
  async amongVisible(refs: readonly Ref[]): Promise<Ref[]> {
    const turn = turns();
    const seen: Ref[] = [];
    for (const ref of refs) {
      if (this.visible(ref)) seen.push(ref);
      const wait = turn();
      if (wait !== undefined) await wait;
    }
    return seen;
  }

  /** What policy says to reading a ref, under the policies of now. */
  outcome(name: string): Decision['outcome'] {
    const { policyVersion } = this.#line.decide(this.#probe);
    if (policyVersion !== this.#version || this.#outcomes.size > maxIds) {
      this.#outcomes.clear();
      this.#version = policyVersion;
    }
    let outcome = this.#outcomes.get(name);
    if (outcome === undefined) {
      outcome = this.#line.decide(readOf(this.#repository, [name])).outcome;
      this.#outcomes.set(name, outcome);
    }
    return outcome;
  }

  /** Remembers what the caller was shown. */
  note(ref: Ref): void {
    if (this.#names.size > maxIds) this.#names = new Map();
    const name = ref.name === 'HEAD' ? (ref.target ?? ref.name) : ref.name;
    for (const id of [ref.id, ref.peeled]) {
      if (id === undefined) continue;
      const names = this.#names.get(id);
      if (names === undefined) this.#names.set(id, [name]);
      else if (!names.includes(name) && names.length < 100) names.push(name);
    }
  }

  /** All refs have been looked at: so many are hidden. */
  sawAll(hidden: number, now: number): void {
    this.#hidden = { count: hidden, at: now, version: this.#line.decide(this.#probe).policyVersion };
  }

  /** How many refs are hidden, where all of them were looked at a moment ago and under the policies of now. */
  hiddenLately(now: number): number | undefined {
    const seen = this.#hidden;
    if (seen === undefined || now - seen.at > latelyMs) return undefined;
    return seen.version === this.#line.decide(this.#probe).policyVersion ? seen.count : undefined;
  }

  /** The ref by which the caller may have this object: the least restricted one. Undefined where it was shown none. */
  refOf(id: string): string | undefined {
    return this.least(this.#names.get(id) ?? []);
  }

  /** The least restricted of these; undefined where the caller may read none. */
  least(names: readonly string[]): string | undefined {
    return names.find((name) => this.outcome(name) === 'allow') ?? names.find((name) => this.outcome(name) === 'hold');
  }
}

const maxRepositories = 16;

/** The views of sessions, as long as these live. */
export class RefsViews {
  readonly #ofLine = new WeakMap<Line, Map<string, RefsView>>();

  of(line: Line, repository: string): RefsView {
    let views = this.#ofLine.get(line);
    if (views === undefined) {
      views = new Map();
      this.#ofLine.set(line, views);
    }
    let view = views.get(repository);
    if (view === undefined) {
      if (views.size >= maxRepositories) views.delete(views.keys().next().value as string);
      view = new RefsView(line, repository);
      views.set(repository, view);
    }
    return view;
  }
}
