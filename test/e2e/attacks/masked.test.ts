import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { binDir } from '../../support/postgres-programs.ts';
import { expectSecret, keepingBoth, rowsOf, statementsIn } from './leaks.ts';
import { Sessions, sent, type Who } from './play.ts';
import type { Step } from './player.ts';
import { startWorlds, type WorldOptions, type Worlds } from './world.ts';

const servers: readonly (readonly [string, WorldOptions])[] = [
  ['the embedded server', { masking: 'rewrite' }],
  ['the server of the system’s own packages', { masking: 'rewrite', binDir }],
];

describe.each(servers)('masked columns in statements, with %s', (_name, options) => {
  let worlds: Worlds;
  let sessions: Sessions;
  beforeAll(async () => {
    worlds = await startWorlds(options);
    sessions = new Sessions(worlds);
  });
  afterAll(async () => {
    sessions?.close();
    await worlds?.stop();
  });

  it.each(statementsIn('masked').map(({ name, as, text }) => [name, as, text] as const))(
    'give what they would give if the masks were the values — %s',
    async (_name, as, text) => {
      const model = await worlds.direct('model');
      const { rows } = await model.query({ text, rowMode: 'array', types: { getTypeParser: () => String } });
      const ways: readonly (readonly [string, readonly Step[]])[] = [
        ['simple', sent(text, 'simple')],
        ['extended', sent(text, 'extended')],
        ['described', sent(text, 'described')],
        ['cursor', slowly('begin', `declare c cursor for ${text}`, 'fetch all from c', 'rollback')],
      ];
      for (const [way, steps] of ways) expect(rowsOf(await sessions.play('shop', as, steps), way), way).toEqual(rows);
    },
  );

  if (options.binDir === undefined) return;
  it.each(statementsIn('leaks').map(({ name, as, text }) => [name, as, text] as const))(
    'tell nothing — %s',
    async (_name, as, text) => {
      await tellsNothing(worlds, sessions, as, text);
    },
  );
});

describe('where statements are not rewritten', () => {
  let worlds: Worlds;
  let sessions: Sessions;
  beforeAll(async () => {
    worlds = await startWorlds({ masking: 'plain' });
    sessions = new Sessions(worlds);
  });
  afterAll(async () => {
    sessions?.close();
    await worlds?.stop();
  });

  it.each(statementsIn('leaks').map(({ name, as, text }) => [name, as, text] as const))(
    'they tell nothing — %s',
    async (_name, as, text) => {
      await tellsNothing(worlds, sessions, as, text);
    },
  );

  it('those that use masked columns are refused', async () => {
    for (const { as, text } of statementsIn('masked').slice(0, 10)) {
      const { messages } = await sessions.play('shop', as, sent(text, 'simple'));
      expect(messages.some(({ type, bytes }) => type === 'E' && bytes.includes('SP4001'))).toBe(true);
    }
  });
});

async function tellsNothing(worlds: Worlds, sessions: Sessions, as: Who, text: string): Promise<void> {
  const ask = async () => {
    const { answered } = await expectSecret((world) =>
      sessions.play(world, as, [...sent(text, 'simple'), { query: 'rollback' }]),
    );
    expect(answered).toBe(true);
  };
  if (/^(?:select|table|values|explain)\b/i.test(text)) await ask();
  else await keepingBoth(worlds, ask);
}

function slowly(...texts: readonly string[]): readonly Step[] {
  return texts.flatMap((query): readonly Step[] => [{ query }, 'wait']);
}
