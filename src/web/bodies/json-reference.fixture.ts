import { parseJsonPath, type Step } from './json-path.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** Masks by paths in the plainest way: find every place that a path names, replace every scalar at or below it. */
export function maskedByReference(document: Json, rules: readonly { path: string; classification: string }[]): Json {
  const places = new Map<string, string>();
  for (const { path, classification } of rules) {
    for (const place of placesOf(document, parseJsonPath(path))) {
      const key = JSON.stringify(place);
      if (!places.has(key)) places.set(key, classification);
    }
  }
  const walk = (value: Json, place: readonly (string | number)[], around: string | undefined): Json => {
    const here = around ?? places.get(JSON.stringify(place));
    if (Array.isArray(value)) return value.map((element: Json, i) => walk(element, [...place, i], here));
    if (value !== null && typeof value === 'object') {
      return Object.fromEntries(
        Object.entries(value).map(([name, member]) => [name, walk(member, [...place, name], here)]),
      );
    }
    return here === undefined || value === null ? value : `[masked:${here}]`;
  };
  return walk(document, [], undefined);
}

type Place = readonly (string | number)[];

function placesOf(document: Json, steps: readonly Step[]): Place[] {
  let found: [Place, Json][] = [[[], document]];
  for (const step of steps) {
    const from = step.deep ? found.flatMap(([place, value]) => descendants(place, value)) : found;
    found = from.flatMap(([place, value]) =>
      children(place, value).filter(([child]) => {
        const last = child.at(-1);
        return step.kind === 'any' || last === (step.kind === 'name' ? step.name : step.index);
      }),
    );
  }
  return found.map(([place]) => place);
}

function children(place: Place, value: Json): [Place, Json][] {
  if (Array.isArray(value)) return value.map((element: Json, i) => [[...place, i], element]);
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).map(([name, member]) => [[...place, name], member]);
}

function descendants(place: Place, value: Json): [Place, Json][] {
  return [[place, value], ...children(place, value).flatMap(([child, below]) => descendants(child, below))];
}
