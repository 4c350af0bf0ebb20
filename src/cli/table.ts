import { inColumns, visibleLine, width } from './visible.ts';

/** Columns of text, aligned. Cells may come from anybody; the last column is not padded. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows.map((row) => row.map(visibleLine))];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => width(row[column] ?? ''))));
  return cells
    .map(
      (row) =>
        `${row
          .map((cell, column) => (column === row.length - 1 ? cell : inColumns(cell, widths[column] ?? 0)))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** `key  value` lines; values of several lines are indented. */
export function details(pairs: readonly (readonly [string, string | undefined])[]): string {
  const shown = pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined);
  const column = Math.max(0, ...shown.map(([key]) => key.length)) + 2;
  return shown.map(([key, value]) => `${key.padEnd(column)}${visibleLine(value)}\n`).join('');
}

/** `2026-01-15 12:00:00Z`. */
export function instant(ms: number): string {
  return new Date(ms)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z');
}
