import type { Hidden } from '../../../sql/hidden.ts';
import { holdsValues } from '../../../sql/system-relations.ts';
import type { TargetCatalog } from '../catalog.ts';
import { firstOwnOid, qualified } from '../schema.ts';
import { computes, isOpaqueBuiltin, opaqueTypes, trusts } from '../trusted-code.ts';

/** What a certificate must know of one relation. */
export interface KnownRelation {
  readonly name: string;
  /** Columns that hold, or are made of, what is hidden: attribute numbers. */
  readonly hidden: ReadonlySet<number>;
  /** Those whose values the gateway masks in a reply, by where the description says they come from. */
  readonly maskable: ReadonlySet<number>;
  /** What is hidden decides which rows it has. */
  readonly shaped: boolean;
  /** Writing to it runs code that nobody reviewed. */
  readonly runsCode: boolean;
}

/** What the server's OIDs mean, for one version of the schema and one set of hidden classifications. */
export interface Surroundings {
  /** Of the catalog that this was made from. */
  readonly version: string;
  /** Undefined for a relation that the catalog does not have. */
  relation(oid: number): KnownRelation | undefined;
  /** A relation of the server's own that holds copies of values. */
  isValueBearing(oid: number): boolean;
  /** Calling it by name only computes, or somebody vouches for it. */
  mayCall(oid: number): boolean;
  /** As part of an operator or a cast. */
  mayApply(functionOid: number): boolean;
  mayOperate(operatorOid: number): boolean;
  /** Making a value of the type runs code that nobody reviewed. */
  isOpaqueType(oid: number): boolean;
}

/** What came with the server, by OID: the same in every database of one server. */
export interface Builtins {
  readonly functions: readonly { readonly oid: number; readonly name: string }[];
  /** Functions that its operators and casts are made of. */
  readonly applied: readonly number[];
  readonly relations: readonly { readonly oid: number; readonly name: string }[];
}

/** What only depends on the schema. */
export interface KnownCode {
  readonly deniedCalls: ReadonlySet<number>;
  readonly applied: ReadonlySet<number>;
  readonly valueBearing: ReadonlySet<number>;
  readonly functions: ReadonlySet<number>;
  readonly operators: ReadonlySet<number>;
  readonly opaqueTypes: ReadonlySet<number>;
}

export function knownCode(
  { schema }: Pick<TargetCatalog, 'schema'>,
  builtins: Builtins,
  allowed: ReadonlySet<string>,
): KnownCode {
  return {
    deniedCalls: new Set(builtins.functions.filter(({ name }) => isOpaqueBuiltin(name)).map(({ oid }) => oid)),
    applied: new Set([
      ...builtins.applied,
      ...builtins.functions.filter(({ name }) => implied.has(name)).map(({ oid }) => oid),
    ]),
    valueBearing: new Set(builtins.relations.filter(({ name }) => holdsValues(name)).map(({ oid }) => oid)),
    functions: new Set(schema.functions.filter((code) => trusts(code, allowed)).map(({ oid }) => oid)),
    operators: new Set(schema.operators.filter(computes).map(({ oid }) => oid)),
    opaqueTypes: new Set(opaqueTypes(schema, allowed).keys()),
  };
}

/** What RANGE windows and TABLESAMPLE call by themselves. */
const implied: ReadonlySet<string> = new Set(['in_range', 'bernoulli', 'system']);

export function surroundingsOf(catalog: TargetCatalog, code: KnownCode, hidden: Hidden): Surroundings {
  const relations = new Map<number, KnownRelation>();
  const hides = (classification: string | undefined) =>
    classification !== undefined && hidden.classifications.has(classification);
  for (const relation of catalog.relations) {
    const maskable = new Set(
      relation.columns.filter(({ classification }) => hides(classification)).map(({ attnum }) => attnum),
    );
    const { derived } = relation;
    const from = derived?.classifications.some(hides) === true ? derived : undefined;
    const carried = relation.columns.filter(
      ({ name, classification }) =>
        classification === undefined && from !== undefined && (from.columns === 'all' || from.columns.includes(name)),
    );
    relations.set(relation.oid, {
      name: qualified(relation),
      hidden: new Set([...maskable, ...carried.map(({ attnum }) => attnum)]),
      maskable,
      shaped: from !== undefined && from.plain !== true,
      runsCode: relation.code !== undefined,
    });
  }
  const own = (oid: number) => oid >= firstOwnOid;
  return {
    version: catalog.version,
    relation: (oid) => relations.get(oid),
    isValueBearing: (oid) => code.valueBearing.has(oid),
    mayCall: (oid) => (own(oid) ? code.functions.has(oid) : oid > 0 && !code.deniedCalls.has(oid)),
    mayApply: (oid) => (own(oid) ? code.functions : code.applied).has(oid),
    mayOperate: (oid) => !own(oid) || code.operators.has(oid),
    isOpaqueType: (oid) => code.opaqueTypes.has(oid),
  };
}
