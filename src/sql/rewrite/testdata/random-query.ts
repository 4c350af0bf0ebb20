import type fc from 'fast-check';

type Kind = 'int' | 'text' | 'number' | 'date' | 'bool' | 'json' | 'mood' | 'tags' | 'time';

interface Column {
  readonly name: string;
  readonly kind: Kind;
}

interface Item {
  readonly alias: string;
  readonly columns: readonly Column[];
  readonly path?: string;
}

type Choose = <T>(items: readonly T[]) => T;

const columns = (text: string): readonly Column[] =>
  text.split(' ').map((part) => {
    const [name = '', kind = 'text'] = part.split(':');
    return { name, kind: kind as Kind };
  });

const people = columns(
  'id:int name ssn born:date salary:number feels:mood zip tags:tags profile:json seen:time nick grade:int secret_note last4 city',
);

const relations: readonly { readonly names: readonly string[]; readonly columns: readonly Column[]; readonly view?: boolean }[] = [
  { names: ['people', 'public.people'], columns: people },
  { names: ['people', '"people"'], columns: people },
  { names: ['managers'], columns: [...people, { name: 'bonus', kind: 'int' }] },
  { names: ['events', 'public.events', 'events_2025'], columns: columns('id:int day:date person:int diagnosis') },
  { names: ['orders', 'public.orders'], columns: columns('id:int person:int note total:int paid:bool') },
  { names: ['other.people'], columns: columns('id:int name ssn') },
  { names: ['directory'], columns: columns('id:int name ssn city'), view: true },
  { names: ['rich', 'public.rich'], columns: columns('id:int name'), view: true },
  { names: ['shouting'], columns: columns('id:int loud name born:date'), view: true },
  { names: ['over_views'], columns: columns('id:int loud ssn'), view: true },
  { names: ['by_ssn'], columns: columns('last4 many:int first'), view: true },
  { names: ['unrelated'], columns: columns('id:int note total:int'), view: true },
  { names: ['"Odd ""Table"'], columns: columns('id:int') },
  { names: ['copies'], columns: columns('id:int name ssn'), view: true },
];

/** Queries that mostly are what a server takes, since they know what is in scope. */
export class RandomQuery {
  readonly #choose: Choose;
  readonly #chance: (percent: number) => boolean;
  #aliases = 0;

  constructor(g: fc.GeneratorValue, arbitraries: Pick<typeof fc, 'constantFrom' | 'nat'>) {
    this.#choose = (items) => g(arbitraries.constantFrom, ...items) as never;
    this.#chance = (percent) => g(arbitraries.nat, { max: 99 }) < percent;
  }

  statement(): string {
    return this.#query(2, [], new Map(), undefined).sql;
  }

