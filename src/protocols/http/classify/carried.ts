/** Names and values beyond these bounds are not facts; a finding says so. */
const bounds = { names: 1000, values: 2000, nameLength: 256, valueLength: 256 } as const;

/** What a request carries, gathered from query and body for `facts.fields`, `facts.values` and `facts.findings`. */
export class Carried {
  readonly #fields = new Set<string>();
  readonly #values = new Set<string>();
  readonly #findings = new Set<string>();

  get fields(): readonly string[] {
    return [...this.#fields];
  }

  get values(): readonly string[] {
    return [...this.#values];
  }

  get findings(): readonly string[] {
    return [...this.#findings].sort();
  }

  found(finding: string): void {
    this.#findings.add(finding);
  }

  /** A name without a scalar value: an object, a list, a file. `part` is `query`, `body` or `graphql`. Beyond the bounds, the finding is `query.unseen` or `body.unseen`. */
  field(part: string, name: string): void {
    const whole = joined(part, name);
    if (whole.length > bounds.nameLength || (this.#fields.size >= bounds.names && !this.#fields.has(whole)))
      this.#findings.add(unseen(part));
    else this.#fields.add(whole);
  }

  /** A name with its value as text. A value too long to be compared with anything is left out, its name stays. */
  value(part: string, name: string, value: string): void {
    this.field(part, name);
    if (value.length > bounds.valueLength) return;
    const whole = `${joined(part, name)}=${value}`;
    if (this.#values.size >= bounds.values && !this.#values.has(whole)) this.#findings.add(unseen(part));
    else this.#values.add(whole);
  }
}

function joined(part: string, name: string): string {
  return name === '' || name.startsWith('[') ? `${part}${name}` : `${part}.${name}`;
}

function unseen(part: string): string {
  return part === 'query' ? 'query.unseen' : 'body.unseen';
}
