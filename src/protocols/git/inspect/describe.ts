import type { Push, RefUpdate } from '../push.ts';
import { createSecretSearch } from './find-secrets.ts';
import type { Finding, Person, PushFindings, UpdateFindings } from './findings.ts';
import { maskSecrets } from './mask-secrets.ts';
import { visibleLine } from './visible.ts';

const kinds: Readonly<Record<UpdateFindings['kind'], string>> = {
  create: 'new',
  fastForward: 'fast-forward',
  force: 'FORCED, history is rewritten',
  delete: 'DELETED',
  tagCreate: 'new tag',
  tagMove: 'tag MOVED',
  tagDelete: 'tag DELETED',
};

/**
 * The push for the person who decides on it: what each ref becomes, which commits arrive, what was found, the diff. The same push
 * against the same refs always gives the same text. Harmless on a terminal; secrets are masked.
 */
export function describePush(push: Push, findings: PushFindings): string {
  const search = createSecretSearch();
  const line = (text: string): string => visibleLine(maskSecrets(search, text));
  const out: string[] = [`push to ${line(push.repository)}${push.atomic ? ' (all refs or none)' : ''}`];
  for (const option of push.options) out.push(`option ${line(option)}`);
  for (const [i, update] of push.updates.entries()) out.push('', ...describeUpdate(update, findings.updates[i]!, line));
  if (findings.details.length > 0)
    out.push('', 'found in the push as a whole:', ...findings.details.map((item) => describeFinding(item, line)));
  for (const id of findings.hidden) out.push(`    ${id}`);
  if (findings.hiddenCount > findings.hidden.length)
    out.push(`    and ${findings.hiddenCount - findings.hidden.length} more`);
  return `${out.join('\n')}\n`;
}

function describeUpdate(update: RefUpdate, found: UpdateFindings, line: (text: string) => string): string[] {
  const out = [
    `${line(update.ref)}: ${kinds[found.kind]}`,
    `  from ${update.old ?? 'nothing'}`,
    `  to   ${update.new ?? 'nothing'}`,
  ];
  if (found.lost > 0)
    out.push(`  ${found.lost} ${found.lost === 1 ? 'commit is' : 'commits are'} no longer reached by it`);
  if (found.details.length > 0) out.push('  found:', ...found.details.map((item) => describeFinding(item, line)));
  if (found.commitCount > 0)
    out.push(`  ${found.commitCount} ${found.commitCount === 1 ? 'commit' : 'commits'}, oldest first:`);
  for (const { id, author, committer, subject, signature, signer, known } of found.commits) {
    const by = samePerson(author, committer) ? '' : `, committed by ${line(person(committer))}`;
    const signed = { none: '', present: ', signed (not verified)', verified: `, signed by ${line(signer ?? '')}` }[
      signature
    ];
    out.push(
      `    ${id} ${line(person(author))}${by}${signed}${known ? ', upstream has it' : ''}`,
      `      ${line(subject)}`,
    );
  }
  if (found.commitCount > found.commits.length) out.push(`    and ${found.commitCount - found.commits.length} more`);
  if (found.change !== undefined) {
    const { text, bytes, sha256, complete } = found.change;
    out.push(
      `  diff of ${complete ? '' : 'more than '}${bytes} bytes, SHA-256 ${complete ? sha256 : `of the beginning ${sha256}`}:`,
      text.trimEnd(),
    );
  }
  return out;
}

function describeFinding(
  { name, text, commit, path, line, fingerprint }: Finding,
  safe: (text: string) => string,
): string {
  const place = path === undefined ? '' : ` in ${safe(path)}${line === undefined ? '' : `:${line}`}`;
  const where = commit === undefined ? '' : ` (commit ${commit})`;
  const print = fingerprint === undefined ? '' : `\n        fingerprint ${fingerprint}`;
  return `    ${name}: ${safe(text)}${place}${where}${print}`;
}

function person({ name, email }: Person): string {
  return `${name} <${email}>`;
}

function samePerson(a: Person, b: Person): boolean {
  return a.name === b.name && a.email === b.email;
}