  /** A change of a table with protected columns, and what it returns. */
  change(): string {
    const relation = this.#choose(relations.slice(0, 4));
    const name = this.#choose(relation.names);
    const alias = this.#choose(['', 't0']);
    const plain = name.replace(/^public\./, '').replaceAll('"', '');
    const target: Item = { alias: alias === '' ? plain : alias, columns: relation.columns };
    const others: Item[] = [];
    const from = this.#chance(30) ? this.#item(1, [], [], new Map()) : undefined;
    if (from !== undefined) others.push(from.item);
    const scope = [target, ...others];
    const returning = Array.from({ length: this.#choose([1, 2, 3]) }, () => this.#returned(scope, target));
    const where = `${target.alias}.id < 5`;
    const free = relation.names[0] === 'events' ? 'person' : 'city';
    const text = this.#choose([
      `update ${name} ${alias} set ${free} = ${target.alias}.${free} ${from === undefined ? '' : `from ${from.sql} `}where ${where}`,
      `delete from ${name} ${alias} ${from === undefined ? '' : `using ${from.sql} `}where ${where}`,
    ]);
    const change = `${text} returning ${returning.join(', ')}`;
    if (!this.#chance(25)) return change;
    return `with changed as (${change}) select ${this.#choose(['*', 'changed', 'count(*)', 'ssn', 'id'])} from changed`;
  }

  #returned(scope: readonly Item[], target: Item): string {
    const { sql, kind } = this.#column(scope);
    if (this.#chance(10)) return `${target.alias}.*`;
    if (this.#chance(40)) {
      const query = this.#query(2, scope, new Map(), 1);
      return this.#choose([`(${query.sql} limit 1) is null`, `exists (${query.sql})`, `(select count(*) from (${query.sql}) q (q) where q > '5')`]);
    }
    if (this.#chance(30)) {
      const name = this.#choose(['ssn', 'name', 'last4', 'nick', 'diagnosis']);
      const made = this.#choose([name, `${name}::text`, `(${name})`, `coalesce(${name}, 'x')`, `${name} collate "C"`, `(select ${name})`]);
      return this.#choose([`(select ${name} from (select ${made}) w)`, `(with w as (select ${made}) select ${name} from w)`, made]);
    }
    return kind === 'text' ? this.#choose([sql, `upper(${sql})`, `${sql} || '!'`, `${sql} > '5'`]) : sql;
  }

  /** `width`: so many columns, all of them text, for set operations. */
  #query(
    depth: number,
    outer: readonly Item[],
    outerCtes: ReadonlyMap<string, readonly Column[]>,
    width: number | undefined,
  ): { readonly sql: string; readonly columns: readonly Column[] } {
    const ctes = new Map(outerCtes);
    const withs: string[] = [];
    while (depth > 0 && withs.length < 2 && this.#chance(20)) {
      const name = this.#choose(['people', 'orders', 'x', 'directory', 'managers']);
      if (withs.some((text) => text.startsWith(`${name} `))) break;
      const query = this.#query(depth - 1, outer, ctes, undefined);
      withs.push(`${name} as ${this.#choose(['', 'materialized '])}(${query.sql})`);
      ctes.set(name, query.columns);
    }
    const head = withs.length === 0 ? '' : `with ${withs.join(', ')} `;
    if (depth > 0 && this.#chance(12)) {
      const many = width ?? this.#choose([1, 2]);
      const [left, right] = [this.#query(depth - 1, outer, ctes, many), this.#query(depth - 1, outer, ctes, many)];
      const operator = this.#choose(['union', 'union all', 'except', 'intersect']);
      return { sql: `${head}(${left.sql}) ${operator} (${right.sql})`, columns: left.columns };
    }
    const select = this.#select(depth, outer, ctes, width);
    return { sql: head + select.sql, columns: select.columns };
  }

  #select(depth: number, outer: readonly Item[], ctes: ReadonlyMap<string, readonly Column[]>, width: number | undefined) {
    const items: Item[] = [];
    const from: string[] = [];
    do from.push(this.#from(depth, items, outer, ctes));
    while (from.length < 2 && this.#chance(25));
    const scope = [...items, ...outer];
    const where = this.#chance(50) ? ` where ${this.#predicate(depth, scope, ctes)}` : '';
    if (width === undefined && this.#chance(15)) return this.#grouped(items, scope, from, where);
    const outputs: string[] = [];
    const names: Column[] = [];
    const many = width ?? this.#choose([1, 2, 3]);
    for (let i = 0; i < many; i++) {
      const name = `c${i}`;
      if (width === undefined && this.#chance(10)) {
        const item = this.#choose(items);
        outputs.push(this.#chance(50) || items.length > 1 ? `${item.alias}.*` : '*');
        for (const column of item.columns) names.push(column);
        continue;
      }
      const [sql, kind] = this.#expression(depth, scope, items, ctes);
      // Columns take their names from what they are made of, unless they have one.
      const implied = /^(?:\w+\.)*(\w+)$/.exec(sql)?.[1];
      const fresh = implied !== undefined && !names.some((column) => column.name === implied);
      if (width === undefined && fresh && this.#chance(40)) {
        const cast = this.#chance(40);
        outputs.push(cast ? `${sql}::text` : this.#choose([sql, `(${sql})`]));
        names.push({ name: implied, kind: cast ? 'text' : kind });
        continue;
      }
      outputs.push(`${width === undefined ? sql : `(${sql})::text`} as ${name}`);
      names.push({ name, kind: width === undefined ? kind : 'text' });
    }
    const distinct = names.every(({ kind }) => kind !== 'json') && this.#chance(10) ? 'distinct ' : '';
    const unique = names.filter(({ name }, index) => names.findIndex((one) => one.name === name) === index);
    return { sql: `select ${distinct}${outputs.join(', ')} from ${from.join(', ')}${where}`, columns: unique };
  }

  #grouped(items: readonly Item[], scope: readonly Item[], from: readonly string[], where: string) {
    const item = this.#choose(items);
    const keys = item.columns.filter(({ kind }) => kind !== 'json');
    const key = this.#choose(keys);
    const other = this.#column(scope);
    const aggregate = this.#choose(['count', 'max', 'min', 'count(distinct']);
    const value = `${aggregate}${aggregate.includes('(') ? ' ' : '('}(${other.sql})::text)`;
    // By its primary key a table's other columns are known.
    const free = item.columns.find(({ name }) => name === 'name' || name === 'ssn' || name === 'note');
    const more = key.name === 'id' && free !== undefined && this.#chance(30) ? `, ${item.alias}.${free.name} as c2` : '';
    const having = this.#chance(20) ? ' having count(*) > 1' : '';
    const by = this.#choose([`${item.alias}.${key.name}`, '1']);
    return {
      sql: `select ${item.alias}.${key.name} as c0, ${value} as c1${more} from ${from.join(', ')}${where} group by ${by}${having}`,
      columns: [
        { name: 'c0', kind: key.kind },
        { name: 'c1', kind: 'text' as const },
      ],
    };
  }

  // ── FROM ──

  #from(depth: number, items: Item[], outer: readonly Item[], ctes: ReadonlyMap<string, readonly Column[]>): string {
    const left = this.#item(depth, items, outer, ctes);
    items.push(left.item);
    if (!this.#chance(30)) return left.sql;
    const kind = this.#choose(['join', 'left join', 'full join', 'cross join']);
    const right = this.#item(depth, [], outer, ctes);
    items.push(right.item);
    if (kind === 'cross join') return `${left.sql} cross join ${right.sql}`;
    const shared = ['id', 'name', 'ssn'].filter((name) =>
      [left.item, right.item].every((item) => item.columns.filter((column) => column.name === name).length === 1),
    );
    if (kind !== 'full join' && shared.length > 0 && this.#chance(20))
      return `${left.sql} ${kind} ${right.sql} using (${this.#choose(shared)})`;
    const [a, b] = [this.#columnOf(left.item), this.#columnOf(right.item)];
    return `${left.sql} ${kind} ${right.sql} on (${a.sql})::text = (${b.sql})::text`;
  }

  #item(
    depth: number,
    before: readonly Item[],
    outer: readonly Item[],
    ctes: ReadonlyMap<string, readonly Column[]>,
  ): { readonly sql: string; readonly item: Item } {
    this.#aliases += 1;
    const alias = `t${this.#aliases}`;
    if (depth > 0 && this.#chance(20)) {
      const lateral = this.#chance(40);
      const query = this.#query(depth - 1, lateral ? [...before, ...outer] : outer, ctes, undefined);
      return { sql: `${lateral ? 'lateral ' : ''}(${query.sql}) ${alias}`, item: { alias, columns: query.columns } };
    }
    const relation = this.#choose(relations);
    const name = this.#choose(relation.names);
    const cte = ctes.get(name);
    if (cte !== undefined) return { sql: `${name} as ${alias}`, item: { alias, columns: cte } };
    const only = relation.view !== true && this.#chance(15) ? 'only ' : '';
    const plain = name.startsWith('public.') && before.every((item) => item.alias !== name.slice(7));
    if (plain && !outer.some((item) => item.alias === name.slice(7)) && this.#chance(60) && before.length === 0) {
      const bare = name.slice(7);
      return { sql: only + name, item: { alias: bare, columns: relation.columns, path: name } };
    }
    const sample = relation.view !== true && this.#chance(8) ? ' tablesample bernoulli (100) repeatable (3)' : '';
    if (this.#chance(12)) {
      const [first, second, ...rest] = relation.columns;
      if (first !== undefined && second !== undefined)
        return {
          sql: `${only}${name} as ${alias} (r1, r2)${sample}`,
          item: { alias, columns: [{ ...first, name: 'r1' }, { ...second, name: 'r2' }, ...rest] },
        };
    }
    return { sql: `${only}${name} ${this.#choose(['', 'as '])}${alias}${sample}`, item: { alias, columns: relation.columns } };
  }

  // ── expressions ──

  #columnOf(item: Item): { readonly sql: string; readonly kind: Kind } {
    const column = this.#choose(item.columns);
    if (this.#chance(1)) return { sql: column.name, kind: column.kind };
    const prefix = item.path !== undefined && this.#chance(50) ? item.path : item.alias;
    return { sql: `${prefix}.${column.name}`, kind: column.kind };
  }

  #column(scope: readonly Item[]) {
    return this.#columnOf(this.#choose(scope));
  }

  #expression(depth: number, scope: readonly Item[], own: readonly Item[], ctes: ReadonlyMap<string, readonly Column[]>): readonly [string, Kind] {
    if (this.#chance(8)) {
      const { alias, columns: renamed } = this.#choose(own);
      // A row of a table has the table's own names in JSON, a row of a sub-select has the new ones.
      if (renamed[0]?.name === 'r1') return [`(${alias})::text`, 'text'];
      return this.#choose([
        [`row_to_json(${alias})::text`, 'text'],
        [`(${alias})::text`, 'text'],
        [`to_jsonb(${alias}) ->> 'ssn'`, 'text'],
        [`(${alias} is null)::text`, 'text'],
      ] as const);
    }
    if (depth > 0 && this.#chance(10)) {
      const query = this.#query(depth - 1, scope, ctes, 1);
      return [`(select string_agg(q, ',' order by q) from (${query.sql}) q (q))`, 'text'];
    }
    const { sql, kind } = this.#column(scope);
    if (this.#chance(40)) return [sql, kind];
    switch (kind) {
      case 'int':
      case 'number':
        return [this.#choose([`${sql} + 1`, `coalesce(${sql}, -1)`, `abs(${sql})`, `case when ${sql} > 5 then 1 end`]), 'number'];
      case 'json':
        return [this.#choose([`${sql} ->> 'k'`, `jsonb_typeof(${sql})`]), 'text'];
      case 'date':
        return [this.#choose([`${sql} + 1`, `coalesce(${sql}, '2000-01-01')`]), 'date'];
      case 'tags':
        return [this.#choose([`array_length(${sql}, 1)`, `cardinality(${sql})`]), 'int'];
      case 'text':
        return [
          this.#choose([`upper(${sql})`, `${sql} || '!'`, `coalesce(${sql}, 'none')`, `md5(${sql})`, `replace(${sql}, '1', '2')`]),
          'text',
        ];
      default:
        return [`(${sql})::text`, 'text'];
    }
  }

  #predicate(depth: number, scope: readonly Item[], ctes: ReadonlyMap<string, readonly Column[]>): string {
    if (this.#chance(25)) {
      const [a, b] = [this.#predicate(0, scope, ctes), this.#predicate(0, scope, ctes)];
      return `(${a} ${this.#choose(['and', 'or'])} ${this.#choose(['', 'not '])}(${b}))`;
    }
    if (depth > 0 && this.#chance(20)) {
      const query = this.#query(depth - 1, scope, ctes, 1);
      if (this.#chance(50)) return `exists (${query.sql})`;
      return `(${this.#column(scope).sql})::text ${this.#choose(['in', 'not in'])} (${query.sql})`;
    }
    const { sql, kind } = this.#column(scope);
    const other = this.#column(scope);
    switch (kind) {
      case 'int':
      case 'number':
        return this.#choose([`${sql} > 4`, `${sql} between 2 and 700`, `${sql} is null`, `${sql} in (1, 2, 3)`]);
      case 'text':
        return this.#choose([`${sql} like '%1%'`, `${sql} > '5'`, `${sql} is not null`, `${sql} = '00000007919'`, `${sql}::text = (${other.sql})::text`]);
      case 'date':
        return this.#choose([`${sql} < '1971-01-01'`, `extract(year from ${sql}) > 1970`]);
      default:
        return this.#choose([`${sql} is null`, `(${sql})::text < (${other.sql})::text`]);
    }
  }
}
