import { parentPort, workerData } from 'node:worker_threads';
import { type Compilation, compilePolicies } from './compile.ts';
import { Engine, loadCedar } from './engine.ts';
import { evaluateCommand, rulesOf } from './evaluate.ts';
import { sceneOf } from './scene.ts';
import { type PolicyFile, scanPolicies } from './text.ts';

/** What `isolate.ts` starts: compiles what it is given, tries the result on one command, answers once. */
parentPort?.postMessage(compileAndTry(workerData as readonly PolicyFile[]));

function compileAndTry(files: readonly PolicyFile[]): Compilation {
  let compilation: Compilation;
  try {
    compilation = compilePolicies(loadCedar(), files);
  } catch {
    return blame(files);
  }
  if ('problems' in compilation) return compilation;
  try {
    const engine = new Engine();
    engine.prepare(compilation.compiled)();
    const principal = {
      id: 'probe:probe',
      kind: 'agent',
      issuer: 'probe',
      subject: 'probe',
      name: 'probe',
      groups: [],
      claims: {},
    } as const;
    const target = { name: 'probe', protocol: 'postgres', labels: {}, holdMs: 0, settings: {} };
    const facts = { statements: 1, hasWhere: true, functions: [], verbs: ['SELECT'] };
    const rules = rulesOf(compilation.compiled, (question) => engine.ask(question));
    const scene = sceneOf(principal, target, [], compilation.compiled.distinctions);
    evaluateCommand(rules, scene, { verb: 'SELECT', actions: ['read'], resources: [], facts }, []);
  } catch (error) {
    return { problems: [{ file: '.', line: 1, message: `the policies end the engine: ${(error as Error).message}` }] };
  }
  return compilation;
}

/** Cedar died, so its last words are worth nothing: finds the first policy that ends a new instance by itself. */
function blame(files: readonly PolicyFile[]): Compilation {
  for (const file of files) {
    for (const { start, end } of scanPolicies(file).spans) {
      // Blanks in front keep the line number right.
      const alone = {
        file: file.file,
        text: file.text.slice(0, start).replace(/[^\n]/g, ' ') + file.text.slice(start, end),
      };
      try {
        compilePolicies(loadCedar(), [alone]);
      } catch {
        const line = alone.text.slice(0, start).split('\n').length;
        return {
          problems: [{ file: file.file, line, message: 'this policy ends the policy engine; make it simpler' }],
        };
      }
    }
  }
  return { problems: [{ file: '.', line: 1, message: 'the policies together end the policy engine' }] };
}
