import { type Compilation, type CompiledPolicies, compilePolicies } from './compile.ts';
import { type Cedar, Engine } from './engine.ts';
import { evaluateCommand, rulesOf } from './evaluate.ts';
import { sceneOf } from './scene.ts';
import { lineAt, type PolicyFile, scanPolicies } from './text.ts';

/** Compiles policies and asks them one question. Survives the death of the instances that `load` makes, not of the thread. */
export function tryCompile(files: readonly PolicyFile[], load: () => Cedar): Compilation {
  let compilation: Compilation;
  try {
    compilation = compilePolicies(load(), files);
  } catch {
    return blame(files, load);
  }
  if ('problems' in compilation) return compilation;
  try {
    askOnce(compilation, load);
  } catch (error) {
    return {
      problems: [{ file: '.', line: 1, message: `the policies end the policy engine: ${(error as Error).message}` }],
    };
  }
  return compilation;
}

function askOnce({ compiled }: { readonly compiled: CompiledPolicies }, load: () => Cedar): void {
  const engine = new Engine(load);
  engine.prepare(compiled)();
  const principal = { id: 'p:p', kind: 'agent', issuer: 'p', subject: 'p', name: 'p', groups: [], claims: {} } as const;
  const target = { name: 'probe', protocol: 'postgres', labels: {}, holdMs: 0, settings: {} };
  const facts = { statements: 1, hasWhere: true, functions: [], verbs: ['SELECT'] };
  const rules = rulesOf(compiled, (question) => engine.ask(question));
  const command = { verb: 'SELECT', actions: ['read'], resources: [], facts } as const;
  evaluateCommand(rules, sceneOf(principal, target, [], compiled.distinctions), command, []);
}

/** The instance died, so what it said is worth nothing: finds the first policy that ends a new instance by itself. */
function blame(files: readonly PolicyFile[], load: () => Cedar): Compilation {
  for (const { file, text } of files) {
    for (const { start, end } of scanPolicies({ file, text }).spans) {
      try {
        compilePolicies(load(), [{ file, text: text.slice(start, end) }]);
      } catch {
        const message = 'this policy ends the policy engine; make it simpler';
        return { problems: [{ file, line: lineAt(text, start), message }] };
      }
    }
  }
  return { problems: [{ file: '.', line: 1, message: 'the policies together end the policy engine' }] };
}
