import type { Principal } from '../../../model/principal.ts';
import type { ObjectReader } from '../quarantine/object-reader.ts';
import { type CommitObject, parseCommit } from './commit-object.ts';
import type { SecretSearch } from './find-secrets.ts';
import type { Person } from './findings.ts';
import { textMatches } from './glob.ts';
import type { ScannedSecret } from './secret-scanner.ts';
import type { InspectSettings } from './settings.ts';
import { TooLarge } from './too-large.ts';

export interface ReadCommit {
  readonly commit: CommitObject;
  /** In its message, its people's names, whatever else its bytes hold. */
  readonly secrets: readonly Pick<ScannedSecret, 'rule' | 'secret'>[];
}

/** A message or header longer than this is no message. */
const mostCommitBytes = 1024 * 1024;
const batchSize = 1000;

/** Reads commits as bytes: nothing that git would resolve, re-encode or map stands in between. Throws TooLarge. */
export async function readCommits(
  reader: ObjectReader,
  ids: readonly string[],
  search: SecretSearch,
): Promise<ReadonlyMap<string, ReadCommit>> {
  const commits = new Map<string, ReadCommit>();
  for (let at = 0; at < ids.length; at += batchSize) {
    await Promise.all(
      ids.slice(at, at + batchSize).map(async (id) => {
        const bytes = await reader.head(id, mostCommitBytes + 1);
        if (bytes === undefined) throw new Error('a commit that was listed cannot be read');
        if (bytes.length > mostCommitBytes) throw new TooLarge('a commit object of more than 1 MiB');
        const commit = parseCommit(bytes);
        if (commit === undefined) throw new TooLarge('a commit object that is not understood');
        const text = bytes.toString('latin1');
        const found = search.find(text, true).map(({ rule, start, end }) => [text.slice(start, end), rule] as const);
        const secrets = [...new Map(found)].map(([secret, rule]) => ({ rule, secret }));
        commits.set(id, { commit, secrets });
      }),
    );
  }
  return commits;
}

/**
 * Who may stand in a commit as author or committer: the caller, by the address that the identity provider vouches for, and whom the
 * settings allow. What the commit says proves nothing; it can only disagree.
 */
export function strangersTo(principal: Principal, settings: InspectSettings['authors']): (person: Person) => boolean {
  const claim = principal.claims[settings.claim];
  const vouched =
    principal.claims.email_verified !== false && typeof claim === 'string' ? claim.toLowerCase() : undefined;
  return ({ email }) => email.toLowerCase() !== vouched && !settings.allow.some((glob) => textMatches(glob, email));
}
