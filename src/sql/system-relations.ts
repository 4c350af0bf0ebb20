const valueBearing =
  /^(?:pg_statistic|pg_statistic_ext_data|pg_stats|pg_stats_ext|pg_stats_ext_exprs|pg_largeobject|pg_toast_\d.*|pg_stat_activity|pg_stat_statements|pg_stat_monitor)$/;
const administrative =
  /^(?:pg_authid|pg_shadow|_?pg_user_mapping|_?pg_user_mappings|user_mapping_options|pg_hba_file_rules|pg_ident_file_mappings|pg_file_settings|pg_subscription|pg_stat_subscription|pg_replication_origin|pg_replication_origin_status|pg_replication_slots|pg_stat_replication|pg_stat_wal_receiver|pg_stat_ssl|pg_stat_gssapi|pg_shmem_allocations|pg_backend_memory_contexts|pg_config)$/;

/** Schemas that belong to the server itself. */
export function isSystemSchema(schema: string): boolean {
  return schema === 'pg_catalog' || schema === 'information_schema' || schema === 'pg_toast';
}

/** An unqualified name that the server looks up in pg_catalog first. */
export function isSystemName(name: string): boolean {
  return name.startsWith('pg_');
}

/** System relations that hold copies of other people's values: column statistics, statement texts, large objects, oversized values. */
export function holdsValues(name: string): boolean {
  return valueBearing.test(name);
}

/** System relations that are for administrators: secrets, other sessions, and everything in `holdsValues`. */
export function isForAdministrators(name: string): boolean {
  return valueBearing.test(name) || administrative.test(name);
}
