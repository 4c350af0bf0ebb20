import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ReplayLine } from '../client/schema.ts';
import { page } from './pager.ts';
import { replayLines } from './replay.ts';
import type { Terminal } from './terminal.ts';

async function* items(all: readonly ReplayLine[]): AsyncIterable<ReplayLine> {
  yield* all;
}

async function text(all: readonly ReplayLine[], cell = 60): Promise<string> {
  const lines: string[] = [];
  for await (const line of replayLines(items(all), { cell })) lines.push(line);
  return `${lines.join('\n')}\n`;
}

const ordinary: readonly ReplayLine[] = [
  {
    kind: 'command',
    exchange: 1,
    at: 12,
    text: 'SELECT id, name,\n       email\nFROM customers\nWHERE id < $1',
    parameters: ['3', null],
  },
  { kind: 'columns', exchange: 1, names: ['id', 'name', 'email'] },
  { kind: 'row', exchange: 1, values: ['1', 'Ada 漢字', '***@***'] },
  { kind: 'row', exchange: 1, values: ['2', null, '***@***'] },
  { kind: 'status', exchange: 1, at: 20, text: 'SELECT 2' },
  { kind: 'command', exchange: 2, at: 65_000, text: 'DROP TABLE customers' },
  { kind: 'status', exchange: 2, at: 65_001, text: 'refused: SP2001 dropping is not for agents' },
  { kind: 'command', exchange: 3, at: 70_000, text: 'SELECT 1 WHERE false' },
  { kind: 'columns', exchange: 3, names: ['?column?'] },
  { kind: 'status', exchange: 3, at: 70_003, text: 'SELECT 0' },
];

const esc = '\x1b';
const hostile: readonly ReplayLine[] = [
  {
    kind: 'command',
    exchange: 1,
    at: 1,
    text: `SELECT 1; --${esc}[2J${esc}[H${esc}]52;c;cm0gLXJm\x07 \r-- harmless\u202e\n#2 +0s  DROP TABLE forged`,
    parameters: [`${esc}P+q\x9c`],
  },
  { kind: 'columns', exchange: 1, names: [`${esc}[8mhidden`, 'b\tc\u200b'] },
  {
    kind: 'row',
    exchange: 1,
    values: [`${esc}]8;;https://evil.example\x07click${esc}]8;;\x07`, 'a\nb | c\n-- more --'],
  },
  { kind: 'row', exchange: 1, values: ['too', 'many', 'values', '\x00\x7f\x9b31m'] },
  { kind: 'row', exchange: 1, values: [] },
  { kind: 'status', exchange: 1, at: 2, text: `SELECT 1${esc}c\n#2 +0s  DROP TABLE forged` },
  { kind: 'row', exchange: 9, values: ['a row without columns'] },
];

describe('a replay', () => {
  it('shows statements, aligned rows and what became of each', async () => {
    await expect(await text(ordinary)).toMatchFileSnapshot(
      join(import.meta.dirname, 'testdata', 'replay-ordinary.txt'),
    );
  });

  it('of a hostile recording shows what is in it and moves nothing', async () => {
    const shown = await text(hostile);
    await expect(shown).toMatchFileSnapshot(join(import.meta.dirname, 'testdata', 'replay-hostile.txt'));
    expect([...shown].filter((character) => /\p{C}/u.test(character) && character !== '\n')).toEqual([]);
    // A value cannot begin a line, so it cannot pass for a statement or a prompt.
    expect(shown.split('\n').filter((line) => line.startsWith('#'))).toHaveLength(1);
    expect(shown.split('\n').filter((line) => line.startsWith('-- more'))).toEqual([]);
  });

  it('cuts long values, or not', async () => {
    const long: readonly ReplayLine[] = [
      { kind: 'columns', exchange: 1, names: ['a'] },
      { kind: 'row', exchange: 1, values: ['x'.repeat(100)] },
    ];
    expect(await text(long)).toContain(`${'x'.repeat(59)}… `.trimEnd());
    expect(await text(long, Number.POSITIVE_INFINITY)).toContain('x'.repeat(100));
  });

  it('is shown as it comes: a long result is not waited for', async () => {
    let given = 0;
    async function* endless(): AsyncIterable<ReplayLine> {
      yield { kind: 'columns', exchange: 1, names: ['n'] };
      for (;;) yield { kind: 'row', exchange: 1, values: [String(++given)] };
    }
    for await (const line of replayLines(endless(), { cell: 60 })) if (line.trim() === '1') break;
    expect(given).toBeLessThanOrEqual(200);
  });
});

describe('the pager', () => {
  function screen(keys: string[]): { terminal: Terminal; shown: () => string } {
    let written = '';
    const terminal = {
      rows: 5,
      columns: 20,
      out: async (chunk: string | Uint8Array) => {
        written += String(chunk);
      },
      key: async () => keys.shift() ?? 'q',
    } as unknown as Terminal;
    return { terminal, shown: () => written.replaceAll('-- more --\r          \r', '|') };
  }

  async function* numbers(): AsyncIterable<string> {
    for (let n = 1; n <= 12; n++) yield String(n);
  }

  it('stops at each screenful, goes on by page or line, and quits', async () => {
    const { terminal, shown } = screen([' ', '\r', 'q']);
    await page(numbers(), terminal, true);
    expect(shown()).toBe('1\n2\n3\n4\n|5\n6\n7\n8\n|9\n|');
  });

  it('reads no further than it shows', async () => {
    let read = 0;
    async function* counted() {
      for (;;) yield String(++read);
    }
    await page(counted(), screen(['q']).terminal, true);
    expect(read).toBe(5);
  });

  it('counts lines that are wider than the screen', async () => {
    async function* wide() {
      for (;;) yield 'x'.repeat(60);
    }
    const { terminal, shown } = screen(['q']);
    await page(wide(), terminal, true);
    expect(shown().split('\n').length - 1).toBe(2);
  });

  it('does not stop when nobody watches', async () => {
    const { terminal, shown } = screen([]);
    await page(numbers(), terminal, false);
    expect(shown().split('\n')).toHaveLength(13);
  });
});
