import { longestSecret, type SecretSearch } from './find-secrets.ts';

export interface ScannedSecret {
  readonly rule: string;
  /** Latin1. Stays inside the inspection. */
  readonly secret: string;
  /** Counted from 1. */
  readonly line: number;
}

/** More than this many in one file are not told apart any more. */
const mostHits = 100;
const windowSize = 65_536;

/**
 * Searches a stream of bytes as if it were one text: windows overlap by the longest secret, and each secret is found once. Memory is
 * one window.
 */
export class SecretScanner {
  readonly #search: SecretSearch;
  readonly #entropy: boolean;
  readonly hits: ScannedSecret[] = [];
  #window = '';
  /** Offset of the window in the stream, and from where on nothing has been reported yet. */
  #base = 0;
  #reported = 0;
  /** Line feeds before the window. */
  #lines = 0;

  constructor(search: SecretSearch, entropy: boolean) {
    this.#search = search;
    this.#entropy = entropy;
  }

  push(text: string): void {
    this.#window += text;
    if (this.#window.length >= windowSize + longestSecret) this.#look(this.#window.length - longestSecret);
  }

  end(): readonly ScannedSecret[] {
    this.#look(this.#window.length);
    return this.hits;
  }

  /** Reports what starts before `limit` (window offset), and drops what no later secret can need. */
  #look(limit: number): void {
    const window = this.#window;
    let counted = 0;
    let line = this.#lines;
    for (const { rule, start, end } of this.#search.find(window, this.#entropy)) {
      if (start >= limit || this.#base + start < this.#reported || this.hits.length >= mostHits) continue;
      line += feeds(window, counted, start);
      counted = start;
      this.hits.push({ rule, secret: window.slice(start, end), line: line + 1 });
      this.#reported = this.#base + end;
    }
    this.#reported = Math.max(this.#reported, this.#base + limit);
    const keep = Math.max(0, limit - 512);
    this.#lines = line + feeds(window, counted, keep);
    if (keep < counted) this.#lines = this.#lines - feeds(window, keep, counted);
    this.#window = window.slice(keep);
    this.#base += keep;
  }
}

function feeds(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf('\n', from); at >= 0 && at < to; at = text.indexOf('\n', at + 1)) count += 1;
  return count;
}
