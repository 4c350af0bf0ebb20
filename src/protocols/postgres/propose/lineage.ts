import type { Classification } from '../classification.ts';
import { qualified, type Schema, type SchemaRelation } from '../schema.ts';
import { type Candidate, type Finding, keyOf } from './candidate.ts';
import type { Copy } from './copies.ts';

/** A foreign key, one column of it; both ends as `keyOf`. */
export interface Reference {
  readonly from: string;
  readonly to: string;
}

const mostRounds = 5;
/** Somebody else's name or value says less of a column than its own. */
const byReference = 0.97;
const byCopy = 0.9;
const byComputing = 0.7;
/** What is less sure than this tells nothing about others. */
const sureEnough = 0.5;

interface Known {
  readonly classification: string;
  readonly confidence: number;
  readonly name: string;
}

/**
 * Adds what follows from the rest: columns that refer to classified ones or are referred to by them, and columns of copies.
 * Leaves out what needs no entry, because it is classified by itself once the others are: generated columns, and columns of
 * views that only pick one. `hypothesis` is what would be classified then.
 */
export function spread(
  schema: Schema,
  classified: Classification,
  candidates: readonly Candidate[],
  direct: readonly Finding[],
  references: readonly Reference[],
  copies: readonly Copy[],
  hypothesis: (findings: readonly Finding[]) => Classification,
): readonly Finding[] {
  const byKey = new Map(candidates.map((candidate) => [keyOf(candidate.relation.oid, candidate.attnum), candidate]));
  const found = new Map(direct.map((finding) => [keyOfFinding(finding), finding]));
  const byOid = new Map(schema.relations.map((relation) => [relation.oid, relation]));
  const known = (key: string): Known | undefined => knownOf(key, byOid, classified, found);
  const add = (key: string, from: Known | undefined, factor: number, reason: (name: string) => string) => {
    const candidate = byKey.get(key);
    if (candidate === undefined || from === undefined || from.confidence < sureEnough) return false;
    const confidence = from.confidence * factor;
    const before = found.get(key);
    if (before !== undefined && before.confidence >= confidence) return false;
    const reasons = [reason(from.name), ...(before?.reasons ?? [])];
    found.set(key, { candidate, classification: from.classification, confidence, reasons });
    return true;
  };
  for (let round = 0, grew = true; grew && round < mostRounds; round++) {
    grew = false;
    for (const { from, to } of references) {
      grew = add(from, known(to), byReference, (name) => `refers to ${name}`) || grew;
      grew = add(to, known(from), byReference, (name) => `${name} refers to it`) || grew;
    }
  }
  for (const { copy, of } of copies)
    for (const { attnum, name } of copy.columns) {
      const original = of.columns.find((column) => column.name === name);
      if (original !== undefined)
        add(
          keyOf(copy.oid, attnum),
          known(keyOf(of.oid, original.attnum)),
          byCopy,
          (from) => `seems to be a copy of ${from}`,
        );
    }
  return needed(schema, [...found.values()], hypothesis);
}

function knownOf(
  key: string,
  relations: ReadonlyMap<number, SchemaRelation>,
  { columns }: Classification,
  found: ReadonlyMap<string, Finding>,
): Known | undefined {
  const finding = found.get(key);
  if (finding !== undefined) {
    const { candidate, classification, confidence } = finding;
    return { classification, confidence, name: `${qualified(candidate.relation)}.${candidate.column}` };
  }
  const [oid, attnum] = key.split('.').map(Number) as [number, number];
  const classification = columns.get(oid)?.get(attnum);
  if (classification === undefined) return undefined;
  const relation = relations.get(oid);
  const column = relation?.columns.find((one) => one.attnum === attnum);
  const name = relation === undefined ? key : `${qualified(relation)}.${column?.name ?? attnum}`;
  return { classification, confidence: 1, name };
}

function needed(
  schema: Schema,
  findings: readonly Finding[],
  hypothesis: (findings: readonly Finding[]) => Classification,
): readonly Finding[] {
  const generated = new Set(schema.generated.map(({ relation, column }) => keyOf(relation, column)));
  const follows = (finding: Finding) => {
    const { kind } = finding.candidate.relation;
    return kind === 'v' || kind === 'm' || generated.has(keyOfFinding(finding));
  };
  const first = findings.filter((finding) => !follows(finding));
  const then = hypothesis(first);
  const rest = findings.filter(follows).flatMap((finding) => {
    const { relation, attnum } = finding.candidate;
    if (then.columns.get(relation.oid)?.has(attnum) === true) return [];
    const factor = relation.kind === 'v' ? byComputing : 1;
    return [{ ...finding, confidence: finding.confidence * factor }];
  });
  return [...first, ...rest];
}

function keyOfFinding({ candidate }: Finding): string {
  return keyOf(candidate.relation.oid, candidate.attnum);
}
