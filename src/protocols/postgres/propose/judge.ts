import type { Candidate, Finding } from './candidate.ts';
import { dictionary, type Meaning } from './dictionary.ts';
import type { Evidence } from './evidence.ts';
import { nameMeaning } from './name-meaning.ts';

/** Of these, values can be told from others well enough that their absence says something. */
const tellable: ReadonlySet<string> = new Set(['pii.email', 'pci.pan', 'pii.ip']);
/** Fewer values say less. */
const fewValues = 5;

/** What name and values of a column say together; undefined where they say nothing. */
export function judge(candidate: Candidate, evidence: Evidence | undefined): Finding | undefined {
  const { relation, column, type } = candidate;
  const byName = nameMeaning(relation.name, column, type);
  const meaning = byName ?? typeMeaning(candidate);
  const seen = evidence === undefined || evidence.values === 0 ? undefined : byValues(candidate, evidence);
  if (meaning === undefined) return seen;
  const { classification, things } = meaning;
  const named = byName === undefined ? `the type is for ${things}` : `the name suggests ${things}`;
  if (seen === undefined) {
    const doubted = type === 'text' && tellable.has(classification) && (evidence?.values ?? 0) >= fewValues;
    const reasons = doubted ? [named, `but none of ${evidence?.values} sampled values looks like one`] : [named];
    return { candidate, classification, confidence: meaning.confidence * (doubted ? 0.5 : 1), reasons };
  }
  if (seen.classification === classification) {
    const confidence = 1 - (1 - meaning.confidence) * (1 - seen.confidence);
    return { candidate, classification, confidence, reasons: [...seen.reasons, named] };
  }
  if (seen.confidence >= meaning.confidence) return { ...seen, reasons: [...seen.reasons, named] };
  return { candidate, classification, confidence: meaning.confidence, reasons: [named, ...seen.reasons] };
}

function typeMeaning({ type }: Candidate): Meaning | undefined {
  if (type !== 'network' && type !== 'hardware') return undefined;
  const things = type === 'network' ? 'network addresses' : 'hardware addresses';
  return { classification: 'pii.ip', things, confidence: 0.5, types: [type], names: [] };
}

function byValues(candidate: Candidate, evidence: Evidence): Finding | undefined {
  const { values, whole, inside, keys } = evidence;
  const few = values < fewValues ? 0.7 : 1;
  if (keys.size > 0) return byKeys(candidate, evidence, few);
  const [classification, count] = [...whole].reduce((most, one) => (one[1] > most[1] ? one : most), [
    '',
    0,
  ] as readonly [string, number]);
  const share = count / values;
  // One number of sixteen digits in ten passes for a card's: a few among many mean nothing.
  if (share >= (candidate.type === 'number' ? 0.7 : 0.3)) {
    const reasons = [`${count} of ${values} sampled values look like ${thingsOf(classification)}`];
    return { candidate, classification, confidence: (0.45 + 0.5 * share) * few, reasons };
  }
  const some = inside + [...whole.values()].reduce((sum, one) => sum + one, 0);
  if (candidate.type === 'number' || some < 2 || some / values < 0.02) return undefined;
  const reasons = [`${some} of ${values} sampled values hold something personal or secret in longer text`];
  return { candidate, classification: 'pii.text', confidence: 0.3 + 0.2 * Math.min(1, some / values), reasons };
}

function byKeys(candidate: Candidate, { keys, values }: Evidence, few: number): Finding {
  const count = Math.max(...keys.values());
  const [only, ...more] = [...keys.keys()];
  const classification = only !== undefined && more.length === 0 ? only : 'pii.document';
  const kinds = [...keys.keys()].sort().join(', ');
  const reasons = [`${count} of ${values} sampled documents have keys that suggest ${kinds}`];
  return { candidate, classification, confidence: (0.5 + 0.35 * (count / values)) * few, reasons };
}

const things = new Map(dictionary.map((meaning) => [meaning.classification, meaning.things]));

/** What a classification's things are called. */
export function thingsOf(classification: string): string {
  return things.get(classification) ?? classification;
}
