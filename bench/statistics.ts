/** Median of several rounds, with the smallest and the largest: with few rounds that says more than a deviation. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** NaN throughout when there are no values. */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return sorted.length === 0
    ? { median: Number.NaN, min: Number.NaN, max: Number.NaN }
    : { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** Of values sorted upwards; the smallest value that at least `share` of them do not exceed. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** Round by round: what was measured in the same round was measured under the same conditions. */
export function pairwise(
  of: readonly number[],
  against: readonly number[],
  combine: (a: number, b: number) => number,
): Spread {
  return spread(of.flatMap((value, round) => (round < against.length ? [combine(value, against[round]!)] : [])));
}

export const ratio = (of: readonly number[], against: readonly number[]): Spread =>
  pairwise(of, against, (a, b) => a / b);
export const difference = (of: readonly number[], against: readonly number[]): Spread =>
  pairwise(of, against, (a, b) => a - b);
