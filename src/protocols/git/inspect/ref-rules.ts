import type { Ref, RefUpdate } from '../push.ts';
import { folded } from './confusable.ts';
import type { Finding } from './findings.ts';

export type Namespace = 'branch' | 'tag' | 'other';

export function namespaceOf(ref: string): Namespace {
  if (ref.startsWith('refs/heads/')) return 'branch';
  return ref.startsWith('refs/tags/') ? 'tag' : 'other';
}

/** Whether git-check-ref-format(1) lets the name pass, and it is a full one. */
export function wellFormedRef(ref: string): boolean {
  if (!ref.startsWith('refs/') || ref.length > 1000 || ref.includes('\ufffd')) return false;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a name cannot hold them.
  if (/[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{|\/\/|\/$|\.$/.test(ref)) return false;
  return ref.split('/').every((part) => part !== '' && !part.startsWith('.') && !part.endsWith('.lock'));
}

/** Names of upstream's refs and of those that a push makes, for looking them up. */
export interface RefNames {
  /** By what they look like. */
  readonly byLook: ReadonlyMap<string, readonly string[]>;
  /** What symbolic ones stand for. */
  readonly symbolic: ReadonlyMap<string, string>;
}

export function refNames(refs: readonly Ref[], updates: readonly RefUpdate[]): RefNames {
  const byLook = new Map<string, string[]>();
  for (const name of new Set([...refs.map((ref) => ref.name), ...updates.map(({ ref }) => ref)])) {
    const look = folded(name);
    const same = byLook.get(look);
    if (same === undefined) byLook.set(look, [name]);
    else same.push(name);
  }
  const symbolic = new Map(refs.flatMap(({ name, target }) => (target === undefined ? [] : [[name, target] as const])));
  return { byLook, symbolic };
}

/** What is odd about the name of an updated ref. */
export function refFindings(update: RefUpdate, names: RefNames): Finding[] {
  const { ref } = update;
  if (!wellFormedRef(ref)) return [{ name: 'ref.invalid', text: 'not a well-formed ref name' }];
  const found: Finding[] = [];
  const part = ref.split('/').find((name) => name.startsWith('-'));
  if (part !== undefined) found.push({ name: 'ref.invalid', text: 'a part of the name reads as an option' });
  if (namespaceOf(ref) === 'other')
    found.push({ name: 'ref.namespace', text: `below ${ref.split('/').slice(0, 2).join('/')}` });
  const symbolic = names.symbolic.get(ref);
  if (symbolic !== undefined) found.push({ name: 'ref.symref', text: `it stands for ${symbolic}` });
  if (ref !== ref.replace(/[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu, '')) {
    found.push({ name: 'ref.confusable', text: 'the name holds an invisible character' });
  } else if (update.new !== undefined) {
    const twin = names.byLook.get(folded(ref))?.find((name) => name !== ref);
    if (twin !== undefined) found.push({ name: 'ref.confusable', text: `the name looks like ${twin}` });
  }
  return found;
}
