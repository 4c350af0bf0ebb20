import type { Recognise } from '../../../gateway/protocol.ts';
import { Refusal } from '../../../model/errors.ts';
import type { QueryConnection, Row } from '../query-connection.ts';
import type { SchemaRelation } from '../schema.ts';
import { keyOf } from './candidate.ts';
import { type Evidence, evidenceOf } from './evidence.ts';
import { maxRows, sample } from './queries.ts';
import type { Source } from './sources.ts';

export interface Sampled {
  readonly evidence: ReadonlyMap<string, Evidence>;
  /** Relations of which no sample could be had, and the server's code for why: 42501, 55P03. */
  readonly failed: readonly { readonly relation: SchemaRelation; readonly code: string }[];
  /** Relations whose turn did not come within the time. */
  readonly left: readonly SchemaRelation[];
}

export interface SamplerDeps {
  /** A connection of our own; a query that fails ends it, and the next gets another. */
  open(): Promise<QueryConnection>;
  readonly recognise: Recognise;
  /** For each question, ms. */
  readonly timeoutMs: number;
  readonly deadline: AbortSignal;
}

const mostFailures = 20;

/** Looks at one source after the other: nobody else at the server should notice. Values are counted at once and not kept. */
export async function sampleAll(sources: readonly Source[], deps: SamplerDeps): Promise<Sampled> {
  const evidence = new Map<string, Evidence>();
  const failed: { relation: SchemaRelation; code: string }[] = [];
  const left = new Set<SchemaRelation>();
  let connection: QueryConnection | undefined;
  try {
    for (const source of sources) {
      if (deps.deadline.aborted || failed.length >= mostFailures) {
        left.add(source.relation);
        continue;
      }
      if (connection?.usable !== true) connection = await deps.open();
      const rows = await rowsOf(connection, source, deps.timeoutMs);
      if (typeof rows === 'string') failed.push({ relation: source.relation, code: rows });
      else
        for (const [at, candidate] of source.columns.entries()) {
          const values = rows.map((row) => row[at]);
          evidence.set(keyOf(candidate.relation.oid, candidate.attnum), evidenceOf(candidate, values, deps.recognise));
        }
    }
  } finally {
    connection?.close();
  }
  return { evidence, failed, left: [...left] };
}

/** Rows, or the code with which the server said no. What it wrote besides may quote values, and is dropped. */
async function rowsOf(
  connection: QueryConnection,
  source: Source,
  timeoutMs: number,
): Promise<readonly Row[] | string> {
  try {
    const rows = await connection.run(sample(source), timeoutMs);
    // A few pages of a large table may all be empty.
    if (rows.length >= maxRows / 5 || sample(source) === sample(source, true)) return rows;
    return await connection.run(sample(source, true), timeoutMs);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return /\(([0-9A-Z]{5})\)$/.exec(error.message)?.[1] ?? 'no answer';
  }
}
