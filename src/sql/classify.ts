import { type Action, actions as actionOrder, type Classified, type Resource } from '../model/command.ts';
import { Findings, unsupported } from './findings.ts';
import { bareNames, type Names } from './names.ts';
import { type Fields, text } from './node.ts';
import type { Statement } from './parse.ts';
import { ruleFor, type StatementKind } from './statements.ts';

/** What one statement does; shared between equal statements: never mutate. */
export interface StatementInfo {
  readonly kind: StatementKind;
  readonly verb: string;
  /** Its own verb and those of the statements inside it. */
  readonly verbs: readonly string[];
  readonly actions: readonly Action[];
  readonly resources: readonly Resource[];
  readonly functions: readonly string[];
  readonly hasWhere: boolean;
  /** Of a prepared statement, cursor, savepoint, channel or setting; undefined for ALL. */
  readonly name?: string;
  /** The schema changes with it, so that a snapshot of the catalog is out of date afterwards. */
  readonly changesCatalog: boolean;
  /** All settings go back to what they were when the session began (RESET ALL, DISCARD ALL). */
  readonly resetsSettings: boolean;
  /** It may change the search_path (SET, RESET, set_config, DISCARD). */
  readonly changesSearchPath: boolean;
  /** Names, without schemas, of the tables and views that it makes (CREATE TABLE, … AS, VIEW, SELECT INTO). */
  readonly created: readonly string[];
  /** Everything it creates is temporary. */
  readonly temporary: boolean;
  /** Why the gateway cannot follow what comes after it: to be refused whatever policy says. */
  readonly forbidden?: string;
}

/** The command as policy sees it: all statements of one text together. */
export function classifyStatements(statements: readonly Statement[], names: Names = bareNames): Classified {
  return combine(statements.map((statement) => describeStatement(statement, names)));
}

/** Throws Refusal UNSUPPORTED for a kind of statement that nobody has looked at. */
export function describeStatement(statement: Statement, names: Names = bareNames): StatementInfo {
  const rule = ruleFor(statement.kind, statement.fields);
  if (rule === undefined) throw unsupported(statement.kind);
  const found = new Findings(names);
  found.statement(statement.kind, statement.fields);
  found.finish();
  const name = nameOf(statement.kind, statement.fields);
  return {
    kind: rule.kind,
    verb: rule.verb,
    verbs: [...found.verbs],
    actions: inOrder(found.actions),
    resources: [...found.resources.values()],
    functions: [...found.functions],
    hasWhere: found.hasWhere,
    ...(name === undefined ? {} : { name }),
    changesCatalog: found.actions.has('schemaChange') || found.changesCatalog,
    resetsSettings: found.resetsSettings,
    changesSearchPath: found.changesSearchPath,
    created: [...found.created],
    temporary: found.creates > 0 && found.creates === found.temporaries,
    ...(found.forbidden === undefined ? {} : { forbidden: found.forbidden }),
  };
}

/** Several statements as one command. The verb is that of the statement with the most severe action, the first of equals. */
export function combine(infos: readonly StatementInfo[]): Classified {
  const actions = inOrder(new Set(infos.flatMap((info) => info.actions)));
  const resources = new Map<string, Resource>();
  for (const info of infos)
    for (const item of info.resources) resources.set(`${item.type} ${item.access} ${item.id}`, item);
  let verb: string | undefined;
  let severity = -1;
  for (const info of infos) {
    const own = actionOrder.indexOf(info.actions.at(-1) ?? 'read');
    if (own > severity) [verb, severity] = [info.verb, own];
  }
  return {
    verb: verb ?? 'EMPTY',
    actions: actions.length > 0 ? actions : ['session'],
    resources: [...resources.values()],
    facts: {
      statements: infos.length,
      hasWhere: infos.every((info) => info.hasWhere),
      functions: [...new Set(infos.flatMap((info) => info.functions))],
      verbs: [...new Set(infos.flatMap((info) => info.verbs))],
    },
  };
}

function inOrder(found: ReadonlySet<Action>): readonly Action[] {
  return actionOrder.filter((action) => found.has(action));
}

/** The name that a statement gives to, or uses of, something of the session's. */
function nameOf(kind: string, fields: Fields): string | undefined {
  switch (kind) {
    case 'PrepareStmt':
    case 'ExecuteStmt':
    case 'DeallocateStmt':
    case 'VariableSetStmt':
    case 'VariableShowStmt':
      return text(fields.name);
    case 'DeclareCursorStmt':
    case 'FetchStmt':
    case 'ClosePortalStmt':
      return text(fields.portalname);
    case 'TransactionStmt':
      return text(fields.savepoint_name) ?? text(fields.gid);
    case 'ListenStmt':
    case 'UnlistenStmt':
    case 'NotifyStmt':
      return text(fields.conditionname);
    default:
      return undefined;
  }
}
