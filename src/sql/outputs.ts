import { as, type Fields, namesIn, text } from './node.ts';

/** What a SELECT list shows of hidden columns. */
export class Outputs {
  /** Output name → label. */
  readonly masked = new Map<string, string>();
  /** Position from 1 → label; of no use once there was a star. */
  readonly positions = new Map<number, string>();
  /** Names that ORDER BY and GROUP BY can mean, whatever is behind them. */
  readonly names = new Set<string>();
  stars = false;
  #count = 0;

  next(target: Fields): number {
    const name = text(target.name) ?? namesIn(as('FuncCall', target.val)?.funcname).at(-1);
    if (name !== undefined) this.names.add(name);
    this.#count += 1;
    return this.#count;
  }
}
