import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Classified, Resource } from '../model/command.ts';
import type { Principal } from '../model/principal.ts';
import type { Target } from '../model/target.ts';
import { type CompiledPolicies, compilePolicies } from './compile.ts';
import { Engine, loadCedar } from './engine.ts';
import { evaluateCommand, maxQuestions, type Rules, rulesOf } from './evaluate.ts';
import { compileIsolated } from './isolate.ts';
import { openPolicies } from './port.ts';
import { sceneOf } from './scene.ts';
import { scanPolicies, textLimits } from './text.ts';
import { tryCompile } from './try-compile.ts';

const policy = (condition: string): string =>
  `@id("x")\npermit (principal, action == Action::"read", resource)\nwhen { ${condition} };`;
const nested = (open: string, inner: string, close: string, n: number): string =>
  open.repeat(n) + inner + close.repeat(n);
const principal: Principal = {
  id: 'test:a',
  kind: 'agent',
  issuer: 'test',
  subject: 'a',
  name: 'A',
  groups: [],
  claims: {},
};
const target: Target = { name: 'orders', protocol: 'postgres', labels: { env: 'prod' }, holdMs: 0, settings: {} };
const facts = { statements: 1, hasWhere: true, functions: [], verbs: ['SELECT'] };

function compiled(text: string): CompiledPolicies {
  const compilation = compilePolicies(loadCedar(), [{ file: 'p.cedar', text }]);
  if ('problems' in compilation) throw new Error(JSON.stringify(compilation.problems));
  return compilation.compiled;
}

