import type { Explained } from '../../client/schema.ts';
import { type Commands, contextOf, examples, given, repeated } from '../command.ts';
import { clientFor, printJson } from '../context.ts';
import { exitCodes, Failure } from '../exit.ts';
import { details, table } from '../table.ts';
import { visible } from '../visible.ts';

export const policyCommands: Commands = (program, terminal) => {
  const policy = program
    .command('policy')
    .summary('check, test and explain policies')
    .description('Policies: Cedar files that decide on every command.');

  policy
    .command('check [dir]')
    .summary('validate a folder of policies, offline')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('sallyport policy check ./policies'))
    .action(async (dir: string | undefined, { json }: { json?: boolean }) => {
      const { checkPolicies } = await import('../../policy/check.ts');
      const problems = await checkPolicies(dir ?? './policies');
      if (json === true) await printJson(terminal, problems);
      else
        await terminal.out(
          problems.length === 0 ? 'The policies are valid.\n' : `${problems.map(visible).join('\n')}\n`,
        );
      if (problems.length > 0) throw new Failure(exitCodes.no, 'the policies are not valid');
    });

  policy
    .command('test [dir]')
    .summary("run a folder's test cases, offline")
    .description('Runs the cases in tests/*.yaml of a policy folder and says what came out instead where one fails.')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('sallyport policy test ./policies'))
    .action(async (dir: string | undefined, { json }: { json?: boolean }) => {
      const { testPolicies } = await import('../../policy/run-cases.ts');
      const [{ parse, loadParser }, { classifyStatements }] = await Promise.all([
        import('../../sql/parse.ts'),
        import('../../sql/classify.ts'),
      ]);
      await loadParser();
      // Without a target there is no schema: names count as they are written.
      const classify = (text: string) => classifyStatements(parse(text));
      const results = await testPolicies(dir ?? './policies', { classify });
      const failed = results.filter(({ problem }) => problem !== undefined);
      if (json === true) await printJson(terminal, results);
      else {
        for (const { file, line, name, problem } of failed)
          await terminal.out(`${visible(`${file}:${line}: ${name}: ${problem ?? ''}`)}\n`);
        await terminal.out(`${results.length - failed.length} of ${results.length} cases hold.\n`);
      }
      if (failed.length > 0) throw new Failure(exitCodes.no, 'not every case holds');
    });

  policy
    .command('list')
    .summary('the policies in force')
    .option('--text', 'with their text')
    .option('--json', 'print JSON')
    .action(async ({ text, json }: { text?: boolean; json?: boolean }, command) => {
      const found = await clientFor(contextOf(command, terminal)).policies();
      if (json === true) return printJson(terminal, found);
      await terminal.out(
        table(
          ['POLICY', 'EFFECT', 'FILE'],
          found.policies.map((p) => [p.id, p.effect, p.file]),
        ),
      );
      if (text === true) await terminal.out(`\n${found.policies.map((p) => visible(p.text)).join('\n\n')}\n`);
      terminal.err(`version ${visible(found.version)}\n`);
    });

  policy
    .command('explain <text>')
    .summary('what would be decided for a command, and why')
    .description(
      'Asks the server what it would decide. Nothing runs. `-` reads the command from standard input. Asking for others needs review.',
    )
    .requiredOption('-t, --target <name>', 'where it would run')
    .option('--principal <id>', 'for whom, instead of you')
    .option('--kind <kind>', 'what that principal is: human, ci or agent', 'agent')
    .option('--group <name>', 'a group of that principal; may be given several times', repeated)
    .option('--claim <key=value>', 'a claim of that principal; may be given several times', repeated)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(
        'sallyport policy explain --target shop "DELETE FROM orders"',
        'sallyport policy explain --target shop --principal ci:deploy --kind ci --group deployers - < migration.sql',
      ),
    )
    .action(async (text: string, options: ExplainOptions, command) => {
      const answer = await clientFor(contextOf(command, terminal)).explain({
        target: options.target,
        text: text === '-' ? await terminal.input() : text,
        ...given({ principal: supposed(options) }),
      });
      if (options.json === true) return printJson(terminal, answer);
      await terminal.out(explained(answer));
    });

  policy
    .command('reload')
    .summary('put changed policy files in force')
    .action(async (_, command) => {
      const { version } = await clientFor(contextOf(command, terminal)).reloadPolicies();
      terminal.err(`In force: version ${visible(version)}.\n`);
    });
};

interface ExplainOptions {
  readonly target: string;
  readonly principal?: string;
  readonly kind: string;
  readonly group?: readonly string[];
  readonly claim?: readonly string[];
  readonly json?: boolean;
}

function supposed({ principal: id, kind, group, claim }: ExplainOptions) {
  if (id === undefined) {
    if (group !== undefined || claim !== undefined)
      throw new Failure(exitCodes.usage, '--group and --claim are of a --principal');
    return undefined;
  }
  if (kind !== 'human' && kind !== 'ci' && kind !== 'agent')
    throw new Failure(exitCodes.usage, `--kind is human, ci or agent, not ${kind}`);
  const claims = (claim ?? []).map((pair) => {
    const at = pair.indexOf('=');
    if (at < 1) throw new Failure(exitCodes.usage, `expected key=value, got ${JSON.stringify(pair)}`);
    return [pair.slice(0, at), pair.slice(at + 1)] as const;
  });
  return { id, kind, groups: [...(group ?? [])], claims: Object.fromEntries(claims) } as const;
}

function explained({ decision, verb, actions, resources, because, masks }: Explained): string {
  const methods = Object.entries(masks).map(([classification, method]) => `${classification}: ${method}`);
  return details([
    [
      'decision',
      decision.outcome === 'hold' ? `hold, until ${decision.approvers.join(' and ')} approve` : decision.outcome,
    ],
    ['rule', decision.rule],
    ['reason', decision.outcome === 'deny' ? decision.reason : undefined],
    ['advice', decision.advice],
    ['command', `${verb} (${actions.join(', ')})`],
    ['touches', resources.length === 0 ? undefined : resources.join(', ')],
    ['masks', methods.length === 0 ? undefined : methods.join(', ')],
    ...because.map(({ id, effect, advice }) => [effect, advice === undefined ? id : `${id}: ${advice}`] as const),
    ['policies', `version ${decision.policyVersion}`],
  ]);
}
