import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compilePolicies } from './compile.ts';
import { loadCedar } from './engine.ts';
import { describeProblem } from './text.ts';

const dir = new URL('./testdata/invalid/', import.meta.url);
const cedar = loadCedar();

describe('policies that are not valid are refused with file and line', () => {
  const files = readdirSync(dir);
  it('has cases', () => expect(files.length).toBeGreaterThan(15));

  it.each(files)('%s', (file) => {
    const text = readFileSync(new URL(file, dir), 'utf8');
    const [, line, message = ''] = /^\/\/ expect (\d+): (.*)$/m.exec(text) ?? [];
    const compilation = compilePolicies(cedar, [{ file, text }]);
    const problems = 'problems' in compilation ? compilation.problems.map(describeProblem) : [];
    const expected = problems.find((problem) => problem.startsWith(`${file}:${line}: `) && problem.includes(message));
    expect(expected, `${file}:${line}: … ${message}\nin\n${problems.join('\n')}`).toBeDefined();
  });
});
