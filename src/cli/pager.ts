import type { Terminal } from './terminal.ts';

/** Writes lines. With `paged`, stops at each screenful for a key: space for the next, enter for a line more, q to quit. */
export async function page(lines: AsyncIterable<string>, terminal: Terminal, paged: boolean): Promise<void> {
  let room = terminal.rows - 1;
  for await (const line of lines) {
    if (paged && room <= 0) {
      room = await more(terminal);
      if (room === 0) return;
    }
    await terminal.out(`${line}\n`);
    // A line that is wider than the screen takes several of its rows.
    room -= Math.max(1, Math.ceil(line.length / Math.max(1, terminal.columns)));
  }
}

/** How many rows may follow; 0 to stop. */
async function more(terminal: Terminal): Promise<number> {
  await terminal.out('-- more --');
  const pressed = await terminal.key();
  await terminal.out('\r          \r');
  if (pressed === 'q' || pressed === 'Q' || pressed === '\u0003' || pressed === '\u0004') return 0;
  return pressed === '\r' || pressed === '\n' ? 1 : terminal.rows - 1;
}
