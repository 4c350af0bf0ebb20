import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RecordedEvent } from '../../../src/model/event.ts';
import { isOurs } from '../../../src/protocols/postgres/certify/ask.ts';
import { readFrames } from '../../../src/recording/reader.ts';
import { expectNoTrace, expectSecret, keepingBoth, load, rowsOf, type Statements, statementsIn } from './leaks.ts';
import { inEveryWay, play, Sessions, sent, type Who } from './play.ts';
import type { Step } from './player.ts';
import { startWorlds, type World, type Worlds } from './world.ts';

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

let worlds: Worlds;
let sessions: Sessions;
beforeAll(async () => {
  worlds = await startWorlds({ masking: 'rewrite' });
  sessions = new Sessions(worlds);
});
afterAll(async () => {
  sessions?.close();
  await worlds?.stop();
});

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

const only = process.env.ATTACK === undefined ? undefined : new RegExp(process.env.ATTACK);
const chosen = <T extends { readonly name: string }>(all: readonly T[]) =>
  all.filter(({ name }) => only === undefined || only.test(name));

describe('a statement that asks for what is classified', () => {
  for (const one of chosen(statementsIn('leaks')))
    it(`learns nothing — ${one.name}`, async () => {
      const { as, text } = one;
      await keepingBoth(worlds, async () => {
        const { answered } = await expectSecret((world) => sessions.play(world, as, inEveryWay(text)));
        expect(answered).toBe(true);
      });
    });
});

describe('a conversation that asks for what is classified', () => {
  it.each(chosen(load('conversations') as readonly Attack[]))(
    'learns nothing — $name',
    async ({ as = 'agent', steps, ends }) => {
      await keepingBoth(worlds, async () => {
        const { answered } = await expectSecret((world) => play(worlds, world, as, steps));
        if (ends !== true) expect(answered, 'an answer that was due').toBe(true);
      });
    },
  );
});

describe('a statement that policy denies or holds', () => {
  const cases = (load('denied') as readonly (Statements & { readonly world?: World })[]).flatMap(
    ({ as = 'agent', world = 'shop', texts }) => texts.map((text) => ({ name: `${as}: ${text}`, as, world, text })),
  );
  for (const one of chosen(cases))
    it(`does nothing — ${one.name}`, async () => {
      const { as, world, text } = one;
      for (const way of ['simple', 'extended'] as const) {
        if (way === 'extended' && text.includes(';')) continue;
        await expectUntouched(world, async () => {
          const { messages, answered } = await sessions.play(world, as, sent(text, way));
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

describe('an honest statement', () => {
  for (const one of chosen(statementsIn('honest')))
    it(`is not in the way of anybody — ${one.name}`, async () => {
      const { as, text } = one;
      const expected = await answer(text);
      const before = await worlds.fingerprint('shop');
      try {
        const rows = rowsOf(await sessions.play('shop', as, [{ query: text }]), 'simple');
        if (expected !== undefined) expect(rows).toEqual(expected);
      } finally {
        if ((await worlds.fingerprint('shop').catch(() => undefined)) !== before) await worlds.restore('shop');
      }
    });

  /** What the server gives by itself; undefined for what changes something. */
  async function answer(text: string): Promise<readonly unknown[] | undefined> {
    if (!/^(?:select|with|values|show|explain)\b/i.test(text) || /\b(?:nextval|gone)\b/.test(text)) return undefined;
    const direct = await worlds.direct('shop');
    return (await direct.query({ text, rowMode: 'array', types: { getTypeParser: () => String } })).rows;
  }
});

describe('the record', () => {
  it('has an intent before whatever the server ran', async () => {
    const { gateway } = worlds;
    const intents = new Map<string, number[]>();
    for (let after: string | undefined = '0'; after !== undefined; ) {
      const { body } = await gateway.call(
        'dana',
        'GET',
        `/v1/audit/events?type=command.intent&limit=500&after=${after}`,
      );
      const page = body as {
        items: readonly (RecordedEvent & { text: string; sent?: string; target: string })[];
        next?: string;
      };
      for (const { text, sent = text, target, time } of page.items) {
        const key = `${target} ${sent.trim()}`;
        intents.set(
          key,
          [...(intents.get(key) ?? []), Date.parse(time)].sort((a, b) => a - b),
        );
      }
      after = page.next;
    }
    const served = worlds.served().filter(({ database, text }) => database !== 'postgres' && !isOurs(text));
    expect(served.length).toBeGreaterThan(500);
    const missing = served.filter(({ text, at, database }) => {
      const times = intents.get(`${database} ${text.trim()}`);
      // Each run needs an intent of its own, no later than itself; both clocks are the same, in whole milliseconds.
      return times === undefined || (times.shift() ?? Number.POSITIVE_INFINITY) > at + 1;
    });
    expect(missing).toEqual([]);
  });

  it('holds every byte that says something', async () => {
    const { gateway } = worlds;
    const { messages } = await play(worlds, 'shop', 'sam', [
      { query: 'listen here' },
      { query: "select pg_notify('here', 'told by the server'); select id, status from orders where id < 4" },
      { query: 'select 1 / 0' },
      { query: 'drop table if exists nothing_of_that_name; select 1' },
      { query: 'rollback' },
      { parse: ['', 'select nothing_of_that_name'] },
      'sync',
      { parse: ['s', 'select $1::int as n'] },
      { bind: ['', 's', ['no number']] },
      { execute: [''] },
      'sync',
      { parse: ['t', 'select id, ssn from customers order by id'] },
      { bind: ['', 't'] },
      { describe: ['portal', ''] },
      { execute: [''] },
      'sync',
      'wait',
      { direct: "select pg_notify('here', 'told by somebody else')" },
      { until: 'A' },
    ]);
    const { body } = await gateway.call('dana', 'GET', '/v1/sessions?limit=1&principal=test:sam');
    const [session] = (body as { items: readonly { id: string }[] }).items;
    const recorded: Buffer[] = [];
    for (let attempt = 0; attempt < 50 && recorded.length === 0; attempt++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      const file = readdirSync(join(gateway.folder, 'data'), { recursive: true, encoding: 'utf8' }).find((name) =>
        name.includes(session!.id),
      );
      if (file === undefined) continue;
      try {
        for await (const { direction, bytes } of readFrames([join(gateway.folder, 'data', file)]))
          if (direction === 'reply') recorded.push(bytes);
      } catch {
        recorded.length = 0; // Not sealed yet.
      }
    }
    const all = Buffer.concat(recorded);
    // A refusal of the gateway's own is recorded with its command, not as a reply.
    const said = messages.filter(
      ({ type, bytes }) => 'DENACdT'.includes(type) && !/\0MSP\d{4}/.test(bytes.toString('latin1')),
    );
    // The player blanks the process number of a notification.
    const unrecorded = said.filter(({ type, bytes }) => !all.includes(type === 'A' ? bytes.subarray(9) : bytes));
    expect(unrecorded.map(({ type, bytes }) => `${type} ${bytes.toString('utf8', 5).replaceAll('\0', ' ')}`)).toEqual(
      [],
    );
  });
});
