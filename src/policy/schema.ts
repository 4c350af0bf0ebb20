import { actions } from '../model/command.ts';

/** Actions on commands, as policies name them: `Action::"read"`; all of them are in `Action::"command"`. */
export const commandActions = actions;
export type CommandAction = (typeof actions)[number];

/** Everything that is ever asked. */
export type AskedAction = CommandAction | 'connect' | 'reveal' | 'approve' | 'review' | 'configure';

/** What commands touch, finest last. `Target` stands for commands that touch nothing in particular. */
export const resourceTypes = [
  'Target',
  'Schema',
  'Table',
  'Column',
  'Function',
  'Object',
  'Repository',
  'Ref',
  'Path',
  'Host',
] as const;

/**
 * The vocabulary of every policy, in Cedar's schema language (docs.cedarpolicy.com, “Human-readable schema format”).
 * docs/policies.md explains it to authors. A principal's display name is left out on purpose: it proves nothing. Tags hold what a configuration names freely: claims of a principal, labels of a target.
 */
export const schemaText = `
entity Group;

entity Principal in [Group] = {
  id: String,
  kind: String,
  issuer: String,
  subject: String,
  owner?: String,
} tags String;

entity Gateway;
entity Target = { name: String, protocol: String } tags String;
entity Schema in [Target] = { name: String };
entity Table in [Schema, Target] = { name: String, schema: String };
entity Column in [Table, Schema, Target] = { name: String, table: String };
entity Function in [Schema, Target] = { name: String };
entity Object in [Target] = { name: String };
entity Repository in [Target] = { name: String };
entity Ref in [Repository, Target] = { name: String, repository: String, ref: String };
entity Path in [Target] = { name: String };
entity Host in [Target] = { name: String };

entity Classification in [Classification] = { name: String };

entity ApprovalRequest in [Target] = {
  rule: String,
  verb: String,
  requester: String,
  requesterKind: String,
  requesterOwner?: String,
  approvers: Set<String>,
};

type Command = {
  target: Target,
  protocol: String,
  verb: String,
  verbs: Set<String>,
  actions: Set<String>,
  statements: Long,
  hasWhere: Bool,
  functions: Set<String>,
  findings: Set<String>,
  fields: Set<String>,
  values: Set<String>,
  grants: Set<String>,
};

action command;
action change in [command];
action read, session, export in [command] appliesTo { principal: Principal, resource: [${resourceTypes.join(', ')}], context: Command };
action write, bulkWrite, execute, schemaChange, destroy, administer in [change, command] appliesTo {
  principal: Principal,
  resource: [${resourceTypes.join(', ')}],
  context: Command,
};

action connect appliesTo { principal: Principal, resource: Target, context: { target: Target, protocol: String } };
action reveal appliesTo {
  principal: Principal,
  resource: Classification,
  context: { target: Target, protocol: String, grants: Set<String> },
};
action approve appliesTo { principal: Principal, resource: ApprovalRequest, context: { target: Target } };
action review, configure appliesTo { principal: Principal, resource: Gateway };
`;
