/** What a column's type lets it hold, as far as it matters for what it may mean. */
export type ValueType =
  | 'text'
  | 'number'
  | 'date'
  | 'instant'
  | 'network'
  | 'hardware'
  | 'document'
  | 'bytes'
  | 'flag'
  | 'other';

const byOid: ReadonlyMap<number, ValueType> = new Map(
  Object.entries({
    text: [18, 19, 25, 1042, 1043, 1002, 1003, 1009, 1014, 1015],
    number: [20, 21, 23, 700, 701, 790, 1700, 1005, 1007, 1016, 1021, 1022, 1231],
    date: [1082, 1182],
    instant: [1083, 1114, 1184, 1186, 1266, 1115, 1185],
    network: [650, 869, 651, 1041],
    hardware: [774, 829, 775, 1040],
    document: [114, 142, 199, 3802, 3807],
    bytes: [17, 1001],
    flag: [16, 1000],
    other: [26, 600, 601, 602, 603, 604, 628, 718, 2950, 2951, 3614, 3615],
  } satisfies Record<ValueType, readonly number[]>).flatMap(([type, oids]) =>
    oids.map((oid) => [oid, type as ValueType] as const),
  ),
);

/** Of a type by its OID in pg_type. One that did not come with the server (a domain, citext) is taken for text. */
export function valueTypeOf(typeOid: number): ValueType {
  return byOid.get(typeOid) ?? (typeOid >= 16_384 ? 'text' : 'other');
}

const arrays: ReadonlySet<number> = new Set([
  1001, 1002, 1003, 1009, 1014, 1015, 199, 3807, 1000, 1005, 1007, 1016, 1021, 1022, 1231,
]);

export function isArray(typeOid: number): boolean {
  return arrays.has(typeOid);
}