describe('hostile policy text', () => {
  const bombs: readonly [string, string][] = [
    ['200 parentheses', policy(nested('(', 'true', ')', 200))],
    ['100,000 parentheses', policy(nested('(', 'true', ')', 100_000))],
    ['200 sets', policy(`${nested('[', '1', ']', 200)} == [1]`)],
    ['200 records', policy(`${nested('{a:', '1', '}', 200)} == {a: 1}`)],
    ['1,000 ifs', policy(`${'if true then true else '.repeat(1000)}true`)],
    ['4,000 ands', policy(Array(4000).fill('true').join(' && '))],
    ['4,000 sums', policy(`${Array(4000).fill('1').join('+')} > 0`)],
    ['4,000 members', policy(`context${'.a'.repeat(4000)} == 1`)],
    ['4,000 nots', policy(`${'!'.repeat(4000)}true`)],
    [
      'parentheses that comments and strings seem to close',
      policy(`${'( "))))" == ")" && // ))))\n'.repeat(200)}true${')'.repeat(200)}`),
    ],
    ['300 kB', `${policy('true')} //${'x'.repeat(300 * 1024)}`],
  ];

  it.each(bombs)('is refused before the parser sees it: %s', (_, text) => {
    const never = new Proxy({}, { get: () => expect.unreachable('the text reached Cedar') }) as ReturnType<
      typeof loadCedar
    >;
    const compilation = compilePolicies(never, [{ file: 'bomb.cedar', text }]);
    expect(compilation).toMatchObject({ problems: [{ file: 'bomb.cedar', line: expect.any(Number) }] });
  });

  it('is refused when a folder holds too much of it', async () => {
    const files = (count: number, size: number) =>
      Array.from({ length: count }, (_, i) => ({ file: `${i}.cedar`, text: `// ${'x'.repeat(size)}` }));
    for (const folder of [files(5, 250_000), files(201, 1)]) {
      expect(compilePolicies(loadCedar(), folder)).toMatchObject({ problems: [{ file: '.' }] });
    }
  });

  it('may nest as deep as is promised', () => {
    const depth = textLimits.nesting - 1;
    expect(compiled(policy(nested('(', 'true', ')', depth))).policies).toHaveLength(1);
    expect(
      compiled(policy(Array(textLimits.operators).fill('context.hasWhere').slice(0, 240).join(' && '))).policies,
    ).toHaveLength(1);
  });

  it('is given up on when it takes too long, and the thread is gone', async () => {
    const compilation = await compileIsolated([{ file: 'a.cedar', text: policy('true') }], 1);
    expect(compilation).toEqual({
      problems: [{ file: '.', line: 1, message: 'the policies could not be compiled within 1 ms' }],
    });
  });

  it('that ends the engine in spite of all limits is named with file and line', () => {
    const load = (): ReturnType<typeof loadCedar> => {
      const cedar = loadCedar();
      const trap = (): never => {
        throw new RangeError('memory access out of bounds');
      };
      return { ...cedar, validate: (call) => (JSON.stringify(call).includes('bomb') ? trap() : cedar.validate(call)) };
    };
    const fine = policy('true');
    const bomb = policy('context.verb == "bomb"').replace('"x"', '"y"');
    const compilation = tryCompile(
      [
        { file: 'a.cedar', text: fine },
        { file: 'b.cedar', text: `// b\n${bomb}` },
      ],
      load,
    );
    expect(compilation).toEqual({
      problems: [{ file: 'b.cedar', line: 2, message: expect.stringContaining('ends the policy engine') }],
    });
  });

  it('of any kind is compiled or refused, and never thrown about', () => {
    let cedar = loadCedar();
    const word = fc.constantFrom(
      ...[
        'permit',
        'forbid',
        '(',
        ')',
        '{',
        '}',
        '[',
        ']',
        ';',
        ',',
        'when',
        'unless',
        'principal',
        'action',
        'resource',
        'context',
        '==',
        'in',
        '&&',
        '||',
        '!',
      ],
      ...[
        'has',
        'like',
        'is',
        'if',
        'then',
        'else',
        '.',
        '@id',
        '("a")',
        '"x"',
        '"\\u{1F600}"',
        '//',
        '\n',
        'Action::"read"',
        'Table::"t"',
        '1',
        '-',
        '9223372036854775808',
        'é',
        '\u0000',
      ],
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(word, { maxLength: 40 }).map((words) => words.join(' ')),
          fc.string({ maxLength: 200, unit: 'binary' }),
        ),
        (text) => {
          try {
            const compilation = compilePolicies(cedar, [{ file: 'f.cedar', text }]);
            if ('problems' in compilation)
              for (const { line } of compilation.problems) expect(line).toBeLessThanOrEqual(text.split('\n').length);
          } catch (error) {
            cedar = loadCedar();
            throw error;
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('is split into policies at the right places', () => {
    const texts = ['permit(a);', '@id("a;\\"b")\nforbid(b); ', '// c;\n', ' x("//;") ;'];
    const { spans } = scanPolicies({ file: 'f', text: texts.join('') });
    expect(spans.map(({ start, end }) => texts.join('').slice(start, end))).toEqual([
      'permit(a);',
      '@id("a;\\"b")\nforbid(b);',
      'x("//;") ;',
    ]);
  });
});

const resource = fc.record<Resource>({
  type: fc.constantFrom('Table', 'Column', 'Function', 'Schema', 'Object', 'Repository', 'Ref', 'Path', 'Host'),
  id: fc.oneof(
    fc.constantFrom('public.a', 'public.b', 'secret.a', 'secret.a.b', '', '.', '"', 'a"b.c'),
    fc.string({ unit: 'binary' }),
  ),
  access: fc.constantFrom('read', 'write', 'execute'),
});
const classified: fc.Arbitrary<Classified> = fc.record({
  verb: fc.string({ unit: 'binary' }),
  actions: fc.subarray(
    ['read', 'session', 'export', 'write', 'bulkWrite', 'execute', 'schemaChange', 'destroy', 'administer'] as const,
    { minLength: 1 },
  ),
  resources: fc.array(resource, { maxLength: 12 }),
  facts: fc.record({
    statements: fc.integer({ min: 0, max: 1e6 }),
    hasWhere: fc.boolean(),
    functions: fc.array(fc.string({ unit: 'binary' }), { maxLength: 5 }),
    verbs: fc.array(fc.constantFrom('SELECT', 'DELETE', 'é'), { maxLength: 3 }),
  }),
});

describe('hostile requests', () => {
  const text =
    '@id("all") permit (principal, action, resource); @id("no") forbid (principal, action, resource in Schema::"orders/secret");';
  const open = () =>
    openPolicies({
      dir: '.',
      read: async () => [{ file: 'p.cedar', text }],
      classificationsOf: () => ['pii'],
      log: () => {},
      watch: false,
    });

  it('of any kind are decided, never thrown about', async () => {
    const policies = await open();
    const anyPrincipal = fc.record({
      id: fc.string({ unit: 'binary' }),
      groups: fc.array(fc.string({ unit: 'binary' }), { maxLength: 5 }),
      claims: fc.dictionary(
        fc.string({ unit: 'binary' }),
        fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.array(fc.string())),
      ),
      owner: fc.string(),
    });
    fc.assert(
      fc.property(
        anyPrincipal,
        fc.string({ unit: 'binary' }),
        fc.dictionary(fc.string(), fc.string()),
        classified,
        (odd, name, labels, command) => {
          const caller = {
            principal: { ...principal, ...odd },
            proof: { kind: 'oidc', id: '', expiresAt: 0 },
          } as const;
          const where = { ...target, name, labels };
          expect(policies.decideCommand(caller, where, command).outcome).toMatch(/^(allow|deny)$/);
          expect(policies.decideConnect(caller, where).outcome).toMatch(/^(allow|deny)$/);
        },
      ),
      { numRuns: 150 },
    );
    await policies.close();
  });

  it('that are not even of the right shape are denied', async () => {
    const policies = await open();
    const caller = { principal, proof: { kind: 'oidc', id: '', expiresAt: 0 } } as const;
    const deep = JSON.parse(`${'['.repeat(3000)}1${']'.repeat(3000)}`) as never;
    for (const command of [
      undefined,
      null,
      {},
      { actions: 1 },
      { verb: deep, actions: ['read'], resources: [], facts },
      { verb: 'X', actions: ['frob'], resources: [], facts },
      { verb: 'X', actions: [], resources: [], facts },
    ]) {
      expect(policies.decideCommand(caller, target, command as never)).toMatchObject({
        outcome: 'deny',
        rule: 'policy-engine',
      });
    }
    expect(policies.decideConnect({ ...caller, principal: undefined as never }, target)).toMatchObject({
      outcome: 'deny',
    });
    expect(policies.decideConnect(caller, undefined as never)).toMatchObject({ outcome: 'deny' });
    expect(
      policies.decideCommand(caller, target, { verb: 'SELECT', actions: ['read'], resources: [], facts }),
    ).toMatchObject({ outcome: 'allow' });
    await policies.close();
  });

  it('with more than can be decided on are denied', async () => {
    const policies = await open();
    const decide = (change: Partial<Classified>, who: Partial<Principal> = {}) =>
      policies.decideCommand(
        { principal: { ...principal, ...who }, proof: { kind: 'oidc', id: '', expiresAt: 0 } },
        target,
        { verb: 'SELECT', actions: ['read'], resources: [], facts, ...change },
      );
    const tables = (n: number): Resource[] =>
      Array.from({ length: n }, (_, i) => ({ type: 'Table', id: `s.t${i}`, access: 'read' }));
    const names = (n: number): string[] => Array.from({ length: n }, (_, i) => `n${i}`);
    expect(decide({ resources: tables(5000) })).toMatchObject({ outcome: 'allow' });
    expect(decide({ resources: tables(5001) })).toMatchObject({
      outcome: 'deny',
      reason: expect.stringContaining('5000'),
    });
    expect(decide({ facts: { ...facts, functions: names(1001) } })).toMatchObject({
      outcome: 'deny',
      reason: expect.stringContaining('1000'),
    });
    expect(decide({}, { groups: names(1001) })).toMatchObject({ outcome: 'deny', rule: 'policy-engine' });
    expect(decide({}, { claims: { k: 'x'.repeat(100_001) } })).toMatchObject({
      outcome: 'deny',
      rule: 'policy-engine',
    });
    expect(decide({ facts: { ...facts, functions: ['x'.repeat(1_000_000)] } })).toMatchObject({ outcome: 'allow' });
    await policies.close();
  });
});

describe('questions that no policy can tell apart', () => {
  const conditions = [
    'resource.name == "public.a"',
    'resource.name like "secret.*"',
    'resource is Table && resource.schema == "secret"',
    'resource in Schema::"orders/secret"',
    'resource == Table::"orders/public.a"',
    'resource in [Table::"orders/public.a", Table::"orders/secret.a"]',
    'resource is Table && [Table::"orders/public.a"].contains(resource)',
    'resource is Column && resource.table == "secret.a"',
    'resource is Path',
    'resource is Ref in Target::"orders"',
    'context.hasWhere',
    'context.functions.contains("a")',
    'context.verbs.containsAny(["DELETE"])',
    'context.statements > 1',
    'principal in Group::"g"',
    'context.target == Target::"orders"',
    'resource is Table && {r: resource} == {r: Table::"orders/public.b"}',
    '(if context.hasWhere then resource else resource) == Schema::"orders/public"',
    'context.verb == "x"',
    'resource has schema && resource has table',
  ];
  const body = fc.tuple(
    fc.constantFrom(...conditions),
    fc.constantFrom(...conditions),
    fc.constantFrom('&&', '||'),
    fc.boolean(),
  );
  const rule = fc.record({
    body,
    effect: fc.constantFrom('permit', 'forbid'),
    action: fc.constantFrom('', ' in Action::"change"', ' == Action::"read"', ' in Action::"command"'),
  });

  it('get the answer that each would get by itself', () => {
    const engine = new Engine();
    const cedar = loadCedar();
    let compared = 0;
    fc.assert(
      fc.property(
        fc.array(rule, { minLength: 1, maxLength: 4 }),
        fc.array(classified, { minLength: 1, maxLength: 4 }),
        (rules, commands) => {
          const text = ['@id("base") permit (principal, action in Action::"command", resource);'];
          for (const [
            i,
            {
              body: [a, b, operator, not],
              effect,
              action,
            },
          ] of rules.entries()) {
            const scope = action === '' ? ' in Action::"command"' : action;
            text.push(
              `@id("r${i}") ${effect} (principal, action${scope}, resource) when { ${not ? '!' : ''}((${a}) ${operator} (${b})) };`,
            );
          }
          const compilation = compilePolicies(cedar, [{ file: 'p.cedar', text: text.join('\n') }]);
          // Some combinations can never apply and are refused.
          fc.pre('compiled' in compilation);
          if (!('compiled' in compilation)) return;
          engine.prepare(compilation.compiled)();
          const merged = rulesOf(compilation.compiled, (question) => engine.ask(question));
          const apart: Rules = {
            ...merged,
            policies: {
              ...compilation.compiled,
              distinctions: { ...compilation.compiled.distinctions, wholeResource: true, wholeContext: true },
            },
          };
          const known = compilation.compiled.distinctions;
          const scenes = [merged, apart].map(() => sceneOf({ ...principal, groups: ['g', 'h'] }, target, [], known));
          for (const command of commands) {
            const [one, other] = [merged, apart].map(
              (how, i) => evaluateCommand(how, scenes[i]!, command, []).decision,
            );
            expect(one?.outcome).toBe(other?.outcome);
            expect(new Set(one?.rules)).toEqual(new Set(other?.rules));
            compared++;
          }
        },
      ),
      { numRuns: 60 },
    );
    expect(compared).toBeGreaterThan(50);
  });

  it.each([
    ['resource in [Table::"orders/a", Table::"orders/b"]', false, false],
    ['resource is Table && resource.name == "a" && context.hasWhere', false, false],
    ['resource.name == context.verb', false, false],
    ['resource in context.target', true, false],
    ['resource is Table && [Table::"orders/a"].contains(resource)', true, false],
    ['resource is Table && {a: resource} == {a: Table::"orders/a"}', true, false],
    ['{a: {b: context}} == {a: {b: context}}', false, true],
    ['resource is Table && {"in": resource} == {"in": Table::"orders/a"}', true, false],
    ['{".": context} == {".": context}', false, true],
  ])('are counted generously: %s', (condition, wholeResource, wholeContext) => {
    expect(compiled(policy(condition)).distinctions).toMatchObject({ wholeResource, wholeContext });
  });

  it('are limited in number when policies tell every table apart', () => {
    const policies = compiled(
      '@id("a") permit (principal, action == Action::"read", resource) when { resource.name != "x" };',
    );
    const engine = new Engine();
    engine.prepare(policies)();
    let asked = 0;
    const rules = rulesOf(policies, (question) => {
      asked++;
      return engine.ask(question);
    });
    const read = (n: number): Classified => ({
      verb: 'SELECT',
      actions: ['read'],
      facts,
      resources: Array.from({ length: n }, (_, i) => ({ type: 'Table', id: `s.t${i}`, access: 'read' })),
    });
    const scene = sceneOf(principal, target, [], policies.distinctions);
    expect(evaluateCommand(rules, scene, read(maxQuestions), []).decision.outcome).toBe('allow');
    expect(asked).toBe(maxQuestions);
    expect(evaluateCommand(rules, scene, read(maxQuestions + 1), []).decision).toMatchObject({
      outcome: 'deny',
      rule: 'policy-engine',
    });
    expect(asked).toBe(maxQuestions);
    expect(evaluateCommand(rules, scene, read(maxQuestions), []).decision.outcome).toBe('allow');
    expect(asked).toBe(maxQuestions);
  });
});
