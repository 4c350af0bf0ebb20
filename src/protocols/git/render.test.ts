import { describe, expect, it } from 'vitest';
import type { RecordedFrame, ReplayItem } from '../../gateway/protocol.ts';
import { flush, packet } from './pktline.ts';
import { replay } from './render.ts';

const a = 'a'.repeat(40);

/** What a recording of these frames shows, with every reply cut into pieces of `size` bytes. */
async function shown(
  frames: readonly [number, 'request' | 'reply', string | Buffer][],
  size: number,
): Promise<string[]> {
  async function* recorded(): AsyncGenerator<RecordedFrame> {
    for (const [exchange, direction, content] of frames) {
      const bytes = Buffer.from(content);
      const step = direction === 'request' ? bytes.length : size;
      for (let at = 0; at < bytes.length; at += step)
        yield { exchange, at: 5, direction, bytes: bytes.subarray(at, at + step) };
    }
  }
  const texts: string[] = [];
  for await (const item of replay(recorded())) texts.push(text(item));
  return texts;
}

function text(item: ReplayItem): string {
  if (item.kind === 'row') return `${item.exchange} row ${item.values.join('|')}`;
  if (item.kind === 'columns') return `${item.exchange} columns ${item.names.join('|')}`;
  return `${item.exchange} ${item.kind} ${item.text}`;
}

const pack = { objects: 3, bytes: 500, sha256: 'd'.repeat(64) };
const frames: [number, 'request' | 'reply', string | Buffer][] = [
  [1, 'request', JSON.stringify({ text: 'list refs of x' })],
  [1, 'reply', Buffer.concat([packet(`${a} refs/heads/mäin\0caps\n`), packet(`${a} refs/heads/\u202ey\n`), flush])],
  [2, 'request', JSON.stringify({ text: 'fetch x' })],
  [2, 'reply', `${JSON.stringify({ pack })}\n`],
  [3, 'request', JSON.stringify({ text: 'push to x', parameters: ['ref'], preview: 'commit 1\n+line', pack })],
  [
    3,
    'reply',
    `${JSON.stringify({ remote: ['hello'] })}\n${JSON.stringify({ unpack: 'ok', refs: [['refs/heads/x', { ok: false, reason: 'hook' }]] })}\n`,
  ],
  [4, 'request', JSON.stringify({ text: 'push to y' })],
  [4, 'request', JSON.stringify({ refused: 'SP2001: no' })],
];

describe('a replay', () => {
  it.each([1, 7, 1000])('shows commands, refs, packs and reports, recorded in pieces of %d bytes', async (size) => {
    expect(await shown(frames, size)).toEqual([
      '1 command list refs of x',
      '1 columns refs',
      `1 row ${a} refs/heads/mäin`,
      `1 row ${a} refs/heads/\ufffdy`,
      '2 command fetch x',
      `2 status pack: 3 objects, 500 bytes, SHA-256 ${'d'.repeat(64)}`,
      '3 command push to x',
      `3 status pack: 3 objects, 500 bytes, SHA-256 ${'d'.repeat(64)}`,
      '3 row commit 1',
      '3 row +line',
      '3 status remote: hello',
      '3 status ng refs/heads/x hook',
      '4 command push to y',
      '4 status refused: SP2001: no',
    ]);
  });
});
