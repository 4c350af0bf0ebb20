import { type Commands, contextOf, examples } from '../command.ts';
import { clientFor, printJson } from '../context.ts';
import { exitCodes, Failure } from '../exit.ts';
import { instant, table } from '../table.ts';

export const targetCommands: Commands = (program, terminal) => {
  const targets = program
    .command('targets')
    .summary('what you may reach')
    .description('Targets: what is behind the gateway.');
  targets
    .command('list')
    .summary('the targets you may reach')
    .option('--json', 'print JSON')
    .action(async ({ json }: { json?: boolean }, command) => {
      const found = await clientFor(contextOf(command, terminal)).targets();
      if (json === true) return printJson(terminal, found);
      const rows = found.map((t) => [
        t.name,
        t.protocol,
        Object.entries(t.labels)
          .map(([key, value]) => `${key}=${value}`)
          .join(' '),
        t.inspection === undefined
          ? ''
          : `${t.inspection.reachable ? t.inspection.mode : 'unreachable'}${t.inspection.warnings.length > 0 ? `; ${t.inspection.warnings.join('; ')}` : ''}`,
      ]);
      await terminal.out(table(['TARGET', 'PROTOCOL', 'LABELS', 'STATE'], rows));
    });

  const tickets = program
    .command('tickets')
    .summary('see and revoke tickets')
    .description('Tickets: short-lived credentials for targets. `sallyport ticket` gets one.');
  tickets
    .command('list')
    .summary('your tickets')
    .option('--json', 'print JSON')
    .action(async ({ json }: { json?: boolean }, command) => {
      const found = await clientFor(contextOf(command, terminal)).tickets();
      if (json === true) return printJson(terminal, found);
      const state = (t: (typeof found)[number]) =>
        t.revokedAt !== undefined ? 'revoked' : t.expiresAt <= terminal.now() ? 'expired' : 'valid';
      await terminal.out(
        table(
          ['TICKET', 'STATE', 'UNTIL', 'FOR'],
          found.map((t) => [t.id, state(t), instant(t.expiresAt), t.targets.join(', ')]),
        ),
      );
    });
  tickets
    .command('revoke <id>')
    .summary('end a ticket and the sessions that use it')
    .addHelpText('after', examples('sallyport tickets revoke 0197c1f2-…'))
    .action(async (id: string, _, command) => {
      if (!(await clientFor(contextOf(command, terminal)).revokeTicket(id)))
        throw new Failure(exitCodes.absent, 'there is no such ticket');
      terminal.err('The ticket was revoked.\n');
    });
};
