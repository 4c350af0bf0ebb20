import type { FileChange } from './changes.ts';
import { confusion } from './confusable.ts';
import type { Finding, FindingName } from './findings.ts';
import { PathPatterns } from './glob.ts';

export type PathRules = PathPatterns<FindingName>;

export function pathRules(paths: Readonly<Record<string, readonly string[]>>): PathRules {
  const rules: PathRules = new PathPatterns();
  for (const [name, globs] of Object.entries(paths)) for (const glob of globs) rules.add(glob, `path.${name}`);
  return rules;
}

const submodule = '160000';
const gone = '000000';

/** What the path and mode of a change say by themselves. */
export function pathFindings(change: FileChange, rules: PathRules): Finding[] {
  const { commit, path, mode } = change;
  const found: Finding[] = [];
  const say = (name: FindingName, text: string): void => void found.push({ name, text, commit, path });
  for (const name of rules.matching(path)) say(name, mode === gone ? 'removed' : 'changed');
  if (mode === submodule) say('submodule', `points to ${change.id}`);
  else if (change.oldModes.includes(submodule)) say('submodule', 'removed or replaced');
  if (/(?:^|\/)\.gitmodules$/i.test(path))
    say('submodule', mode === gone ? 'the list of submodules is removed' : 'the list of submodules changes');
  const odd = mode === gone ? undefined : confusion(path);
  if (odd !== undefined) say('path.confusable', odd);
  return found;
}
