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

  it('leave the client’s own names alone, and fail as the server would', async () => {
    const masked = 'select upper(ssn) from customers where id = 1';
    const played = await sessions.play('shop', 'agent', [
      { parse: ['', 'select 41 + 1'] },
      'sync',
      'wait',
      { parse: ['s', masked] },
      { describe: ['statement', 's'] },
      'sync',
      'wait',
      { bind: ['', ''] },
      { execute: [''] },
      'sync',
      'wait',
      { bind: ['', 's'] },
      { execute: [''] },
      'sync',
      'wait',
    ]);
    expect(rowsOf(played, 'names')).toEqual([['42'], ['[MASKED:PII.SSN]']]);
    const failed = await sessions.play('shop', 'agent', [
      ...slowly('begin', 'select upper(ssn) || nothing from customers', 'select 1', 'rollback'),
      ...slowly('select upper(ssn) || nothing from customers', masked),
      { parse: ['', 'select upper(ssn) || nothing from customers'] },
      { bind: ['', ''] },
      { execute: [''] },
      'sync',
      'wait',
      ...slowly(
        'begin',
        masked,
        'savepoint a',
        'select length(ssn) / 0 from customers',
        'rollback to a',
        masked,
        'commit',
      ),
    ]);
    const told = failed.messages
      .filter(({ type }) => 'EZD'.includes(type))
      .map(({ type, bytes }) =>
        type === 'E'
          ? /\0C([0-9A-Z]{5})\0/.exec(bytes.toString('latin1'))?.[1]
          : type === 'Z'
            ? bytes.toString('latin1', 5)
            : type,
      );
    expect(told.join(' ')).toBe('T 42703 E 25P02 E I 42703 I D I 42703 I T D T T 22012 E T D T I');
  });

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
