import type { Spread } from './statistics.ts';

export type Cell = string;

/** Text columns to the left, the first of them the name of the row; the others to the right. */
export function table(head: readonly Cell[], rows: readonly (readonly Cell[])[]): string {
  const widths = head.map((cell, column) => Math.max(cell.length, ...rows.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly Cell[]) =>
    `  ${head.map((_, column) => pad(row[column] ?? '', widths[column]!, column)).join('  ')}`.trimEnd();
  return [line(head), `  ${widths.map((width) => '─'.repeat(width)).join('  ')}`, ...rows.map(line)].join('\n');
}

function pad(cell: Cell, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}

/** `51,083 (44,992–53,183)`; a dash when there is nothing. */
export function cell(values: Spread | undefined, digits = 0): Cell {
  if (values === undefined || Number.isNaN(values.median)) return '–';
  const { median, min, max } = values;
  if (min === max) return number(median, digits);
  return `${number(median, digits)} (${number(min, digits)}–${number(max, digits)})`;
}

export function number(value: number, digits = 0): string {
  if (Number.isNaN(value)) return '–';
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
