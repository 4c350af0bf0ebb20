import { ConfigError } from '../model/errors.ts';
import type { Compilation } from './compile.ts';
import { readPolicyFolder } from './folder.ts';
import { compileIsolated } from './isolate.ts';
import { describeProblem } from './text.ts';

/** Every problem of a policy folder as `file:line: message`; none when it can be put in force. Never throws for what is in the files. */
export async function checkPolicies(dir: string): Promise<readonly string[]> {
  let compilation: Compilation;
  try {
    compilation = await compileIsolated(await readPolicyFolder(dir));
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return 'problems' in compilation ? compilation.problems.map(describeProblem) : [];
}
