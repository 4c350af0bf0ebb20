import type { Action } from '../model/command.ts';
import type { Fields } from './node.ts';

/** What a protocol's front has to know of a statement's place in the conversation. */
export type StatementKind =
  | 'query'
  | 'dml'
  | 'ddl'
  | 'admin'
  | 'begin'
  | 'commit'
  | 'rollback'
  | 'savepoint'
  | 'release'
  | 'rollbackTo'
  | 'twoPhase'
  | 'copyIn'
  | 'copyOut'
  | 'copyServer'
  | 'set'
  | 'reset'
  | 'show'
  | 'discard'
  | 'prepare'
  | 'execute'
  | 'deallocate'
  | 'declare'
  | 'fetch'
  | 'close'
  | 'listen'
  | 'unlisten'
  | 'notify'
  | 'lock'
  | 'explain'
  | 'call'
  | 'do';

/** What a kind of statement is and does by itself; what is nested inside adds to it. */
export interface StatementRule {
  readonly verb: string;
  readonly kind: StatementKind;
  readonly actions: readonly Action[];
}

const rule = (verb: string, kind: StatementKind, ...actions: Action[]): StatementRule => ({ verb, kind, actions });
const ddl = (verb: string, ...more: Action[]): StatementRule => rule(verb, 'ddl', 'schemaChange', ...more);
const admin = (verb: string, ...more: Action[]): StatementRule => rule(verb, 'admin', 'administer', ...more);

