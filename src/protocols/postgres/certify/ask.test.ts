import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PeerError } from '../../../model/errors.ts';
import { Server } from '../codec.ts';
import { type Analysed, Ask, isOurs } from './ask.ts';

/** A message as a server sends it. */
function message(type: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(5);
  head[0] = type;
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function row(...values: readonly string[]): Buffer {
  const parts = values.map((value) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(Buffer.byteLength(value));
    return Buffer.concat([length, Buffer.from(value)]);
  });
  const count = Buffer.alloc(2);
  count.writeInt16BE(values.length);
  return message(Server.DataRow, Buffer.concat([count, ...parts]));
}

const values = ['notice', 'on', 'off', 'off', 'log', 'on', '["pg_catalog","public"]'];
const complete = message(Server.CommandComplete, Buffer.from('SELECT 1\0'));
const before = [message(Server.ParseComplete), message(Server.BindComplete)];
const rest = [complete, message(Server.CloseComplete), message(Server.CloseComplete)];
const after = [
  message(Server.ParseComplete),
  message(Server.CloseComplete),
  message(Server.ReadyForQuery, Buffer.from('I')),
];
const error = message(Server.ErrorResponse, Buffer.from('SERROR\0VERROR\0C42703\0Mno such column\0\0'));
const tree = (text: string, routine = 'elog_node_display') => ({
  severity: 'LOG',
  sqlstate: '00000',
  message: '',
  fields: new Map([
    ['M', 'rewritten parse tree:'],
    ['D', text],
    ['R', routine],
  ]),
});

function asking(): { readonly ask: Ask; readonly answers: Analysed[]; feed(...messages: readonly Buffer[]): boolean } {
  const answers: Analysed[] = [];
  const ask = new Ask('select 1', [], (analysed) => answers.push(analysed));
  return {
    ask,
    answers,
    feed: (...messages) => messages.map((bytes) => ask.message(bytes[0]!, bytes, 0, bytes.length)).some((last) => last),
  };
}

describe('a question of the gateway’s own', () => {
  it('gets the tree that is printed while the statement is analysed, and only that', () => {
    const { ask, answers, feed } = asking();
    ask.notice(tree('too early'));
    feed(...before, row(...values), ...rest);
    ask.notice(tree('raised by a function', 'exec_stmt_raise'));
    ask.notice(tree('({QUERY})'));
    feed(after[0]!);
    ask.notice(tree('too late'));
    expect(feed(...after.slice(1))).toBe(true);
    expect(answers).toEqual([{ kind: 'tree', tree: '({QUERY})', schemas: ['pg_catalog', 'public'], temporary: false }]);
  });

  it('has no answer without a tree, and with two', () => {
    for (const trees of [[], ['(a)', '(b)']]) {
      const { ask, answers, feed } = asking();
      feed(...before, row(...values), ...rest);
      for (const text of trees) ask.notice(tree(text));
      feed(...after);
      expect(answers).toEqual([{ kind: 'lost' }]);
    }
  });

  it('tells a statement that fails from a server that does not answer', () => {
    const statement = asking();
    statement.feed(...before, row(...values), ...rest, error, after[2]!);
    expect(statement.answers).toMatchObject([{ kind: 'failed', report: { sqlstate: '42703' } }]);
    const ours = asking();
    ours.feed(error, after[2]!);
    expect(ours.answers).toEqual([{ kind: 'lost' }]);
    const gone = asking();
    gone.ask.lost();
    expect(gone.answers).toEqual([{ kind: 'lost' }]);
  });

  it('takes nothing that was not due, whatever a server sends', () => {
    expect(() => asking().feed(message(Server.ReadyForQuery, Buffer.from('I')))).toThrow(PeerError);
    expect(() => asking().feed(...before, row('notice'))).toThrow(PeerError);
    expect(() => asking().feed(...before, row(...values.slice(0, 6), '{}'))).toThrow(PeerError);
    expect(() => asking().feed(...before, row(...values.slice(0, 6), '['))).toThrow(PeerError);
    expect(() => asking().feed(...before, row("notice', true)", ...values.slice(1)))).toThrow(PeerError);
    const pieces = fc.constantFrom(...before, row(...values), ...rest, ...after, error, row('x'), complete);
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 14 }), (messages) => {
        const { answers, feed } = asking();
        try {
          if (!feed(...messages)) expect(answers).toEqual([]);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(PeerError);
        }
      }),
    );
  });

  it('is known by its text, and no other is', () => {
    expect(isOurs('select 1')).toBe(false);
    expect(isOurs("select pg_catalog.set_config('search_path', 'x', true)")).toBe(false);
  });
});
