import type { Action } from '../model/command.ts';
import { harmlessFunctions } from './builtins.ts';

/** What calling a function may do beyond computing. */
export interface FunctionEffect {
  readonly action: Action;
  /** Its result or its effect may depend on data that the statement does not name. */
  readonly opaque: boolean;
}

const effect = (action: Action, opaque: boolean): FunctionEffect => ({ action, opaque });
const runsText = effect('execute', true);
const administers = effect('administer', true);
const writes = effect('write', false);
const unknown = effect('execute', true);

/** Functions of pg_catalog that do more than compute. Names that begin with `pg_` or `lo_` need no entry to be held for administration. */
const effects: ReadonlyMap<string, FunctionEffect> = new Map([
  // Run text or read whole tables, schemas and cursors by name.
  ...entries(
    `query_to_xml query_to_xmlschema query_to_xml_and_xmlschema table_to_xml table_to_xmlschema table_to_xml_and_xmlschema
     schema_to_xml schema_to_xmlschema schema_to_xml_and_xmlschema database_to_xml database_to_xmlschema
     database_to_xml_and_xmlschema cursor_to_xml cursor_to_xmlschema ts_stat ts_rewrite`,
    runsText,
  ),
  // Input functions run the check functions of whatever domain they are told the name of.
  ...entries(
    'domain_in domain_recv array_in array_recv record_in record_recv range_in range_recv multirange_in multirange_recv pg_input_is_valid pg_input_error_info',
    runsText,
  ),
  ...entries('nextval setval', writes),
  ...entries('pg_notify', effect('session', false)),
  ...entries('pg_stat_clear_snapshot pg_stat_force_next_flush', effect('session', false)),
  // Looked into separately: the setting decides.
  ...entries('set_config', effect('session', false)),
  ...entries(
    'loread lowrite currtid2 gin_clean_pending_list brin_summarize_new_values brin_summarize_range brin_desummarize_range',
    administers,
  ),
]);

const administrative = /^(?:pg_|lo_|binary_upgrade_|fmgr_|dblink|\w*_handler$)/;

/**
 * The effect of calling a function by this (qualified) name, as it is in the syntax tree; undefined for one that only computes.
 * `trusted` holds the names of reviewed functions outside pg_catalog, lower case, unqualified.
 */
export function effectOf(name: readonly string[], trusted?: ReadonlySet<string>): FunctionEffect | undefined {
  const last = name.at(-1) ?? '';
  const schema = name.length > 1 ? name.at(-2) : undefined;
  if (schema !== undefined && schema !== 'pg_catalog') {
    if (trusted?.has(last) === true) return undefined;
    return administrative.test(last) ? administers : unknown;
  }
  const known = effects.get(last);
  if (known !== undefined) return known;
  if (harmlessFunctions.has(last) || trusted?.has(last) === true) return undefined;
  return administrative.test(last) ? administers : unknown;
}

/** Is it, or may it be, the name of a function of pg_catalog? */
export function isBuiltin(name: string): boolean {
  return effects.has(name) || harmlessFunctions.has(name) || administrative.test(name);
}

/** Functions whose arguments name things: a literal decides what they touch. */
export function takesNames(name: string): boolean {
  return namesTaken.test(name);
}
const namesTaken =
  /^(?:pg_|lo_|loread$|lowrite$|has_\w+_privilege$|to_reg|reg(?!exp|r_)|nextval$|setval$|currval$|lastval$|set_config$|current_setting$|row_security_active$|(?:col|obj|shobj)_description$|format_type$)|_to_xml/;

function* entries(names: string, value: FunctionEffect): Iterable<[string, FunctionEffect]> {
  for (const name of names.trim().split(/\s+/)) yield [name, value];
}