/** Every kind of statement that is let through at all. Those whose effect depends on their fields are refined in classify.ts. */
export const statementRules: { readonly [kind: string]: StatementRule | undefined } = {
  SelectStmt: rule('SELECT', 'query'),
  InsertStmt: rule('INSERT', 'dml', 'write'),
  UpdateStmt: rule('UPDATE', 'dml'),
  DeleteStmt: rule('DELETE', 'dml'),
  MergeStmt: rule('MERGE', 'dml'),
  ReturnStmt: rule('RETURN', 'query'),
  CopyStmt: rule('COPY', 'copyServer'),
  TruncateStmt: rule('TRUNCATE', 'ddl', 'destroy'),
  CallStmt: rule('CALL', 'call', 'execute'),
  DoStmt: rule('DO', 'do', 'execute'),
  ExplainStmt: rule('EXPLAIN', 'explain', 'read'),

  VariableSetStmt: rule('SET', 'set'),
  VariableShowStmt: rule('SHOW', 'show', 'session'),
  TransactionStmt: rule('BEGIN', 'begin', 'session'),
  DiscardStmt: rule('DISCARD', 'discard', 'session'),
  ConstraintsSetStmt: rule('SET CONSTRAINTS', 'set', 'session'),
  PrepareStmt: rule('PREPARE', 'prepare', 'session'),
  ExecuteStmt: rule('EXECUTE', 'execute', 'execute'),
  DeallocateStmt: rule('DEALLOCATE', 'deallocate', 'session'),
  DeclareCursorStmt: rule('DECLARE', 'declare', 'session'),
  FetchStmt: rule('FETCH', 'fetch', 'read'),
  ClosePortalStmt: rule('CLOSE', 'close', 'session'),
  ListenStmt: rule('LISTEN', 'listen', 'session'),
  UnlistenStmt: rule('UNLISTEN', 'unlisten', 'session'),
  NotifyStmt: rule('NOTIFY', 'notify', 'session'),
  LockStmt: rule('LOCK', 'lock'),

  CreateStmt: ddl('CREATE TABLE'),
  CreateTableAsStmt: ddl('CREATE TABLE'),
  CreateForeignTableStmt: ddl('CREATE FOREIGN TABLE', 'administer'),
  CreateSchemaStmt: ddl('CREATE SCHEMA'),
  CreateSeqStmt: ddl('CREATE SEQUENCE'),
  CreateStatsStmt: ddl('CREATE STATISTICS'),
  CreateDomainStmt: ddl('CREATE DOMAIN'),
  CreateEnumStmt: ddl('CREATE TYPE'),
  CreateRangeStmt: ddl('CREATE TYPE'),
  CompositeTypeStmt: ddl('CREATE TYPE'),
  CreateFunctionStmt: ddl('CREATE FUNCTION'),
  CreateTrigStmt: ddl('CREATE TRIGGER'),
  CreatePolicyStmt: ddl('CREATE POLICY', 'administer'),
  CreateCastStmt: ddl('CREATE CAST', 'administer'),
  CreateConversionStmt: ddl('CREATE CONVERSION', 'administer'),
  CreateTransformStmt: ddl('CREATE TRANSFORM', 'administer'),
  CreateOpClassStmt: ddl('CREATE OPERATOR CLASS', 'administer'),
  CreateOpFamilyStmt: ddl('CREATE OPERATOR FAMILY', 'administer'),
  DefineStmt: ddl('CREATE'),
  IndexStmt: ddl('CREATE INDEX'),
  RuleStmt: ddl('CREATE RULE'),
  ViewStmt: ddl('CREATE VIEW'),
  RefreshMatViewStmt: rule('REFRESH MATERIALIZED VIEW', 'ddl', 'write'),
  DropStmt: ddl('DROP', 'destroy'),
  CommentStmt: ddl('COMMENT'),
  RenameStmt: ddl('ALTER'),
  AlterTableStmt: ddl('ALTER TABLE'),
  AlterObjectSchemaStmt: ddl('ALTER'),
  AlterObjectDependsStmt: ddl('ALTER'),
  AlterOwnerStmt: ddl('ALTER', 'administer'),
  AlterOperatorStmt: ddl('ALTER OPERATOR', 'administer'),
  AlterOpFamilyStmt: ddl('ALTER OPERATOR FAMILY', 'administer'),
  AlterTypeStmt: ddl('ALTER TYPE'),
  AlterEnumStmt: ddl('ALTER TYPE'),
  AlterDomainStmt: ddl('ALTER DOMAIN'),
  AlterSeqStmt: ddl('ALTER SEQUENCE'),
  AlterStatsStmt: ddl('ALTER STATISTICS'),
  AlterFunctionStmt: ddl('ALTER FUNCTION'),
  AlterPolicyStmt: ddl('ALTER POLICY', 'administer'),
  AlterCollationStmt: ddl('ALTER COLLATION'),
  AlterTSConfigurationStmt: ddl('ALTER TEXT SEARCH CONFIGURATION'),
  AlterTSDictionaryStmt: ddl('ALTER TEXT SEARCH DICTIONARY'),
  AlterTableMoveAllStmt: ddl('ALTER TABLE', 'administer'),

  GrantStmt: admin('GRANT'),
  GrantRoleStmt: admin('GRANT'),
  AlterDefaultPrivilegesStmt: admin('ALTER DEFAULT PRIVILEGES'),
  CreateRoleStmt: admin('CREATE ROLE'),
  AlterRoleStmt: admin('ALTER ROLE'),
  AlterRoleSetStmt: admin('ALTER ROLE'),
  DropRoleStmt: admin('DROP ROLE', 'destroy'),
  DropOwnedStmt: admin('DROP OWNED', 'destroy'),
  ReassignOwnedStmt: admin('REASSIGN OWNED'),
  SecLabelStmt: admin('SECURITY LABEL'),
  AlterSystemStmt: admin('ALTER SYSTEM'),
  CreatedbStmt: admin('CREATE DATABASE'),
  DropdbStmt: admin('DROP DATABASE', 'destroy'),
  AlterDatabaseStmt: admin('ALTER DATABASE'),
  AlterDatabaseSetStmt: admin('ALTER DATABASE'),
  AlterDatabaseRefreshCollStmt: admin('ALTER DATABASE'),
  CreateTableSpaceStmt: admin('CREATE TABLESPACE'),
  DropTableSpaceStmt: admin('DROP TABLESPACE', 'destroy'),
  AlterTableSpaceOptionsStmt: admin('ALTER TABLESPACE'),
  CreateExtensionStmt: admin('CREATE EXTENSION', 'schemaChange'),
  AlterExtensionStmt: admin('ALTER EXTENSION', 'schemaChange'),
  AlterExtensionContentsStmt: admin('ALTER EXTENSION', 'schemaChange'),
  CreateFdwStmt: admin('CREATE FOREIGN DATA WRAPPER'),
  AlterFdwStmt: admin('ALTER FOREIGN DATA WRAPPER'),
  CreateForeignServerStmt: admin('CREATE SERVER'),
  AlterForeignServerStmt: admin('ALTER SERVER'),
  CreateUserMappingStmt: admin('CREATE USER MAPPING'),
  AlterUserMappingStmt: admin('ALTER USER MAPPING'),
  DropUserMappingStmt: admin('DROP USER MAPPING', 'destroy'),
  ImportForeignSchemaStmt: admin('IMPORT FOREIGN SCHEMA', 'schemaChange'),
  CreateAmStmt: admin('CREATE ACCESS METHOD'),
  CreateEventTrigStmt: admin('CREATE EVENT TRIGGER', 'schemaChange'),
  AlterEventTrigStmt: admin('ALTER EVENT TRIGGER', 'schemaChange'),
  CreatePLangStmt: admin('CREATE LANGUAGE'),
  CreatePublicationStmt: admin('CREATE PUBLICATION'),
  AlterPublicationStmt: admin('ALTER PUBLICATION'),
  CreateSubscriptionStmt: admin('CREATE SUBSCRIPTION'),
  AlterSubscriptionStmt: admin('ALTER SUBSCRIPTION'),
  DropSubscriptionStmt: admin('DROP SUBSCRIPTION', 'destroy'),
  LoadStmt: admin('LOAD', 'execute'),
  CheckPointStmt: admin('CHECKPOINT'),
  ClusterStmt: admin('CLUSTER'),
  ReindexStmt: admin('REINDEX'),
  VacuumStmt: admin('VACUUM'),
};

