import { as, type Fields, listOf, namesIn } from './node.ts';

/** Statements that read no rows: they concern the session, roles, locks, or whole objects. */
export const readsNoRows: ReadonlySet<string> = new Set(
  `TransactionStmt VariableSetStmt VariableShowStmt DiscardStmt ConstraintsSetStmt DeallocateStmt ClosePortalStmt ListenStmt
   UnlistenStmt NotifyStmt LockStmt DropStmt TruncateStmt CommentStmt VacuumStmt ReindexStmt ClusterStmt CheckPointStmt
   RefreshMatViewStmt GrantStmt GrantRoleStmt AlterDefaultPrivilegesStmt CreateRoleStmt AlterRoleStmt AlterRoleSetStmt
   DropRoleStmt DropOwnedStmt ReassignOwnedStmt AlterSystemStmt CreatedbStmt DropdbStmt AlterDatabaseStmt
   AlterDatabaseSetStmt AlterDatabaseRefreshCollStmt CreateTableSpaceStmt DropTableSpaceStmt AlterTableSpaceOptionsStmt
   AlterTableMoveAllStmt AlterOwnerStmt DropUserMappingStmt DropSubscriptionStmt SecLabelStmt`
    .trim()
    .split(/\s+/),
);

/** Definitions whose expressions and sub-queries are all in the syntax tree. */
export const transparentDefinitions: ReadonlySet<string> = new Set(
  `CreateStmt CreateTableAsStmt CreateSchemaStmt CreateSeqStmt AlterSeqStmt CreateStatsStmt AlterStatsStmt CreateDomainStmt
   AlterDomainStmt CreateEnumStmt AlterEnumStmt CompositeTypeStmt CreatePolicyStmt AlterPolicyStmt IndexStmt ViewStmt
   RenameStmt AlterObjectSchemaStmt AlterTableStmt AlterTypeStmt`
    .trim()
    .split(/\s+/),
);

/** Definitions after which a relation, column or type may be known by another name, or be part of another relation. */
export const reshapes: ReadonlySet<string> = new Set([
  'RenameStmt',
  'AlterObjectSchemaStmt',
  'CreateDomainStmt',
  'AlterDomainStmt',
  'AlterTypeStmt',
]);

/** Changes of a table that move it, or its columns, to where the catalog snapshot does not see them. */
export const reshapingChanges: ReadonlySet<string> = new Set([
  'AT_AttachPartition',
  'AT_DetachPartition',
  'AT_DetachPartitionFinalize',
  'AT_AddInherit',
  'AT_DropInherit',
  'AT_AddOf',
]);

/** The select list of such a query has no effect on whether there is a row: it groups, leaves out and skips none by it. */
export function isPlainSelect(select: Fields): boolean {
  return (
    select.op === 'SETOP_NONE' &&
    select.distinctClause === undefined &&
    select.groupClause === undefined &&
    select.havingClause === undefined &&
    select.limitOffset === undefined
  );
}

export function isReshapingTable(kind: string, fields: Fields): boolean {
  if (kind === 'CreateStmt') return listOf(fields.inhRelations).length > 0 || fields.partbound !== undefined;
  if (kind !== 'AlterTableStmt') return false;
  return listOf(fields.cmds).some((item) => reshapingChanges.has(String(as('AlterTableCmd', item)?.subtype)));
}

/** The names under which functions in FROM can be referred to when they have no alias. */
export function functionNames(fields: Fields): readonly string[] {
  const names: string[] = [];
  for (const item of listOf(fields.functions)) {
    for (const part of listOf(as('List', item)?.items)) {
      const call = as('FuncCall', part);
      if (call !== undefined) names.push(namesIn(call.funcname).at(-1) ?? '');
    }
  }
  return names;
}
