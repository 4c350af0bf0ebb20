import type { Command } from 'commander';

/** Command lines of `sallyport` in a text: what follows the name, up to the end of the command. */
export function commandLines(text: string): readonly string[] {
  const joined = text.replaceAll(/\\\n\s*/g, ' ');
  return [...joined.matchAll(/(?:^|[\s(`'"])(?:npx )?(?:\S*\/)?sallyport(?:\.mjs)? +([^\n|;&)`]+)/gm)].map(
    ([, rest]) => rest!,
  );
}

/** What is wrong with a command line, by the program as it is; undefined when nothing is. `whole`: options that must be there are asked for. */
export function wrongWith(program: Command, line: string, whole: boolean): string | undefined {
  let command = program;
  const given = new Set<string>();
  const words = wordsOf(line);
  if (words.some(isPlaceholder) && words.findIndex(isPlaceholder) === 0) return undefined;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word.startsWith('#')) break;
    if (/^-./.test(word)) {
      if (word === '--help' || word === '-h') return undefined;
      const [name = ''] = word.split('=');
      const option = optionOf(command, name);
      if (option === undefined) return `${pathOf(command)} has no option ${name}`;
      given.add(option.long ?? name);
      if ((option.required || option.optional) && !word.includes('=')) i += 1;
    } else if (command.commands.length > 0 && !isPlaceholder(word)) {
      if (word === 'help') return undefined;
      const sub = command.commands.find((child) => child.name() === word);
      if (sub === undefined) return `${pathOf(command)} has no command ${word}`;
      command = sub;
    }
  }
  if (!whole || words.some(isPlaceholder)) return undefined;
  const missing = command.options.find((option) => option.mandatory && !given.has(option.long ?? ''));
  return missing === undefined ? undefined : `${pathOf(command)} needs ${missing.flags}`;
}

/** Commands that do something themselves, by the words that lead to them. */
export function leaves(command: Command, path = ''): readonly { readonly path: string; readonly command: Command }[] {
  if (command.commands.length === 0) return [{ path, command }];
  return command.commands.flatMap((child) => leaves(child, `${path} ${child.name()}`.trim()));
}

function optionOf(command: Command, name: string): Command['options'][number] | undefined {
  for (let at: Command | null = command; at !== null; at = at.parent) {
    const found = at.options.find(({ long, short }) => long === name || short === name);
    if (found !== undefined) return found;
  }
  return undefined;
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function isPlaceholder(word: string): boolean {
  return word.includes('…') || /^\[.*\]$/.test(word) || word === 'COMMAND';
}

function wordsOf(line: string): readonly string[] {
  return [...line.trim().matchAll(/"(?:[^"\\]|\\.)*"|'[^']*'|\S+/g)].map(([word]) => word);
}
