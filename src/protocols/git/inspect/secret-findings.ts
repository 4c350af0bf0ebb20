import { createHash } from 'node:crypto';
import type { Finding } from './findings.ts';

/** SHA-256 of rule, path and secret: names this finding, in this file, for the settings' list of what is no secret. */
export function fingerprint(rule: string, path: string, secret: string): string {
  return createHash('sha256').update(`${rule}\0${path}\0`).update(secret, 'latin1').digest('hex');
}

export interface SecretPlace {
  readonly path?: string;
  readonly commit?: string;
  readonly line?: number;
  /** Where it is, when it is in no file's content. */
  readonly text?: string;
}

/** The finding of a secret; none where its fingerprint is one to ignore. */
export function secretFinding(
  { rule, secret }: { readonly rule: string; readonly secret: string },
  { text, ...where }: SecretPlace,
  ignore: ReadonlySet<string>,
): readonly Finding[] {
  const print = fingerprint(rule, where.path ?? '', secret);
  if (ignore.has(print)) return [];
  return [{ name: 'secret', text: text === undefined ? rule : `${rule} ${text}`, rule, fingerprint: print, ...where }];
}
