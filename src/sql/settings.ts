import type { Action } from '../model/command.ts';

/** What changing a run-time setting means. `forbidden` says why the gateway cannot follow the change. */
export interface SettingEffect {
  readonly action: Action;
  readonly forbidden?: string;
}

const session: SettingEffect = { action: 'session' };
const administer: SettingEffect = { action: 'administer' };

/**
 * Settings that concern nobody but the session itself. What is not here is for administrators: also `enable_*` and the planner's
 * costs, since whoever chooses the plan chooses by which index rows without an ORDER BY come out.
 */
const harmless: ReadonlySet<string> = new Set(
  `application_name search_path datestyle intervalstyle timezone seed extra_float_digits bytea_output xmlbinary xmloption
   lc_messages lc_monetary lc_numeric lc_time client_min_messages default_text_search_config
   statement_timeout lock_timeout idle_in_transaction_session_timeout idle_session_timeout transaction_timeout
   default_transaction_isolation default_transaction_deferrable transaction_isolation transaction_deferrable
   work_mem hash_mem_multiplier maintenance_work_mem temp_buffers effective_io_concurrency
   maintenance_io_concurrency max_parallel_workers_per_gather max_parallel_workers max_parallel_maintenance_workers parallel_leader_participation
   join_collapse_limit from_collapse_limit geqo geqo_threshold geqo_effort geqo_generations geqo_pool_size geqo_seed
   geqo_selection_bias constraint_exclusion default_statistics_target plan_cache_mode jit
   jit_above_cost jit_inline_above_cost jit_optimize_above_cost synchronous_commit synchronize_seqscans
   quote_all_identifiers check_function_bodies default_table_access_method default_toast_compression
   restrict_nonsystem_relation_kind row_security recursive_worktable_factor stats_fetch_consistency escape_string_warning
   gin_fuzzy_search_limit icu_validation_level`
    .trim()
    .split(/\s+/),
);

/** Settings that change what a statement's text or the session's identity means behind the gateway's back, with the values that change nothing. */
const pinned: { readonly [name: string]: { readonly same: ReadonlySet<string>; readonly why: string } | undefined } = {
  standard_conforming_strings: {
    same: new Set(['on', 'true', 'yes', '1', 't', 'y']),
    why: 'with standard_conforming_strings off, a string literal would end elsewhere than the gateway reads it',
  },
  backslash_quote: { same: new Set(['safe_encoding']), why: 'backslash_quote changes where a string literal ends' },
  client_encoding: {
    same: new Set(['utf8', 'utf-8', 'unicode']),
    why: 'the gateway reads statements and values as UTF-8; client_encoding has to stay UTF8',
  },
  names: { same: new Set(['utf8', 'utf-8', 'unicode']), why: 'client_encoding has to stay UTF8' },
};

/**
 * The effect of giving a setting this value. `name` undefined: it is computed when the statement runs; `value` undefined: it is
 * computed, or the setting goes back to its default. Row security stays either way: `row_security = off` raises an error where a policy would filter.
 */
export function settingEffect(name: string | undefined, value: string | undefined): SettingEffect {
  if (name === undefined)
    return { action: 'administer', forbidden: 'the name of the setting is computed, so nobody can tell what is set' };
  const setting = name.toLowerCase();
  const pin = pinned[setting];
  if (pin !== undefined) {
    const same = value !== undefined && pin.same.has(value.trim().toLowerCase());
    return same ? session : { action: 'administer', forbidden: pin.why };
  }
  if (setting === 'transaction_read_only' || setting === 'default_transaction_read_only') {
    return value !== undefined && /^(?:on|true|t|yes|y|1)$/i.test(value) ? session : { action: 'write' };
  }
  return harmless.has(setting) ? session : administer;
}

/** Settings whose value may hold a password, or a command of the server's that does. */
export function holdsSecrets(name: string): boolean {
  return secret.test(name);
}
const secret = /conninfo|passphrase|password(?!_encryption)|secret|token|api_?key|_command$|^ldap|^krb_/i;
