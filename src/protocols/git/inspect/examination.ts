import type { Principal } from '../../../model/principal.ts';
import type { Git } from '../quarantine/git.ts';
import type { ObjectReader } from '../quarantine/object-reader.ts';
import { strangersTo } from './commits.ts';
import { createSecretSearch, type SecretSearch } from './find-secrets.ts';
import type { Finding, Person } from './findings.ts';
import { maskSecrets } from './mask-secrets.ts';
import { type PathRules, pathRules } from './path-findings.ts';
import { type SecretPlace, secretFinding } from './secret-findings.ts';
import type { InspectSettings } from './settings.ts';

/** What every step of one inspection works with. */
export interface Examination {
  readonly git: Git;
  readonly reader: ObjectReader;
  readonly settings: InspectSettings;
  readonly search: SecretSearch;
  readonly rules: PathRules;
  readonly isStranger: (person: Person) => boolean;
  readonly signal: AbortSignal;
  /** The finding of a secret, unless the settings say that it is none. */
  secret(found: { readonly rule: string; readonly secret: string }, place: SecretPlace): readonly Finding[];
  /** Secrets in a short text. */
  secretsOf(text: string, place: SecretPlace): readonly Finding[];
  /** The text without what looks like a secret. */
  masked(text: string): string;
}

export function examination(
  git: Git,
  reader: ObjectReader,
  settings: InspectSettings,
  principal: Principal,
  signal: AbortSignal,
): Examination {
  const search = createSecretSearch();
  const ignore = new Set(settings.secrets.ignore);
  const secret: Examination['secret'] = (found, place) => secretFinding(found, place, ignore);
  return {
    git,
    reader,
    settings,
    search,
    rules: pathRules(settings.paths),
    isStranger: strangersTo(principal, settings.authors),
    signal,
    secret,
    secretsOf: (text, place) =>
      search
        .find(text, true)
        .flatMap(({ rule, start, end }) => secret({ rule, secret: text.slice(start, end) }, place)),
    masked: (text) => maskSecrets(search, text),
  };
}
