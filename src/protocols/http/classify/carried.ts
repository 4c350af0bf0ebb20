/** Names and values beyond these bounds are not facts; a finding says so. */
const bounds = { names: 1000, values: 2000, nameLength: 256, valueLength: 256 } as const;

/** What a request carries, gathered from query and body for `facts.fields`, `facts.values` and `facts.findings`. */
export class Carried {
  readonly #fields = new Set<string>();
  readonly #values = new Set<string>();
  readonly #findings = new Set<string>();
  #full = false;

  get fields(): readonly string[] {
    return [...this.#fields];
  }

  get values(): readonly string[] {
    return [...this.#values];
  }

  get findings(): readonly string[] {
    return [...this.#findings].sort();
  }

  /** There is no room for more: what follows is not a fact, and a finding says so. */
  get full(): boolean {
    return this.#full;
  }

  /** Something of that part was not gone through. */
  skipped(part: string): void {
    this.#findings.add(unseen(part));
  }

  found(finding: string): void {
    this.#findings.add(finding);
  }

  /** A name without a scalar value: an object, a list, a file. `part` is `query`, `body` or `graphql`. Beyond the bounds, the finding is `query.unseen` or `body.unseen`. */
  field(part: string, name: string): void {
    const whole = joined(part, name);
    if (whole.length > bounds.nameLength) this.skipped(part);
    else this.#add(this.#fields, whole, bounds.names, part);
  }

  /** A name with its value as text. A value too long to be compared with anything is left out, its name stays. */
  value(part: string, name: string, value: string): void {
    this.field(part, name);
    if (value.length > bounds.valueLength) return;
    const whole = `${joined(part, name)}=${value}`;
    this.#add(this.#values, whole, bounds.values, part);
  }

  #add(set: Set<string>, whole: string, bound: number, part: string): void {
    if (set.size < bound || set.has(whole)) {
      set.add(whole);
      return;
    }
    this.#full = true;
    this.skipped(part);
  }
}

function joined(part: string, name: string): string {
  return name === '' || name.startsWith('[') ? `${part}${name}` : `${part}.${name}`;
}

function unseen(part: string): string {
  return part === 'query' ? 'query.unseen' : 'body.unseen';
}
