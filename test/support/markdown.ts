/** A piece of code in a page. `language` is what follows the fence; empty for an indented block. */
export interface CodeBlock {
  readonly language: string;
  readonly text: string;
}

/** A page, taken apart as far as the documentation's test needs it. */
export interface Page {
  readonly blocks: readonly CodeBlock[];
  /** The page without its code blocks, line by line. */
  readonly prose: readonly string[];
  /** What stands between backticks in the prose. */
  readonly inline: readonly string[];
  /** Targets of links and images. */
  readonly links: readonly string[];
  /** GitHub's anchors of the headings. */
  readonly anchors: ReadonlySet<string>;
  /** Text of the headings, with their level. */
  readonly headings: readonly { readonly level: number; readonly text: string }[];
}

export function readPage(markdown: string): Page {
  const blocks: CodeBlock[] = [];
  const prose: string[] = [];
  let open: { fence: string; language: string; lines: string[] } | undefined;
  for (const line of markdown.split('\n')) {
    const fence = /^(\s*```+)\s*(\S*)/.exec(line);
    if (open === undefined && fence !== null) {
      open = { fence: fence[1]!.trim(), language: fence[2]!, lines: [] };
    } else if (open?.fence === '') {
      if (/^ {4}/.test(line) || line.trim() === '') open.lines.push(line.slice(4));
      else {
        blocks.push({ language: '', text: open.lines.join('\n').trimEnd() });
        open = undefined;
        prose.push(line);
      }
    } else if (open !== undefined) {
      if (line.trim() === open.fence) {
        blocks.push({ language: open.language, text: `${open.lines.join('\n')}\n` });
        open = undefined;
      } else open.lines.push(line);
    } else if (/^ {4}\S/.test(line) && (prose.at(-1) ?? '').trim() === '') {
      open = { fence: '', language: '', lines: [line.slice(4)] };
    } else prose.push(line);
  }
  if (open !== undefined) blocks.push({ language: open.language, text: open.lines.join('\n').trimEnd() });
  const text = prose.join('\n');
  const headings = prose.flatMap((line) => {
    const found = /^(#{1,6}) (.+?)\s*$/.exec(line);
    return found === null ? [] : [{ level: found[1]!.length, text: found[2]! }];
  });
  return {
    blocks,
    prose,
    inline: [...text.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!),
    links: [...text.replaceAll(/`[^`\n]*`/g, '').matchAll(/\]\(([^()\s]+)\)/g)].map(([, target]) => target!),
    anchors: new Set(headings.map((heading) => anchorOf(heading.text))),
    headings,
  };
}

/** As GitHub makes it: lower case, no punctuation, dashes for spaces. */
function anchorOf(heading: string): string {
  return heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

/** A table: the cells of its head and of its rows. */
export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function tablesOf({ prose }: Page): readonly Table[] {
  const tables: { head: readonly string[]; rows: (readonly string[])[] }[] = [];
  for (const [i, line] of prose.entries()) {
    if (!line.startsWith('|')) continue;
    const before = prose[i - 1]?.startsWith('|') === true;
    if (!before) tables.push({ head: cellsOf(line), rows: [] });
    else if (!/^[|\s:-]+$/.test(line)) tables.at(-1)!.rows.push(cellsOf(line));
  }
  return tables;
}

function cellsOf(line: string): readonly string[] {
  return line
    .trim()
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
}

/** What stands between backticks in a cell. */
export function codeIn(cell: string): readonly string[] {
  return [...cell.matchAll(/`([^`]*)`/g)].map(([, code]) => code!);
}
