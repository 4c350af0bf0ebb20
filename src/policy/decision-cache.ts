import type { Classified } from '../model/command.ts';
import type { Decision } from '../model/decision.ts';
import type { Principal } from '../model/principal.ts';
import type { Target } from '../model/target.ts';
import type { Scene } from './scene.ts';

/** One principal at one target: the scene, and what was decided about commands in it. */
export interface Place {
  readonly scene: Scene;
  readonly decisions: WeakMap<Classified, Decision>;
}

/**
 * Decisions under one set of policies; a reload starts a new cache. Found by identity alone (three map look-ups, no text is built),
 * which is sound because principals, targets and classified commands are never mutated. Principals with equal content share.
 * Nothing in a decision depends on the time, so entries need no expiry. Bounded by `maxPrincipals` and `maxDecisions`.
 */
export class DecisionCache {
  #byPrincipal = new WeakMap<Principal, WeakMap<Target, Place>>();
  readonly #byContent = new Map<string, WeakMap<Target, Place>>();
  #kept = 0;
  // One session sends many commands in a row.
  #lastPrincipal: Principal | undefined;
  #lastTarget: Target | undefined;
  #lastPlace: Place | undefined;
  readonly #maxPrincipals: number;
  readonly #maxDecisions: number;

  constructor({ maxPrincipals = 2000, maxDecisions = 200_000 } = {}) {
    this.#maxPrincipals = maxPrincipals;
    this.#maxDecisions = maxDecisions;
  }

  place(principal: Principal, target: Target, make: () => Scene): Place {
    if (principal === this.#lastPrincipal && target === this.#lastTarget && this.#lastPlace !== undefined)
      return this.#lastPlace;
    const places = this.#byPrincipal.get(principal) ?? this.#places(principal);
    let place = places.get(target);
    if (place === undefined) {
      place = { scene: make(), decisions: new WeakMap() };
      places.set(target, place);
    }
    this.#lastPrincipal = principal;
    this.#lastTarget = target;
    this.#lastPlace = place;
    return place;
  }

  keep(place: Place, classified: Classified, decision: Decision): void {
    if (++this.#kept > this.#maxDecisions) this.#clear();
    place.decisions.set(classified, decision);
  }

  #places(principal: Principal): WeakMap<Target, Place> {
    const content = contentOf(principal);
    let places = this.#byContent.get(content);
    if (places === undefined) {
      if (this.#byContent.size >= this.#maxPrincipals) this.#clear();
      places = new WeakMap();
      this.#byContent.set(content, places);
    }
    this.#byPrincipal.set(principal, places);
    return places;
  }

  /** A place that somebody still holds lives on for the command under way, and is forgotten with it. */
  #clear(): void {
    this.#byPrincipal = new WeakMap();
    this.#byContent.clear();
    this.#kept = 0;
    this.#lastPlace = undefined;
  }
}

/** Equal for principals that policy cannot tell apart. */
function contentOf({ id, kind, issuer, subject, owner, groups, claims }: Principal): string {
  const sorted = Object.entries(claims).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([id, kind, issuer, subject, owner ?? null, [...groups].sort(), sorted]);
}
