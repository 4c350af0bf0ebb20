import { GitFailure } from './quarantine/git-failure.ts';
import type { Quarantine } from './quarantine/quarantine.ts';

/**
 * Whether new ids lead to something that neither came with the push nor is reached by refs that the caller may read. A ref made
 * for an object that only hidden refs reach would show it: git itself does not guard against that (gitnamespaces, “Security”).
 * What cannot be found out counts as such.
 */
export async function reachesHidden(
  quarantine: Quarantine,
  tips: readonly string[],
  visible: readonly string[],
  signal: AbortSignal,
): Promise<boolean> {
  if (tips.length === 0) return false;
  const came = new Set(quarantine.received.ids);
  let hidden = false;
  try {
    await quarantine.git.pieces(
      {
        arguments: ['rev-list', '--objects', '--no-object-names', '--stdin'],
        input: [...new Set(tips), ...[...new Set(visible)].map((id) => `^${id}`)],
        signal,
      },
      '\n',
      (id) => {
        if (id !== '' && !came.has(id)) hidden = true;
        return !hidden;
      },
    );
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (!(error instanceof GitFailure)) throw error;
    return true;
  }
  return hidden;
}
