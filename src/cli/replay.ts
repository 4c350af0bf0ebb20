import type { ReplayLine } from '../client/schema.ts';
import { formatDuration } from '../model/duration.ts';
import { inColumns, visible, visibleLine, width } from './visible.ts';

export interface ReplayOptions {
  /** The widest a column gets. */
  readonly cell: number;
}

/** Rows whose widths are looked at together; the table of a larger result is aligned in blocks of so many. */
const block = 200;

/**
 * A session's items as lines to read: each statement with its time, its rows as an aligned table, its status. Everything in a
 * recording may come from an enemy, so nothing of it reaches the terminal but what can be seen; memory does not grow with it.
 */
export async function* replayLines(items: AsyncIterable<ReplayLine>, options: ReplayOptions): AsyncIterable<string> {
  let head: readonly string[] = [];
  let rows: (readonly string[])[] = [];
  let widths: number[] = [];
  let headed = false;
  const flush = (): string[] => {
    if (rows.length === 0 && (headed || head.length === 0)) return [];
    const all = headed ? rows : [head, ...rows];
    const columns = Math.max(...all.map((row) => row.length));
    widths = Array.from({ length: columns }, (_, i) =>
      Math.min(options.cell, Math.max(widths[i] ?? 0, ...all.map((row) => width(row[i] ?? '')))),
    );
    const lines = rows.map((row) => line(row, widths));
    if (!headed) lines.unshift(line(head, widths), widths.map((columns) => '-'.repeat(columns + 2)).join('+'));
    headed = true;
    rows = [];
    return lines;
  };
  for await (const item of items) {
    if (item.kind !== 'row') {
      yield* flush();
      head = [];
      widths = [];
      headed = true;
    }
    switch (item.kind) {
      case 'command':
        yield '';
        yield* command(item);
        break;
      case 'columns':
        head = item.names.map(visibleLine);
        headed = false;
        break;
      case 'row':
        rows.push(item.values.map(value));
        if (rows.length >= block) yield* flush();
        break;
      case 'status':
        yield `   ${visibleLine(item.text)}  (${elapsed(item.at)})`;
        break;
    }
  }
  yield* flush();
}

function command({ exchange, at, text, parameters }: ReplayLine & { kind: 'command' }): string[] {
  const prefix = `#${exchange} ${elapsed(at)}  `;
  const [first = '', ...rest] = visible(text).split('\n');
  return [
    prefix + first,
    ...rest.map((line) => ' '.repeat(prefix.length) + line),
    ...(parameters ?? []).map((parameter, index) => `${' '.repeat(prefix.length)}$${index + 1} = ${value(parameter)}`),
  ];
}

function elapsed(at: number): string {
  return `+${formatDuration(Math.round(at))}`;
}

/** The null value does not look like the text `null`. */
function value(text: string | null): string {
  return text === null ? '∅' : visibleLine(text);
}

function line(cells: readonly string[], widths: readonly number[]): string {
  return widths
    .map((columns, i) => ` ${inColumns(cells[i] ?? '', columns)} `)
    .join('|')
    .trimEnd();
}
