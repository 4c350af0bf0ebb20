import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import type { RawPostgres } from '../../../test/support/raw-postgres.ts';
import type { Catalog } from '../catalog.ts';
import { hide } from '../hidden.ts';
import { loadParser, parse } from '../parse.ts';
import { masksBy } from './masks.ts';
import { createRewriter, type Rewriter } from './rewrite.ts';
import { readCatalog } from './testdata/real-catalog.ts';
import { said, Worlds } from './testdata/worlds.ts';

/**
 * What asks for classified data, rewritten and then run straight against two databases that differ in nothing else: nothing that
 * the gateway does besides stands in between.
 */
const folder = new URL('../../../test/e2e/attacks/', import.meta.url);
const file = (name: string) => readFileSync(new URL(name, folder), 'utf8');
const known = (parseYaml(file('leaks.yaml')) as readonly { readonly texts: readonly string[] }[]).flatMap(
  (group) => group.texts,
);
const own = parseYaml(readFileSync(new URL('testdata/attacks.yaml', import.meta.url), 'utf8')) as readonly string[];
const texts = [...known, ...own];

const classify = {
  'public.customers.ssn': 'pii.ssn',
  'public.customers.email': 'pii.email',
  'public.customers.salary': 'hr.salary',
  'public.customers.profile': 'pii.profile',
  'public.patients.diagnosis': 'health',
};

const one = ['481516234', '112358132', '271828182'];
const two = ['914159265', '314159265', '914159265'];

function rows(ssn: readonly string[], salary: readonly number[], illness: readonly string[]): string {
  const customers = ['Ada', 'Bob', 'Cleo'].map(
    (name, i) =>
      `(${i + 1}, '${name}', '${ssn[i]}@x${i}.example', '${ssn[i]}', ${salary[i]}, '{"ssn": "${ssn[i]}"}', 'Graz')`,
  );
  return `
    insert into customers (id, name, email, ssn, salary, profile, city) values ${customers.join(', ')};
    insert into vips (id, name, email, ssn, salary, city, perks) values (9, 'Vi', '${ssn[1]}@v.example', '${ssn[2]}', ${salary[1]}, 'Bern', 'lounge');
    insert into patients values (1, '${illness[0]}', 'a'), (2, '${illness[1]}', 'b');
    insert into staging.customers values (1, 'Stage', 'stage@any.example', '000000000');
    insert into orders select n, 1 + n % 3, case n % 2 when 0 then 'paid' else 'open' end, n * 10 from generate_series(1, 40) n;
    insert into notes select n, 'note ' || n from generate_series(1, 5) n;
    insert into moods values (1, 'ok', '2026-01-01');
    refresh materialized view customer_copy; analyze`;
}

let worlds: Worlds;
let catalog: Catalog;
let rewriter: Rewriter;
let clients: readonly RawPostgres[];

beforeAll(async () => {
  await loadParser();
  worlds = await Worlds.start();
  const mold = await worlds.create('mold');
  await mold.query(file('schema.sql'));
  await mold.end();
  const shop = await worlds.create('shop', 'mold');
  const twin = await worlds.create('twin', 'mold');
  await shop.query(rows(one, [91357, 64208, 30119], ['gout', 'acne']));
  await twin.query(rows(two, [20418, 73113, 88246], ['acne', 'gout']));
  catalog = await readCatalog(shop, classify);
  rewriter = createRewriter(
    catalog,
    hide(catalog.classifications),
    masksBy(catalog, () => 'redact'),
  );
  clients = [await worlds.raw('shop'), await worlds.raw('twin')];
});
afterAll(() => worlds?.stop());

/** What both databases say, in a session that is as new afterwards. */
async function both(text: string): Promise<readonly string[]> {
  const ask = async (client: RawPostgres) => {
    const answer = await said(client, `begin; ${text.replace(/^begin;/, '')}`);
    await said(client, 'rollback');
    if (!/^(?:select|update|with|delete|insert)\b/i.test(text) || /set_config|\binto\b/i.test(text))
      await said(client, 'discard all');
    return answer;
  };
  return Promise.all(clients.map(ask));
}

describe('a statement that asks for what is classified', () => {
  it.each(texts)('learns nothing by itself, once it is rewritten — %s', async (text) => {
    const rewrite = rewriter.rewrite(text, parse(text), { searchPath: ['pg_catalog', 'public'] });
    if (rewrite.outcome === 'refused') {
      expect(rewrite.reason).not.toBe('');
      expect(rewrite.advice).not.toBe('');
      return;
    }
    expect(rewrite.keyedPass).toBe(false);
    const [shop, twin] = await both(rewrite.text);
    expect(twin).toBe(shop);
    for (const value of [...one, ...two]) expect(shop).not.toContain(value);
  });

  it('would learn a great deal if it were not', async () => {
    let leaks = 0;
    for (const text of texts.slice(0, 60)) {
      const [shop, twin] = await both(text);
      if (shop !== twin || one.some((value) => shop?.includes(value))) leaks += 1;
    }
    expect(leaks).toBeGreaterThan(40);
  });

  it('is refused less often than it is made harmless', () => {
    const outcomes = texts.map((text) => rewriter.rewrite(text, parse(text), { searchPath: ['pg_catalog', 'public'] }));
    const refused = outcomes.filter(({ outcome }) => outcome === 'refused').length;
    expect(refused).toBeLessThan(texts.length / 2);
  });
});
