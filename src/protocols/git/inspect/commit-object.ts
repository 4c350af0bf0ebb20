import type { Person } from './findings.ts';

/** A commit or tag as its bytes say it (git's object format: header lines, a blank line, the message). */
export interface CommitObject {
  readonly parents: readonly string[];
  readonly author: Person;
  readonly committer: Person;
  readonly signed: boolean;
  /** Of the signature, where it begins as one by an SSH key does. */
  readonly ssh: boolean;
  readonly subject: string;
}

/** Undefined where the bytes are not a commit's; fsck has let none of those in. */
export function parseCommit(bytes: Buffer): CommitObject | undefined {
  const { headers, message } = split(bytes);
  const author = person(headers, 'author');
  const committer = person(headers, 'committer');
  if (author === undefined || committer === undefined) return undefined;
  return {
    parents: headers.filter((line) => line.startsWith('parent ')).map((line) => line.slice(7)),
    author,
    committer,
    signed: headers.some((line) => /^gpgsig(?:-sha256)? ./.test(line)),
    ssh: /^gpgsig(?:-sha256)? -----BEGIN SSH SIGNATURE-----$/.test(
      headers.find((line) => line.startsWith('gpgsig')) ?? '',
    ),
    subject: subject(message),
  };
}

export interface TagObject {
  readonly target: string;
  readonly targetType: string;
  readonly tagger: Person | undefined;
  readonly signed: boolean;
  readonly subject: string;
}

export function parseTag(bytes: Buffer): TagObject | undefined {
  const { headers, message } = split(bytes);
  const target = headers.find((line) => line.startsWith('object '))?.slice(7);
  const targetType = headers.find((line) => line.startsWith('type '))?.slice(5);
  if (target === undefined || targetType === undefined) return undefined;
  return {
    target,
    targetType,
    tagger: person(headers, 'tagger'),
    signed:
      /^-----BEGIN (?:PGP SIGNATURE|SSH SIGNATURE|SIGNED MESSAGE|PGP MESSAGE)-----$/m.test(message) ||
      headers.some((line) => /^gpgsig(?:-sha256)? ./.test(line)),
    subject: subject(message),
  };
}

function split(bytes: Buffer): { readonly headers: readonly string[]; readonly message: string } {
  const blank = bytes.indexOf('\n\n');
  const end = blank < 0 ? bytes.length : blank;
  return {
    headers: bytes.toString('utf8', 0, end).split('\n'),
    message: blank < 0 ? '' : bytes.toString('utf8', blank + 2),
  };
}

function person(headers: readonly string[], key: string): Person | undefined {
  // The first one counts, as it does for git.
  const line = headers.find((header) => header.startsWith(`${key} `));
  const match = line === undefined ? null : /^([^<>]*)<([^<>]*)>/.exec(line.slice(key.length + 1));
  return match === null ? undefined : { name: match[1]!.trim(), email: match[2]! };
}

function subject(message: string): string {
  return message.trimStart().split('\n', 1)[0]!.slice(0, 200);
}
