import { readFileSync } from 'node:fs';
import type pg from 'pg';
import type { Catalog } from '../../catalog.ts';

import type { MaskChoice, MasksOf } from "../masks.ts";
import { quoted, quotedPath } from "../quote.ts";
import type { Worlds } from './worlds.ts';

/** What is classified in schema.sql. */
export const classified = {
  'public.people.ssn': 'pii.ssn',
  'public.people.born': 'pii.birth',
  'public.people.salary': 'hr.salary',
  'public.people.feels': 'pii.mood',
  'public.people.zip': 'pii.zip',
  'public.people.tags': 'pii.tags',
  'public.people.profile': 'pii.profile',
  'public.people.seen': 'pii.seen',
  'public.people.nick': 'pii.nick',
  'public.people.grade': 'hr.grade',
  'public.people.secret_note': 'pii.note',
  'public.events.diagnosis': 'health',
  'public."Odd ""Table"."Sec""ret"': 'odd',
};

export const methods: Readonly<Record<string, string>> = {
  'hr.salary': 'range:1000',
  'pii.birth': 'year',
  'pii.seen': 'year',
  'pii.note': 'partial',
  'hr.grade': 'null',
  'pii.profile': 'constant',
};

export async function makeReal(worlds: Worlds, name: string): Promise<pg.Client> {
  const client = await worlds.create(name);
  for (const file of ['schema.sql', 'rows.sql']) await client.query(readFileSync(new URL(file, import.meta.url), 'utf8'));
  return client;
}

/** The model: a database whose protected columns hold the masks. */
export async function makeModel(worlds: Worlds, name: string, from: string, catalog: Catalog, masksOf: MasksOf): Promise<pg.Client> {
  const client = await worlds.create(name, from);
  await client.query('alter table people drop constraint people_ssn_key; alter domain strict drop not null');
  for (const relation of catalog.relations) {
    if (relation.kind !== 'r') continue;
    const sets: string[] = [];
    for (const column of relation.columns) {
      const mask = masksOf(relation, column);
      if (mask === undefined) continue;
      if (column.generated === true && relation.name === 'people')
        await client.query(`alter table people alter column ${quoted(column.name)} drop expression`);
      sets.push(`${quoted(column.name)} = ${mask.sql(quoted(column.name))}`);
    }
    if (sets.length > 0)
      await client.query(`update only ${quotedPath(relation.schema, relation.name)} set ${sets.join(', ')}`);
  }
  await client.query('refresh materialized view copies; analyze');
  return client;
}

/** Short masks, for cases that people read. */
export function casesMethod(classification: string): MaskChoice {
  return classification === 'pii.ssn' ? 'redact' : 'null';
}
