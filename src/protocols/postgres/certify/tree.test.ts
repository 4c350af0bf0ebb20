import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isNode, readTree, UnknownTree } from './tree.ts';

const entry = (name: string) =>
  `{TARGETENTRY :expr {VAR :varno 1 :varattno 4 :vartype 25} :resno 1 :resname ${name} :ressortgroupref 0 :resjunk false}`;
const query = (targets: string) => `({QUERY :commandType 1 :utilityStmt <> :targetList (${targets})})`;

/** As the server writes a name (outToken in outfuncs.c). */
function written(name: string): string {
  const first = /^[<"]|^[0-9]|^[+-][0-9.]/.test(name) ? '\\' : '';
  return first + name.replaceAll(/[ \n\t(){}\\]/g, (character) => `\\${character}`);
}

/** As the server folds what it writes (format_node_dump in print.c). */
function folded(dump: string): string {
  let text = '';
  for (let i = 0; ; ) {
    let line = dump.slice(i, i + 78);
    i += line.length;
    if (i >= dump.length) return `${text}${line}\n`;
    if (dump[i] === ' ') i += 1;
    else {
      const at = line.lastIndexOf(' ');
      if (at > 0) {
        i -= line.length - at - 1;
        line = line.slice(0, at);
      }
    }
    text += `${line}\n`;
  }
}

describe('the server’s tree', () => {
  it('is read, whatever its lines', () => {
    const [node] = readTree(folded(query(`${entry('ssn')} ${entry('x')}`)));
    expect(node?.fields.commandType).toBe('1');
    const targets = node?.fields.targetList as readonly unknown[];
    expect(targets).toHaveLength(2);
  });

  it.each([
    ['nothing', ''],
    ['a query that is no list', '{QUERY :commandType 1}'],
    ['an empty list', '()'],
    ['another node', '({VAR :varno 1})'],
    ['a node that is not known', query('{CALLSOMETHING :funcid 1}')],
    ['a field that is not known', query('{VAR :varno 1 :secret 3}')],
    ['a field twice', query('{VAR :varno 1 :varno 2}')],
    ['a field without a value', query('{VAR :varno }')],
    ['a list that does not end', '({QUERY :commandType 1'],
    ['something behind it', `${query('')} x`],
    ['a constant without bytes', query('{CONST :constvalue 4 52 0 0 0}')],
    ['a constant with something else among its bytes', query('{CONST :constvalue 4 [ 52 {VAR :varno 1} ]}')],
    ['a name that lines may cut', query(entry(`${'\\}'.repeat(40)}`))],
  ])('is not read when it is %s', (_what, text) => {
    expect(() => readTree(text)).toThrow(UnknownTree);
  });

  it('is bounded in depth, nodes and length', () => {
    const limits = { maxDepth: 10, maxNodes: 10, maxLength: 1000 };
    expect(() => readTree(`${'('.repeat(30)}${')'.repeat(30)}`, limits)).toThrow('deep');
    expect(() => readTree(query('{VAR :varno 1} '.repeat(20)), limits)).toThrow('many');
    expect(() => readTree(' '.repeat(2000), limits)).toThrow('large');
    expect(() => readTree(`${'('.repeat(1_000_000)}`)).toThrow(UnknownTree);
  });

  it('keeps its structure whatever names somebody chose', () => {
    const character = fc.constantFrom(...' \n\t(){}\\:<>"0-[]a'.split(''), ':resno', '{VAR', '<>');
    fc.assert(
      fc.property(fc.array(character, { minLength: 1, maxLength: 63 }), (characters) => {
        const name = characters.join('').slice(0, 63);
        let queries: ReturnType<typeof readTree>;
        try {
          queries = readTree(folded(query(`${entry(written(name))} ${entry('y')}`)));
        } catch (error) {
          // Not to be read is the other good end.
          expect(error).toBeInstanceOf(UnknownTree);
          return;
        }
        const targets = queries[0]?.fields.targetList;
        expect(targets).toHaveLength(2);
        for (const target of targets as readonly (typeof queries)[number][]) {
          expect(isNode(target) && target.kind).toBe('TARGETENTRY');
          expect(Object.keys(target.fields)).toEqual(['expr', 'resno', 'resname', 'ressortgroupref', 'resjunk']);
          expect(target.fields.resno).toBe('1');
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('throws nothing else for any text', () => {
    const piece = fc.constantFrom(
      '(',
      ')',
      '{',
      '}',
      'QUERY',
      'VAR',
      ':varno',
      ':constvalue',
      '[',
      ']',
      '1',
      '<>',
      '\\',
      ' ',
      '\n',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 80 }), (pieces) => {
        try {
          readTree(pieces.join(' '));
        } catch (error) {
          expect(error).toBeInstanceOf(UnknownTree);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