const transactionKinds: { readonly [kind: string]: StatementRule | undefined } = {
  TRANS_STMT_BEGIN: rule('BEGIN', 'begin', 'session'),
  TRANS_STMT_START: rule('BEGIN', 'begin', 'session'),
  TRANS_STMT_COMMIT: rule('COMMIT', 'commit', 'session'),
  TRANS_STMT_ROLLBACK: rule('ROLLBACK', 'rollback', 'session'),
  TRANS_STMT_SAVEPOINT: rule('SAVEPOINT', 'savepoint', 'session'),
  TRANS_STMT_RELEASE: rule('RELEASE', 'release', 'session'),
  TRANS_STMT_ROLLBACK_TO: rule('ROLLBACK TO', 'rollbackTo', 'session'),
  // A prepared transaction keeps its locks after the session has ended, and any session can finish it.
  TRANS_STMT_PREPARE: rule('PREPARE TRANSACTION', 'twoPhase', 'administer'),
  TRANS_STMT_COMMIT_PREPARED: rule('COMMIT PREPARED', 'twoPhase', 'administer'),
  TRANS_STMT_ROLLBACK_PREPARED: rule('ROLLBACK PREPARED', 'twoPhase', 'administer'),
};

/** Objects that are dropped, altered or created by administrators. */
const administrativeObjects =
  /^OBJECT_(?:ACCESS_METHOD|CAST|CONVERSION|DATABASE|EVENT_TRIGGER|EXTENSION|FDW|FOREIGN_SERVER|LANGUAGE|OPCLASS|OPFAMILY|OPERATOR|POLICY|PUBLICATION|ROLE|SUBSCRIPTION|TABLESPACE|TRANSFORM|USER_MAPPING|PARAMETER_ACL)$/;

/** The rule for one statement; undefined when nobody has looked at its kind. */
export function ruleFor(kind: string, fields: Fields): StatementRule | undefined {
  const base = statementRules[kind];
  if (base === undefined) return undefined;
  switch (kind) {
    case 'TransactionStmt':
      return transactionKinds[String(fields.kind)];
    case 'DropStmt':
      return object(base, 'DROP', fields.removeType);
    case 'RenameStmt':
      return object(base, 'ALTER', fields.renameType === 'OBJECT_COLUMN' ? fields.relationType : fields.renameType);
    case 'AlterObjectSchemaStmt':
    case 'AlterOwnerStmt':
      return object(base, 'ALTER', fields.objectType);
    case 'DefineStmt':
      return object(base, 'CREATE', fields.kind);
    case 'CreateTableAsStmt':
      return fields.objtype === 'OBJECT_MATVIEW' ? ddl('CREATE MATERIALIZED VIEW') : base;
    case 'AlterTableStmt':
      return object(base, 'ALTER', fields.objtype);
    case 'GrantStmt':
    case 'GrantRoleStmt':
      return fields.is_grant === true ? base : { ...base, verb: 'REVOKE' };
    case 'VariableSetStmt':
      return String(fields.kind).startsWith('VAR_RESET') ? { ...base, verb: 'RESET', kind: 'reset' } : base;
    case 'FetchStmt':
      return fields.ismove === true ? { ...base, verb: 'MOVE' } : base;
    case 'VacuumStmt':
      return fields.is_vacuumcmd === true ? base : rule('ANALYZE', 'admin', 'write');
    case 'LockStmt':
      // Modes 1 and 2 (ACCESS SHARE, ROW SHARE) stop nobody from reading and writing rows.
      return { ...base, actions: [Number(fields.mode) <= 2 ? 'read' : 'write'] };
    case 'CopyStmt':
      return copyRule(fields);
    default:
      return base;
  }
}

function object(base: StatementRule, verb: string, type: unknown): StatementRule {
  const actions: readonly Action[] = administrativeObjects.test(String(type))
    ? [...base.actions, 'administer']
    : base.actions;
  return { ...base, actions, verb: `${verb} ${objectWord(String(type))}` };
}

/** `OBJECT_MATVIEW` → `MATERIALIZED VIEW`. */
function objectWord(type: string): string {
  const words: { readonly [type: string]: string | undefined } = {
    OBJECT_MATVIEW: 'MATERIALIZED VIEW',
    OBJECT_FDW: 'FOREIGN DATA WRAPPER',
    OBJECT_FOREIGN_SERVER: 'SERVER',
    OBJECT_TABCONSTRAINT: 'TABLE',
    OBJECT_DOMCONSTRAINT: 'DOMAIN',
    OBJECT_ATTRIBUTE: 'TYPE',
  };
  return words[type] ?? type.replace(/^OBJECT_/, '').replaceAll('_', ' ');
}

function copyRule(fields: Fields): StatementRule {
  const server = fields.is_program === true || fields.filename !== undefined;
  const from = fields.is_from === true;
  const actions: Action[] = from ? ['write'] : ['read', 'export'];
  if (server) actions.push('execute', 'administer');
  return { verb: from ? 'COPY FROM' : 'COPY TO', kind: server ? 'copyServer' : from ? 'copyIn' : 'copyOut', actions };
}
