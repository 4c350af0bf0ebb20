import { setImmediate } from 'node:timers/promises';
import type { Gateway, Proposal, Recognise } from '../../../gateway/protocol.ts';
import type { Target } from '../../../model/target.ts';
import { type Classification, classify } from '../classification.ts';
import { QueryConnection } from '../query-connection.ts';
import type { Schema } from '../schema.ts';
import type { PostgresSettings } from '../settings.ts';
import { type Candidate, type Finding, fieldName, keyOf } from './candidate.ts';
import { copiesOf } from './copies.ts';
import { judge } from './judge.ts';
import { spread } from './lineage.ts';
import { look } from './look.ts';
import { nearest } from './nearest.ts';
import { type Sampled, sampleAll } from './sampler.ts';
import type { Sources } from './sources.ts';
import { proposalWarnings } from './warnings.ts';

/** All samples together, ms: whoever asks is waiting. */
const sampleMs = 15_000;
const mostEntries = 2000;

/** What could be classified at a target, by names, types, samples, and what refers to or is made of what. */
export async function propose(
  target: Target<PostgresSettings>,
  gateway: Gateway,
  recognise: Recognise,
): Promise<Proposal> {
  const { settings } = target;
  const timeoutMs = gateway.limits.loginMs;
  const credential = await gateway.credential(target);
  const { permit, signal, end } = await gateway.housekeeping(target, 'sample');
  const startup = {
    application_name: 'sallyport classify',
    search_path: 'pg_catalog',
    default_transaction_read_only: 'on',
    statement_timeout: String(timeoutMs),
  };
  const over = new AbortController();
  const open = async () => {
    const connection = await QueryConnection.open({ target, permit, credential, startup, timeoutMs, signal });
    signal.addEventListener('abort', () => connection.close(), { once: true, signal: over.signal });
    return connection;
  };
  let ending = 'what to classify could not be found out';
  try {
    const { schema, classification, references, candidates, sources } = await look(await open(), settings, timeoutMs);
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(sampleMs)]);
    const suspects = new Set((await judgeAll(candidates, new Map())).map(({ candidate }) => candidate));
    const sampled = await sampleAll(mostTellingFirst(sources.sources, suspects), {
      open,
      recognise,
      timeoutMs,
      deadline,
    });
    const direct = await judgeAll(candidates, sampled.evidence);
    const hypothesis = (found: readonly Finding[]) =>
      classify(schema, { ...settings.classify, ...asEntries(found) }, new Set(settings.allowFunctions));
    const copies = copiesOf(schema, holdsSome(classification, direct));
    await setImmediate();
    const findings = spread(schema, classification, candidates, direct, references, copies, hypothesis);
    await setImmediate();
    const entries = findings
      .map(({ candidate, classification: as, confidence, reasons }) => ({
        field: fieldName(candidate.relation, candidate.column),
        classification: as,
        confidence: Math.min(0.99, Math.round(confidence * 100) / 100),
        reasons,
      }))
      .sort((a, b) => b.confidence - a.confidence || (a.field < b.field ? -1 : 1));
    ending = `looked at ${sampled.evidence.size} columns for what to classify`;
    const warnings = proposalWarnings({
      missing: await withNearest(classification.missing, schema),
      schema,
      hypothesis: hypothesis(findings.filter(({ confidence }) => confidence >= 0.5)),
      copies,
      sources,
      sampled,
    });
    if (entries.length > mostEntries)
      warnings.push(`${entries.length - mostEntries} more columns could be classified; these are the surest`);
    return {
      entries: entries.slice(0, mostEntries),
      warnings,
      looked: {
        fields: schema.relations.reduce((sum, { kind, columns }) => sum + (kind === 'S' ? 0 : columns.length), 0),
        classified: [...classification.columns.values()].reduce((sum, of) => sum + of.size, 0),
        sampled: sampled.evidence.size,
      },
    };
  } finally {
    over.abort();
    end(ending);
  }
}

/** Thousands of columns take a while; nobody else has to wait for all of them. */
async function judgeAll(candidates: readonly Candidate[], evidence: Sampled['evidence']): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const [index, candidate] of candidates.entries()) {
    if (index % 1000 === 999) await setImmediate();
    const finding = judge(candidate, evidence.get(keyOf(candidate.relation.oid, candidate.attnum)));
    if (finding !== undefined) findings.push(finding);
  }
  return findings;
}

/** Where names suggest something already, first; small tables before large ones: the time may not do for all. */
function mostTellingFirst(sources: Sources['sources'], suspects: ReadonlySet<Candidate>): Sources['sources'] {
  const suspicion = new Map(
    sources.map((source) => [source, source.columns.filter((one) => suspects.has(one)).length]),
  );
  return sources.toSorted((a, b) => (suspicion.get(b) ?? 0) - (suspicion.get(a) ?? 0) || a.pages - b.pages);
}

function holdsSome({ columns }: Classification, findings: readonly Finding[]): (relation: number) => boolean {
  const found = new Set(findings.map(({ candidate }) => candidate.relation.oid));
  return (relation) => columns.has(relation) || found.has(relation);
}

function asEntries(findings: readonly Finding[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    findings.map(({ candidate, classification }) => [fieldName(candidate.relation, candidate.column), classification]),
  );
}

/** Each entry without a column, with the column that may have been meant. */
async function withNearest(
  missing: readonly string[],
  { relations }: Schema,
): Promise<readonly { readonly entry: string; readonly meant: string | undefined }[]> {
  const names = relations
    .slice(0, 5000)
    .flatMap((relation) =>
      relation.kind === 'S' ? [] : relation.columns.map(({ name }) => fieldName(relation, name)),
    );
  const found: { entry: string; meant: string | undefined }[] = [];
  for (const entry of missing) {
    // Comparing takes a while where there are many columns; nobody else has to wait for it.
    await setImmediate();
    found.push({ entry, meant: found.length < 20 ? nearest(entry, names.slice(0, 20_000)) : undefined });
  }
  return found;
}
