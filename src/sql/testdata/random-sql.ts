import fc from 'fast-check';

/** Statements over the shop's tables, from a small grammar: most of them parse, many of them read hidden columns somewhere. */
export const randomSql: fc.Arbitrary<string> = fc.letrec<Record<string, string>>((tie) => {
  const expression = tie('expression');
  const query = tie('query');
  const column = fc.constantFrom('id', 'ssn', 'email', 'name', 'c.id', 'c.ssn', 'o.total', 'o.note', 'customers.city', 'c', 'x', 'o.email', 'salary');
  const constant = fc.constantFrom('0', '1', '2', '42', '2147483647', '9999999999', '1.5', "'a'", "'%'", "'it''s'", "''", 'NULL', 'true', '$1', '-7', "'é'");
  const table = fc.constantFrom('customers c', 'orders o', 'customers', 'public.orders', 'hr.employees', 'sales', 'x', 'customer_report r', 'products AS p(a, b)');
  const operator = fc.constantFrom('=', '<', '<>', '||', '+', '-', '/', 'AND', 'OR', 'LIKE', '~', '->', '@>', 'IS DISTINCT FROM');
  const list = (item: fc.Arbitrary<string>, max = 3) => fc.array(item, { minLength: 1, maxLength: max }).map((items) => items.join(', '));
  const maybe = (item: fc.Arbitrary<string>) => fc.option(item, { nil: '', freq: 2 });
  const part = (word: string, item: fc.Arbitrary<string>) => maybe(item.map((text) => ` ${word} ${text}`));
  const output = fc.oneof(column, column, fc.constant('*'), fc.constant('c.*'), fc.tuple(expression, maybe(fc.constantFrom(' AS x', ' AS id', ' y'))).map((parts) => parts.join('')));
  return {
    expression: fc.oneof(
      { maxDepth: 3, depthSize: 'small' },
      column,
      constant,
      fc.tuple(expression, operator, expression).map(([a, op, b]) => `${a} ${op} ${b}`),
      fc.tuple(fc.constantFrom('lower', 'count', 'max', 'coalesce', 'nextval', 'f', 'row_to_json', 'length'), list(expression, 2)).map(([name, args]) => `${name}(${args})`),
      expression.map((inner) => `(${inner})`),
      expression.map((inner) => `${inner}::text`),
      expression.map((inner) => `CAST(${inner} AS numeric(10, 2))`),
      fc.tuple(expression, list(constant)).map(([a, items]) => `${a} IN (${items})`),
      fc.tuple(expression, expression, expression).map(([a, b, c]) => `CASE WHEN ${a} THEN ${b} ELSE ${c} END`),
      query.map((inner) => `(${inner})`),
      query.map((inner) => `EXISTS (${inner})`),
      fc.tuple(expression, constant, constant).map(([a, b, c]) => `${a} BETWEEN ${b} AND ${c}`),
      fc.constantFrom("interval '1' day", "date '2020-01-01'", 'now()', "x AT TIME ZONE 'utc'", 'extract(year FROM created_at)', 'ARRAY[1, 2]', 'count(*)'),
    ),
    from: fc.oneof(
      { maxDepth: 2, depthSize: 'small' },
      table,
      fc.tuple(table, fc.constantFrom('JOIN', 'LEFT JOIN', 'CROSS JOIN LATERAL'), query).map(([a, join, b]) => `${a} ${join} (${b}) j ON true`.replace('LATERAL (', 'LATERAL (').replace(/(CROSS JOIN LATERAL .*) ON true$/s, '$1')),
      fc.tuple(table, table, expression).map(([a, b, on]) => `${a} JOIN ${b} ON ${on}`),
      fc.tuple(table, table, fc.constantFrom('id', 'email')).map(([a, b, using]) => `${a} JOIN ${b} USING (${using})`),
      query.map((inner) => `(${inner}) s`),
      fc.constantFrom('generate_series(1, 10) g', 'unnest(ARRAY[1, 2]) u(v)'),
    ),
    query: fc.oneof(
      { maxDepth: 3, depthSize: 'small' },
      fc
        .tuple(
          fc.constantFrom('SELECT ', 'SELECT ', 'SELECT DISTINCT '),
          list(output),
          part('FROM', list(tie('from'), 2)),
          part('WHERE', expression),
          part('GROUP BY', list(fc.oneof(column, fc.constantFrom('1', '2')), 2)),
          part('ORDER BY', list(fc.oneof(column, fc.constantFrom('1', '2', 'x DESC')), 2)),
          part('LIMIT', constant),
        )
        .map((parts) => parts.join('')),
      fc.tuple(query, fc.constantFrom('UNION', 'EXCEPT ALL'), query).map(([a, op, b]) => `(${a}) ${op} (${b})`),
      fc.tuple(fc.constantFrom('x', 'customers', 'orders'), query, query).map(([name, a, b]) => `WITH ${name} AS (${a}) ${b}`),
    ),
    statement: fc.oneof(
      { weight: 6, arbitrary: query },
      { weight: 2, arbitrary: fc.tuple(fc.constantFrom('customers', 'orders'), constant, part('WHERE', expression), part('RETURNING', list(output))).map(([t, v, w, r]) => `UPDATE ${t} SET note = ${v}${w}${r}`) },
      { weight: 2, arbitrary: fc.tuple(fc.constantFrom('customers', 'orders'), part('WHERE', expression), part('RETURNING', list(output))).map(([t, w, r]) => `DELETE FROM ${t}${w}${r}`) },
      { weight: 2, arbitrary: fc.tuple(list(constant), part('RETURNING', list(output))).map(([v, r]) => `INSERT INTO orders VALUES (${v})${r}`) },
      { weight: 1, arbitrary: query.map((inner) => `INSERT INTO orders (id, note) ${inner}`) },
    ),
  };
}).statement!;
