import type { Git } from '../quarantine/git.ts';
import type { Quarantine } from '../quarantine/quarantine.ts';
import { turns } from '../quarantine/turns.ts';
import { TooLarge } from './too-large.ts';

/** Every object that `tips` reach and `known` do not. Throws GitFailure where one is missing, TooLarge beyond `limit`. */
export async function reachedObjects(
  git: Git,
  tips: readonly string[],
  known: readonly string[],
  limit: number,
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  const reached = new Set<string>();
  if (tips.length === 0) return reached;
  const question = {
    arguments: ['rev-list', '--objects', '--no-object-names', '--stdin'],
    input: [...tips, ...known.map((id) => `^${id}`)],
    signal,
  };
  await git.pieces(question, '\n', (line) => {
    if (reached.size >= limit) throw new TooLarge(`more than ${limit} objects`);
    reached.add(line);
    return undefined;
  });
  return reached;
}

/**
 * Objects of the pack that no update reaches and the mirror does not have: they would lie upstream, to be had by their ids, without
 * anybody having seen them come (as in CVE-2025-54586).
 */
export async function hiddenObjects(
  quarantine: Quarantine,
  reached: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const loose: string[] = [];
  const turn = turns();
  for (const [i, id] of quarantine.received.ids.entries()) {
    if (!reached.has(id)) loose.push(id);
    if (i % 1000 === 0) await turn();
  }
  if (loose.length === 0) return [];
  const mirror = quarantine.mirror.git.reader(signal);
  try {
    const hidden: string[] = [];
    for (let at = 0; at < loose.length; at += 1000) {
      const batch = loose.slice(at, at + 1000);
      const infos = await Promise.all(batch.map((id) => mirror.info(id)));
      hidden.push(...batch.filter((_, i) => infos[i] === undefined));
    }
    return hidden.sort();
  } finally {
    mirror.close();
  }
}
