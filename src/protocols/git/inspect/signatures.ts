import type { Git } from '../quarantine/git.ts';
import { GitFailure } from '../quarantine/git-failure.ts';

export interface Verified {
  readonly signer: string;
}

/**
 * Which of the commits bear an SSH signature of somebody in the allowed-signers file (ssh-keygen(1), “ALLOWED SIGNERS”). OpenPGP and
 * X.509 signatures are not verified, so they never count here.
 */
export async function verifiedCommits(
  git: Git,
  commits: readonly string[],
  allowedSigners: string,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, Verified>> {
  const verified = new Map<string, Verified>();
  if (commits.length === 0 || git.programs.sshKeygen === undefined) return verified;
  const question = {
    arguments: [
      ...verification(git.programs.sshKeygen, allowedSigners),
      'log',
      '--no-walk=unsorted',
      '--no-mailmap',
      '--no-patch',
      '--stdin',
      '-z',
      '--format=%H %G? %GS',
    ],
    input: commits,
    signal,
    // git gives up at a signature that it cannot read at all; what it has not vouched for by then counts as unsigned.
    answers: [128],
  };
  await git.pieces(question, '\0', (piece) => {
    const match = /^([0-9a-f]+) G ([^\0]*)/.exec(piece);
    if (match !== null) verified.set(match[1]!, { signer: match[2]!.trim() });
    return undefined;
  });
  return verified;
}

export async function isVerifiedTag(
  git: Git,
  tag: string,
  allowedSigners: string,
  signal?: AbortSignal,
): Promise<boolean> {
  if (git.programs.sshKeygen === undefined) return false;
  try {
    await git.text({
      arguments: [...verification(git.programs.sshKeygen, allowedSigners), 'verify-tag', '--', tag],
      signal,
    });
    return true;
  } catch (error) {
    if (error instanceof GitFailure && error.limited === undefined) return false;
    throw error;
  }
}

function verification(sshKeygen: string, allowedSigners: string): string[] {
  return [
    '-c',
    `gpg.ssh.program=${sshKeygen}`,
    '-c',
    `gpg.ssh.allowedSignersFile=${allowedSigners}`,
    '-c',
    'gpg.minTrustLevel=fully',
  ];
}
