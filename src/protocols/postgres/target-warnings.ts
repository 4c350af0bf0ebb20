import type { Classification } from './classification.ts';
import { nameWarnings } from './propose/name-warnings.ts';
import { qualified, type Schema } from './schema.ts';

/** How far the upstream role itself keeps classified data back: the strongest single control there is. */
export type RoleMode = 'superuser' | 'owner' | 'reader' | 'no-grant' | 'nothing-classified';

export interface RoleFindings {
  readonly mode: RoleMode;
  /** Classified columns that the role may read, `schema.table.column`. */
  readonly readable: readonly string[];
}

/** `mayRead` holds `oid.attnum` of the classified columns that the role may read. */
export function roleFindings(schema: Schema, { columns }: Classification, mayRead: ReadonlySet<string>): RoleFindings {
  const holders = schema.relations.filter((relation) => columns.has(relation.oid));
  const readable = holders.flatMap((relation) =>
    relation.columns
      .filter(({ attnum }) => columns.get(relation.oid)?.has(attnum) && mayRead.has(`${relation.oid}.${attnum}`))
      .map(({ name }) => `${qualified(relation)}.${name}`),
  );
  return {
    mode: modeOf(
      schema,
      holders.length > 0,
      holders.some(({ owned }) => owned),
      readable.length > 0,
    ),
    readable,
  };
}

function modeOf({ role }: Schema, classified: boolean, owned: boolean, readable: boolean): RoleMode {
  if (role.superuser) return 'superuser';
  if (!classified) return 'nothing-classified';
  if (owned) return 'owner';
  return readable ? 'reader' : 'no-grant';
}

/** What an operator should know of a target, worst first; one sentence each. */
export function targetWarnings(schema: Schema, classification: Classification, role: RoleFindings): readonly string[] {
  const warnings: string[] = [];
  const { name } = schema.role;
  for (const entry of classification.missing)
    warnings.push(`classify: there is no column ${entry}; nothing is masked by this entry`);
  if (classification.kept.length > 0)
    warnings.push(
      `${listed(classification.kept)}: classified before the schema changed, and still masked; add to classify what is to stay so`,
    );
  if (role.mode === 'superuser')
    warnings.push(
      `the role ${name} is a superuser: no grant binds it; use a role without rights on classified columns`,
    );
  if (role.mode === 'owner')
    warnings.push(`the role ${name} owns tables with classified columns: no grant binds it there`);
  if (schema.role.bypassesRowSecurity && role.mode !== 'superuser')
    warnings.push(`the role ${name} bypasses row security`);
  if (role.mode === 'reader')
    warnings.push(
      `the role ${name} may read ${listed(role.readable)}; without that grant the database itself would keep ${role.readable.length === 1 ? 'it' : 'them'} back`,
    );
  for (const { oid, schema: inSchema, name: relation, kind } of schema.relations) {
    const derived = classification.derived.get(oid);
    if (derived !== undefined)
      warnings.push(
        `${kindName[kind]} ${qualified({ schema: inSchema, name: relation })} counts as classified: it ${derived.reasons.slice(0, 3).join(', ')}`,
      );
  }
  return [...warnings, ...nameWarnings(schema, classification)];
}

const kindName = {
  r: 'table',
  p: 'table',
  f: 'foreign table',
  v: 'view',
  m: 'materialized view',
  S: 'sequence',
} as const;

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 20).join(', ');
  return names.length > 20 ? `${shown} and ${names.length - 20} more` : shown;
}
