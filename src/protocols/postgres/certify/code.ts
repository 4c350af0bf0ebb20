import { firstOwnOid } from '../schema.ts';
import type { Surroundings } from './surroundings.ts';
import { isList, type Node } from './tree.ts';
import { atom, number, numbers, toNumber } from './values.ts';

/** The tree was read, and the statement must not run. */
export class NotCertified extends Error {
  /** Something in it is new: perhaps the schema is not what it was. */
  readonly doubtful: boolean;
  constructor(reason: string, doubtful = false) {
    super(reason);
    this.doubtful = doubtful;
  }
}

/** Fields that name a type whose values the node makes. */
const madeTypes: readonly string[] =
  `consttype paramtype resulttype funcresulttype opresulttype aggtype aggtranstype wintype typid
  array_typeid element_typeid row_typeid refrestype coltypes funccoltypes`.split(/\s+/);

/** Throws NotCertified where a node runs code that nobody vouches for. Adds functions of the database's own to `functions`. */
export function checkCode(node: Node, surroundings: Surroundings, functions: Set<number>): undefined {
  const called = (oid: number, may: boolean): undefined => {
    if (oid >= firstOwnOid) functions.add(oid);
    if (!may)
      throw new NotCertified(
        `it calls a function (OID ${oid}) that may read classified data, and the gateway cannot see through it`,
        oid >= firstOwnOid,
      );
  };
  const operator = (oid: number): undefined => {
    if (!surroundings.mayOperate(oid))
      throw new NotCertified(`the operator with OID ${oid} may run code that the gateway cannot see through`, true);
  };
  switch (node.kind) {
    case 'FUNCEXPR': {
      const oid = number(node, 'funcid');
      // 1 and 2: a cast that was written, and one that was not.
      const cast = atom(node, 'funcformat') === '1' || atom(node, 'funcformat') === '2';
      called(oid, cast ? surroundings.mayApply(oid) : surroundings.mayCall(oid));
      break;
    }
    case 'AGGREF':
      called(number(node, 'aggfnoid'), surroundings.mayCall(number(node, 'aggfnoid')));
      break;
    case 'WINDOWFUNC':
      called(number(node, 'winfnoid'), surroundings.mayCall(number(node, 'winfnoid')));
      break;
    case 'OPEXPR':
    case 'DISTINCTEXPR':
    case 'NULLIFEXPR':
    case 'SCALARARRAYOPEXPR':
      operator(number(node, 'opno'));
      // That of an operator is vouched for with it; one without is not looked up yet.
      if (number(node, 'opno') < firstOwnOid) {
        const oid = number(node, 'opfuncid');
        if (oid > 0) called(oid, surroundings.mayApply(oid));
      }
      break;
    case 'ROWCOMPAREEXPR':
      for (const oid of numbers(node.fields.opnos, 'o')) operator(oid);
      break;
    case 'SORTGROUPCLAUSE':
      operator(number(node, 'eqop'));
      operator(number(node, 'sortop'));
      break;
    case 'CTECYCLECLAUSE':
      operator(number(node, 'cycle_mark_neop'));
      break;
    case 'WINDOWCLAUSE':
      for (const name of ['startInRangeFunc', 'endInRangeFunc'])
        if (number(node, name) > 0) called(number(node, name), surroundings.mayApply(number(node, name)));
      break;
    case 'TABLESAMPLECLAUSE':
      called(number(node, 'tsmhandler'), surroundings.mayApply(number(node, 'tsmhandler')));
      break;
    case 'SETTODEFAULT':
      throw new NotCertified('it uses a default that the server has not worked out');
  }
  for (const name of madeTypes) {
    const value = node.fields[name];
    if (value === undefined || value === '<>') continue;
    const oids = isList(value) ? numbers(value, 'o') : [toNumber(value)];
    for (const oid of oids)
      if (surroundings.isOpaqueType(oid))
        throw new NotCertified(`a type (OID ${oid}) may run code that the gateway cannot see through`);
  }
}
