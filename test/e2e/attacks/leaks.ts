import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { parse } from 'yaml';
import { parseDataRow } from '../../../src/protocols/postgres/codec.ts';
import { type Played, traces, type Who } from './play.ts';
import { canaries, type World, type Worlds } from './world.ts';

/** One caller's statements, in a data file. */
export interface Statements {
  readonly as?: Who;
  readonly texts: readonly string[];
}

export function load(file: string): unknown {
  return parse(readFileSync(new URL(`${file}.yaml`, import.meta.url), 'utf8'));
}

export interface Case {
  readonly name: string;
  readonly as: Who;
  readonly text: string;
}

export function statementsIn(file: string): readonly Case[] {
  return (load(file) as readonly Statements[]).flatMap(({ as = 'agent', texts }) =>
    texts.map((text) => ({ name: `${as}: ${text}`, as, text })),
  );
}

export function expectNoTrace({ messages }: Played): void {
  const bytes = Buffer.concat(messages.map((message) => message.bytes));
  const text = bytes.toString('latin1');
  expect(canaries.flatMap(traces).filter((trace) => text.includes(trace))).toEqual([]);
}

/** Runs in both worlds: what comes back is the same, and nothing classified is in it. */
export async function expectSecret(playIn: (world: World) => Promise<Played>): Promise<Played> {
  const [shop, twin] = await Promise.all([playIn('shop'), playIn('twin')]);
  expectNoTrace(shop);
  expectNoTrace(twin);
  expect(twin.shown).toBe(shop.shown);
  return shop;
}

/** Callers who may write change something; the next case finds both worlds as they were. */
export async function keepingBoth(worlds: Worlds, run: () => Promise<void>): Promise<void> {
  const pair = ['shop', 'twin'] as const;
  const before = await Promise.all(pair.map((world) => worlds.fingerprint(world)));
  try {
    await run();
  } finally {
    for (const [i, world] of pair.entries())
      if ((await worlds.fingerprint(world).catch(() => undefined)) !== before[i]) await worlds.restore(world);
  }
}

/** What a caller was shown of a statement; fails where that was an error. */
export function rowsOf({ messages, answered }: Played, way: string): readonly (readonly (string | null)[])[] {
  expect(answered).toBe(true);
  for (const { type, bytes } of messages)
    if (type === 'E') expect.fail(`${way}: ${bytes.toString('utf8', 5).replaceAll('\0', ' ')}`);
  return messages.filter(({ type }) => type === 'D').map(({ bytes }) => valuesOf(bytes));
}

export function valuesOf(row: Buffer): readonly (string | null)[] {
  return parseDataRow(row, 0, row.length).map((value) => value?.toString() ?? null);
}
