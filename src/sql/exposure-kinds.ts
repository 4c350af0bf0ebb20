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
