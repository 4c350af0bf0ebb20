import type { Resource } from '../model/command.ts';
import { as, type Fields, fieldsOf, listOf, namesIn, text } from './node.ts';

/** An object that a definition names as a list of strings rather than as a relation node. */
export interface NamedObject {
  readonly type: Resource['type'];
  readonly names: readonly string[];
}

const tables = new Set([
  'OBJECT_TABLE',
  'OBJECT_VIEW',
  'OBJECT_MATVIEW',
  'OBJECT_FOREIGN_TABLE',
  'OBJECT_SEQUENCE',
  'OBJECT_INDEX',
]);
const routines = new Set(['OBJECT_FUNCTION', 'OBJECT_PROCEDURE', 'OBJECT_ROUTINE', 'OBJECT_AGGREGATE']);
/** Objects that belong to a table, whose name comes before their own. */
const parts = new Set(['OBJECT_COLUMN', 'OBJECT_TRIGGER', 'OBJECT_RULE', 'OBJECT_POLICY', 'OBJECT_TABCONSTRAINT']);

/** What DROP, COMMENT, ALTER … OWNER, ALTER … SET SCHEMA, RENAME, SECURITY LABEL, GRANT and CREATE name outside relation nodes. */
export function objectResources(kind: string, fields: Fields): readonly NamedObject[] {
  switch (kind) {
    case 'DropStmt':
      return listOf(fields.objects).flatMap((object) => named(String(fields.removeType), object));
    case 'CommentStmt':
    case 'SecLabelStmt':
      return named(String(fields.objtype), fields.object);
    case 'AlterOwnerStmt':
    case 'AlterObjectSchemaStmt':
    case 'AlterObjectDependsStmt':
      return named(String(fields.objectType), fields.object);
    case 'RenameStmt':
      return [
        ...named(String(fields.renameType), fields.object),
        ...(fields.renameType === 'OBJECT_SCHEMA'
          ? [{ type: 'Schema' as const, names: [text(fields.subname) ?? ''] }]
          : []),
      ];
    case 'GrantStmt':
      // ON ALL TABLES IN SCHEMA names schemas.
      return listOf(fields.objects).flatMap((object) =>
        named(fields.targtype === 'ACL_TARGET_OBJECT' ? String(fields.objtype) : 'OBJECT_SCHEMA', object),
      );
    case 'CreateSchemaStmt':
      return [{ type: 'Schema', names: [text(fields.schemaname) ?? ''] }];
    case 'CreateFunctionStmt':
      return [{ type: 'Function', names: namesIn(fields.funcname) }];
    case 'AlterFunctionStmt':
      return [{ type: 'Function', names: namesIn(fieldsOf(fields.func)?.objname) }];
    default:
      return [];
  }
}

function named(type: string, object: unknown): readonly NamedObject[] {
  const names = objectNames(object);
  if (names.length === 0) return [];
  if (type === 'OBJECT_SCHEMA') return [{ type: 'Schema', names }];
  if (tables.has(type)) return [{ type: 'Table', names }];
  if (routines.has(type)) return [{ type: 'Function', names }];
  if (parts.has(type) && names.length > 1) return [{ type: 'Table', names: names.slice(0, -1) }];
  return [{ type: 'Object', names }];
}

function objectNames(object: unknown): readonly string[] {
  const single = text(as('String', object)?.sval);
  if (single !== undefined) return [single];
  const list = as('List', object);
  if (list !== undefined) return namesIn(list.items);
  return namesIn(as('ObjectWithArgs', object)?.objname ?? as('TypeName', object)?.names);
}

/** What a definition does besides defining. */
export interface DefinitionEffect {
  /** The relations it makes. */
  readonly created: readonly Fields[];
  readonly losesData: boolean;
  readonly administers: boolean;
  /** It installs or runs code that cannot be seen through. */
  readonly runsCode: boolean;
}

const administrativeChanges =
  /^AT_(?:ChangeOwner|EnableRowSecurity|DisableRowSecurity|ForceRowSecurity|NoForceRowSecurity|DisableTrig\w*|EnableReplicaTrig|EnableAlwaysTrig|DisableRule|EnableReplicaRule|EnableAlwaysRule|ReplicaIdentity|GenericOptions|AlterColumnGenericOptions)$/;

export function changedNames(kind: string, fields: Fields): DefinitionEffect {
  const created: Fields[] = [];
  let losesData = false;
  let administers = false;
  let runsCode = false;
  const relation = fieldsOf(fields.relation);
  if (kind === 'CreateStmt' && relation !== undefined) created.push(relation);
  if (kind === 'CreateForeignTableStmt') {
    const base = fieldsOf(fieldsOf(fields.base)?.relation);
    if (base !== undefined) created.push(base);
  }
  if (kind === 'ViewStmt') created.push(fieldsOf(fields.view) ?? {});
  if (kind === 'CreateTableAsStmt') created.push(fieldsOf(fieldsOf(fields.into)?.rel) ?? {});
  if (kind === 'AlterTableStmt') {
    for (const item of listOf(fields.cmds)) {
      const change = String(as('AlterTableCmd', item)?.subtype);
      losesData ||= change === 'AT_DropColumn';
      administers ||= administrativeChanges.test(change);
    }
  }
  if (kind === 'CreateFunctionStmt' || kind === 'AlterFunctionStmt') {
    const options = listOf(fields.options ?? fields.actions).map((option) => as('DefElem', option) ?? {});
    const language = options.find((option) => option.defname === 'language');
    const name = text(as('String', language?.arg)?.sval)?.toLowerCase() ?? 'sql';
    administers =
      options.some((option) => option.defname === 'security') ||
      name === 'c' ||
      name === 'internal' ||
      name.endsWith('u');
    runsCode = options.some((option) => option.defname === 'as');
  }
  if (kind === 'CreateTrigStmt') runsCode = true;
  return { created, losesData, administers, runsCode };
}
