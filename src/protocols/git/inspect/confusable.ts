// Code points that HFS+ ignores in names, and further ones that show as nothing (git's utf8.c follows the same idea for .git).
const invisible = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu;
const special = new Set([
  '.git',
  '.gitmodules',
  '.gitattributes',
  '.gitignore',
  '.mailmap',
  '.github',
  '.gitlab-ci.yml',
  'codeowners',
]);

/** What a name becomes on systems that fold case, compose letters and ignore marks; NTFS drops dots and blanks at the end, and streams. */
export function folded(name: string): string {
  return name
    .normalize('NFKC')
    .replace(invisible, '')
    .toLowerCase()
    .normalize('NFKC')
    .replace(/:[^/]*$/, '')
    .replace(/[. ]+$/, '');
}

/** Why a path would not be what a reader or another system takes it for; undefined where nothing is odd. */
export function confusion(path: string): string | undefined {
  if (/^[A-Za-z0-9_/-][A-Za-z0-9_./-]*$/.test(path) && !/\.(?:\/|$)|(?:^|\/)\.|git~|\/\//i.test(path)) return undefined;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if (/[\x00-\x1f\x7f-\x9f]/.test(path)) return 'holds a control character';
  if (path.includes('\\')) return 'holds a backslash, which is a separator on Windows';
  if (path.includes('\ufffd')) return 'is not UTF-8';
  for (const part of path.split('/')) {
    const plain = folded(part);
    if (plain === '.git' || /^git~\d+$/i.test(part)) return 'has a part that some systems read as .git';
    if (plain === '' || part === '..') return 'has a part that some systems read as nothing, or as another folder';
    if (part.replace(invisible, '') !== part) return 'holds an invisible character';
    if (special.has(plain) && part !== plain && part.toLowerCase() !== plain) return `looks like ${plain}`;
    if (/^\.git(?:modules|attributes|ignore)$/i.test(part) && part !== part.toLowerCase())
      return `some systems read it as ${plain}`;
    if (/^(?:gitmod|gitatt|gitign|mailma)~\d/i.test(part)) return 'is a short name of a file that git treats specially';
  }
  return undefined;
}
