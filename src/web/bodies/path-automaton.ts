import { Refusal } from '../../model/errors.ts';
import type { Step } from './json-path.ts';

/**
 * Where a walk through a document is with regard to a set of paths: which paths name this value (or something that it is part
 * of), and where a member or an element leads. States are made when they are first reached.
 */
export interface PathState {
  /** Numbers of the paths that name this value or one around it, ascending; undefined for none. */
  readonly accepts: readonly number[] | undefined;
  /** Whether names and positions below matter. If not, everything below is in the state `below`. */
  readonly live: boolean;
  readonly below: PathState;
  /** The member whose name (UTF-8, unescaped) is `bytes[start, end)`. */
  member(bytes: Uint8Array, start: number, end: number): PathState;
  element(index: number): PathState;
}

/** Paths as one automaton, states made as they are needed (subset construction over path and step). */
export function pathAutomaton(paths: readonly (readonly Step[])[]): PathState {
  const states = new Map<string, State>();
  const offsets: number[] = [];
  let total = 0;
  for (const path of paths) {
    offsets.push(total);
    total += path.length + 1;
  }
  const places: readonly Place[] = paths.flatMap((path, number) =>
    Array.from({ length: path.length + 1 }, (_, step) => ({
      number,
      step: path[step],
      next: offsets[number]! + step + 1,
    })),
  );
  const stateOf = (ids: ReadonlySet<number>): State => {
    const sorted = [...ids].sort((a, b) => a - b);
    const key = sorted.join();
    let state = states.get(key);
    if (state === undefined) {
      // Only paths with many wildcards after `..` can get there, and only with a document made for it.
      if (states.size >= mostStates) {
        throw new Refusal('MASK_IMPOSSIBLE', 'the paths of classified values match this document in too many ways');
      }
      state = new State(sorted, places, stateOf);
      states.set(key, state);
    }
    return state;
  };
  return stateOf(new Set(offsets));
}

const mostStates = 4096;

/** A path read up to before `step`; at its end where there is none. `next` is the place after it. */
interface Place {
  readonly number: number;
  readonly step: Step | undefined;
  readonly next: number;
}

class State implements PathState {
  readonly accepts: readonly number[] | undefined;
  readonly live: boolean;
  readonly #ids: readonly number[];
  readonly #places: readonly Place[];
  readonly #stateOf: (ids: ReadonlySet<number>) => State;
  readonly #names: readonly { readonly bytes: Buffer; readonly name: string }[];
  /** By `slot` of a name: 1 + index of its chain; 0 for none, as for nearly every name that no path mentions. */
  readonly #slots = new Uint8Array(256);
  readonly #chains: number[][] = [];
  readonly #indexes: ReadonlySet<number>;
  readonly #named: (State | undefined)[] = [];
  readonly #numbered = new Map<number, State>();
  #otherMember: State | undefined;
  #otherElement: State | undefined;

  constructor(ids: readonly number[], places: readonly Place[], stateOf: (ids: ReadonlySet<number>) => State) {
    this.#ids = ids;
    this.#places = places;
    this.#stateOf = stateOf;
    const here = ids.map((id) => places[id]!);
    const accepts = [...new Set(here.filter(({ step }) => step === undefined).map(({ number }) => number))];
    this.accepts = accepts.length === 0 ? undefined : accepts.sort((a, b) => a - b);
    this.live = here.some(({ step }) => step !== undefined);
    const names = new Set(here.flatMap(({ step }) => (step?.kind === 'name' ? [step.name] : [])));
    this.#names = [...names].map((name) => ({ name, bytes: Buffer.from(name) }));
    this.#indexes = new Set(here.flatMap(({ step }) => (step?.kind === 'index' ? [step.index] : [])));
    this.#names.forEach(({ bytes }, index) => {
      const at = slot(bytes, 0, bytes.length);
      if (this.#slots[at] === 0) this.#slots[at] = this.#chains.push([]);
      this.#chains[this.#slots[at]! - 1]!.push(index);
    });
  }

  get below(): State {
    this.#otherMember ??= this.#step(() => false);
    return this.#otherMember;
  }

  member(bytes: Uint8Array, start: number, end: number): State {
    const chain = this.#slots[slot(bytes, start, end)]!;
    if (chain === 0) return this.below;
    for (const index of this.#chains[chain - 1]!) {
      const { bytes: name, name: text } = this.#names[index]!;
      if (!equal(name, bytes, start, end)) continue;
      this.#named[index] ??= this.#step((step) => step.kind === 'name' && step.name === text);
      return this.#named[index]!;
    }
    return this.below;
  }

  element(index: number): State {
    if (!this.#indexes.has(index)) {
      this.#otherElement ??= this.#step(() => false);
      return this.#otherElement;
    }
    let state = this.#numbered.get(index);
    if (state === undefined) {
      state = this.#step((step) => step.kind === 'index' && step.index === index);
      this.#numbered.set(index, state);
    }
    return state;
  }

  /** One level down, by something that `takes` says which steps name. */
  #step(takes: (step: Step) => boolean): State {
    const next = new Set<number>();
    for (const id of this.#ids) {
      const { step, next: after } = this.#places[id]!;
      if (step === undefined) next.add(id);
      else {
        if (step.deep) next.add(id);
        if (step.kind === 'any' || takes(step)) next.add(after);
      }
    }
    return this.#stateOf(next);
  }
}

function slot(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  return length === 0 ? 0 : (bytes[start]! + bytes[end - 1]! * 7 + length * 31) & 0xff;
}

function equal(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[start + i]) return false;
  return true;
}
