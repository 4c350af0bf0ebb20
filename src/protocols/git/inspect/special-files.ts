/** What is wrong with the content of a `.gitmodules`; undefined where nothing is. */
export function dangerousModules(content: string): string | undefined {
  for (const line of content.split('\n')) {
    const match = /^\s*(?:\[[^\]]*\]\s*)?([A-Za-z][A-Za-z0-9-]*)\s*=\s*([\s\S]*)$/.exec(line.slice(0, 4000));
    if (match === null) continue;
    const key = match[1]!.toLowerCase();
    const value = match[2]!.replace(/^"/, '').trimStart();
    if (/\r./.test(line)) return 'a carriage return within a value';
    if (key === 'update' && value.startsWith('!')) return 'an update that is a command';
    if (key === 'url' && /^-/.test(value)) return 'an address that reads as an option';
    if (key === 'url' && /^(?:ext|fd|file)(?:::?)/i.test(value))
      return 'an address that runs a program or reads local files';
    if (key === 'url' && /[\r\n]|%0[ad]|\\[nr]/i.test(value)) return 'an address with a line break';
    if (key === 'path' && (/^-/.test(value) || /(?:^|\/)\.\.(?:\/|"?$)/.test(value)))
      return 'a path that leaves the tree or reads as an option';
    if (key === 'path' && /\r"?$/.test(value)) return 'a path that ends in a carriage return';
    if (key === 'path' && /(?:^|\/)\.git(?:\/|"?$)/i.test(value)) return 'a path within .git';
  }
  if (/\[\s*submodule\s+"[^"]{0,1000}\.\.(?:\/|")/.test(content)) return 'a name that leaves the folder of modules';
  return undefined;
}

/** The same of a `.gitattributes`: filters and drivers are programs, and `-diff` or `binary` hide what changes. */
export function dangerousAttributes(content: string): string | undefined {
  for (const line of content.split('\n')) {
    const text = line.slice(0, 4000);
    if (/^\s*#/.test(text)) continue;
    const driver = /\s(filter|merge|diff)=(\S+)/.exec(text);
    if (driver !== null && driver[1] === 'filter' && driver[2] !== 'lfs') return `filter=${driver[2]!.slice(0, 60)}`;
    if (driver !== null && driver[1] === 'merge' && !['text', 'binary', 'union', 'lfs'].includes(driver[2]!)) {
      return `merge=${driver[2]!.slice(0, 60)}`;
    }
    if (/\s(?:working-tree-encoding=\S|export-subst\b|ident\b)/.test(text))
      return 'content that changes at checkout or export';
    if (
      /\s-diff\b/.test(text) &&
      /\.(?:[cm]?[jt]sx?|py|rb|go|rs|java|kt|sh|php|cs|cc?|h|sql|ya?ml)\b|^\s*\*\s/.test(text)
    ) {
      return 'changes of source files do not show in diffs';
    }
  }
  return undefined;
}

/** Where a symbolic link leads to, where that is not inside the tree. */
export function escapingLink(path: string, target: string): string | undefined {
  if (target === '') return 'to nowhere';
  if (target.startsWith('/') || /^[A-Za-z]:|^\\/.test(target)) return 'to an absolute path';
  let depth = path.split('/').length - 1;
  for (const part of target.split(/[/\\]/)) {
    if (part === '..') depth -= 1;
    else if (part !== '.' && part !== '') depth += 1;
    if (depth < 0) return 'out of the tree';
    if (/^\.git$/i.test(part)) return 'into .git';
  }
  return undefined;
}

/** What kind of compiled program the bytes begin; undefined for others. */
export function programKind(head: Buffer): string | undefined {
  const magic = head.length >= 4 ? head.readUInt32BE(0) : 0;
  if (magic === 0x7f454c46) return 'ELF';
  if (magic === 0x0061736d) return 'WebAssembly';
  if (magic === 0xfeedface || magic === 0xfeedfacf || magic === 0xcefaedfe || magic === 0xcffaedfe) return 'Mach-O';
  if (magic === 0xcafebabe) return 'Java class or Mach-O';
  if (head.length >= 64 && head.toString('latin1', 0, 2) === 'MZ') return 'Windows';
  return undefined;
}
