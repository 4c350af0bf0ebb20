import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkPolicies } from './check.ts';
import { testPolicies } from './run-cases.ts';

const packs = fileURLToPath(new URL('../../policies/', import.meta.url));
const decisions = fileURLToPath(new URL('./testdata/decisions/', import.meta.url));
let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'policies-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

describe.each([
  ['policies', packs, ['break-glass', 'demo', 'prod-freeze', 'readonly-agents', 'soc2-baseline']],
  ['testdata/decisions', decisions, ['claims', 'combining', 'errors', 'masks']],
])('%s', (_, root, names) => {
  it('has the folders that are tested here', async () => {
    expect((await readdir(root)).sort()).toEqual(names);
  });

  it.each(names)('%s: every case holds', async (name) => {
    const results = await testPolicies(join(root, name));
    expect(results.length).toBeGreaterThan(3);
    expect(results.filter(({ problem }) => problem !== undefined)).toEqual([]);
  });
});

describe('policy packs', () => {
  it('can be used together', async () => {
    const all = join(scratch, 'all');
    for (const name of ['break-glass', 'demo', 'prod-freeze', 'readonly-agents', 'soc2-baseline']) {
      await cp(join(packs, name), all, { recursive: true, force: false, filter: (path) => !path.endsWith('tests') });
    }
    expect((await readdir(all)).length).toBe(5);
    expect(await checkPolicies(all)).toEqual([]);
  });

  it.each(['break-glass', 'demo', 'prod-freeze', 'soc2-baseline'])(
    '%s has cases that allow, deny and hold',
    async (name) => {
      const text = await readFile(join(packs, name, 'tests', `${name}.yaml`), 'utf8');
      for (const outcome of ['allow', 'deny', 'hold']) expect(text).toContain(`outcome: ${outcome}`);
    },
  );
});

describe('policy cases', () => {
  const policy = '@id("read") @advice("a") permit (principal, action == Action::"read", resource);';
  const head = 'principals: { p: { kind: human } }\ntargets: { t: { classifications: [c] } }\ncases:\n';
  const command = 'command: { verb: SELECT, actions: [read] }';

  async function run(cases: string): Promise<ReturnType<typeof testPolicies>> {
    const dir = await mkdtemp(join(scratch, 'case-'));
    await cp(join(packs, 'demo', 'tests'), join(dir, 'tests'), { recursive: true });
    await writeFile(join(dir, 'p.cedar'), policy);
    await rm(join(dir, 'tests', 'demo.yaml'));
    await writeFile(join(dir, 'tests', 'a.yaml'), cases);
    return testPolicies(dir);
  }

  it('report what is other than expected, with its line', async () => {
    const expectations = [
      ['{ outcome: deny }', 'expected deny, got allow by read'],
      ['{ outcome: allow, rule: other }', 'expected the rule other, got allow by read'],
      ['{ outcome: allow, approvers: [dba] }', 'expected approvers dba, got none'],
      ['{ outcome: allow, masks: { c: reveal } }', 'expected c to be masked by reveal, got redact'],
      ['{ outcome: allow, advice: b }', 'expected other advice, got a'],
    ] as const;
    const cases = expectations.map(
      ([e], i) => `  - { name: n${i}, principal: p, target: t, ${command}, expect: ${e} }\n`,
    );
    const results = await run(head + cases.join(''));
    expect(results).toEqual(
      expectations.map(([, problem], i) => ({ file: 'tests/a.yaml', line: 4 + i, name: `n${i}`, problem })),
    );
  });

  it('report a text that nothing classifies', async () => {
    const [result] = await run(
      `${head}  - { name: n, principal: p, target: t, text: SELECT 1, expect: { outcome: allow } }\n`,
    );
    expect(result?.problem).toContain('nothing here that classifies it');
  });

  it('report principals and targets that are not there', async () => {
    const results = await run(
      `${head}  - { name: n, principal: q, target: t, ${command}, expect: { outcome: allow } }\n  - { name: n, principal: p, target: u, ${command}, expect: { outcome: allow } }\n`,
    );
    expect(results.map(({ problem }) => problem)).toEqual(['there is no principal q', 'there is no target u']);
  });

  it.each([
    [
      'a word nobody knows',
      `${head}  - { name: n, principal: p, target: t, comand: {}, expect: { outcome: allow } }\n`,
      'tests/a.yaml:4: ',
    ],
    ['no YAML', 'principals: {\n', 'tests/a.yaml:2: '],
    [
      'an action nobody knows',
      `${head}  - name: n\n    principal: p\n    target: t\n    command:\n      verb: X\n      actions: [frob]\n    expect: { outcome: allow }\n`,
      'tests/a.yaml:9: ',
    ],
  ])('are refused with file and line: %s', async (_, text, where) => {
    await expect(run(text)).rejects.toThrow(where);
  });
});
