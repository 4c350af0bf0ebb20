import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { inEveryWay, type Played, play, sent, traces, type Who } from './play.ts';
import type { Step } from './player.ts';
import { canaries, startWorlds, type World, type Worlds } from './world.ts';

interface Attack {
  readonly name: string;
  readonly as?: Who;
  readonly world?: World;
  readonly steps: readonly Step[];
  /** Queries that must answer true afterwards, where more may have changed than nothing. */
  readonly still?: readonly string[];
  /** The client goes away on purpose, or is thrown out. */
  readonly ends?: boolean;
}

interface Statements {
  readonly as?: Who;
  readonly texts: readonly string[];
}

const load = (file: string) => parse(readFileSync(new URL(`${file}.yaml`, import.meta.url), 'utf8')) as unknown;

let worlds: Worlds;
beforeAll(async () => {
  worlds = await startWorlds();
});
afterAll(() => worlds?.stop());

function expectNoTrace({ messages }: Played): void {
  const bytes = Buffer.concat(messages.map((message) => message.bytes));
  const text = bytes.toString('latin1');
  for (const canary of canaries) for (const trace of traces(canary)) expect(text.includes(trace), trace).toBe(false);
}

/** Runs in both worlds: what comes back is the same, and nothing classified is in it. */
async function expectSecret(who: Who, steps: readonly Step[]): Promise<Played> {
  const [shop, twin] = [await play(worlds, 'shop', who, steps), await play(worlds, 'twin', who, steps)];
  expectNoTrace(shop);
  expectNoTrace(twin);
  expect(twin.shown).toBe(shop.shown);
  return shop;
}

/** Nothing in the database is different afterwards. */
async function expectUntouched(world: World, run: () => Promise<unknown>): Promise<void> {
  const before = await worlds.fingerprint(world);
  const failure = await run().then(
    () => undefined,
    (error: unknown) => error,
  );
  const after = await worlds.fingerprint(world).catch((error: unknown) => `gone: ${String(error)}`);
  if (after !== before) await worlds.restore(world);
  expect(after, 'what the database holds').toBe(before);
  if (failure !== undefined) throw failure;
}

/** Callers who may write change something; the next case finds both worlds as they were. */
async function keepingBoth(run: () => Promise<void>): Promise<void> {
  const pair = ['shop', 'twin'] as const;
  const before = await Promise.all(pair.map((world) => worlds.fingerprint(world)));
  try {
    await run();
  } finally {
    for (const [i, world] of pair.entries())
      if ((await worlds.fingerprint(world).catch(() => undefined)) !== before[i]) await worlds.restore(world);
  }
}

const only = process.env.ATTACK === undefined ? undefined : new RegExp(process.env.ATTACK);
const chosen = <T extends { readonly name: string }>(all: readonly T[]) =>
  all.filter(({ name }) => only === undefined || only.test(name));

describe('a statement that asks for what is classified', () => {
  const cases = (load('leaks') as readonly Statements[]).flatMap(({ as = 'agent', texts }) =>
    texts.map((text) => ({ name: `${as}: ${text}`, as, text })),
  );
  it.each(chosen(cases))('learns nothing — $name', async ({ as, text }) => {
    await keepingBoth(async () => {
      const { answered } = await expectSecret(as, inEveryWay(text));
      expect(answered).toBe(true);
    });
  });
});

describe('a conversation that asks for what is classified', () => {
  it.each(chosen(load('conversations') as readonly Attack[]))(
    'learns nothing — $name',
    async ({ as = 'agent', steps, ends }) => {
      await keepingBoth(async () => {
      const { answered } = await expectSecret(as, steps);
      if (ends !== true) expect(answered, 'an answer that was due').toBe(true);
    });
  });
});

describe('a statement that policy denies or holds', () => {
  const cases = (load('denied') as readonly (Statements & { readonly world?: World })[]).flatMap(
    ({ as = 'agent', world = 'shop', texts }) => texts.map((text) => ({ name: `${as}: ${text}`, as, world, text })),
  );
  it.each(chosen(cases))('does nothing — $name', async ({ as, world, text }) => {
    for (const way of ['simple', 'extended'] as const) {
      if (way === 'extended' && text.includes(';')) continue;
      await expectUntouched(world, async () => {
        const { messages, answered } = await play(worlds, world, as, sent(text, way));
        expect(answered).toBe(true);
        expect(messages.map(({ type }) => type)).toContain('E');
      });
    }
  });
});

describe('a conversation that gets at what policy denies or holds', () => {
  it.each(chosen(load('smuggling') as readonly Attack[]))(
    'does nothing — $name',
    async ({ as = 'agent', world = 'shop', steps, still, ends }) => {
      const run = async () => {
        const played = await play(worlds, world, as, steps);
        expectNoTrace(played);
        if (ends !== true) expect(played.answered, 'an answer that was due').toBe(true);
      };
      if (still === undefined) return expectUntouched(world, run);
      try {
        await run();
        const direct = await worlds.direct(world);
        for (const text of still) expect((await direct.query({ text, rowMode: 'array' })).rows, text).toEqual([[true]]);
      } finally {
        await worlds.restore(world);
      }
    },
  );
});
