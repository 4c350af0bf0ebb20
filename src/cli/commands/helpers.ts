import { createHash } from 'node:crypto';
import { type Commands, contextOf, examples } from '../command.ts';
import { serverFor } from '../context.ts';
import { exitCodes, Failure } from '../exit.ts';
import { forgetTicket, keptTicket } from '../kept-ticket.ts';

/** What other programs run to get a ticket: they find it in their own configuration, and no secret has to stand there. */
export const helperCommands: Commands = (program, terminal) => {
  const credential = program
    .command('credential')
    .summary('for other programs: tickets in the form that they ask for')
    .description('Run by other programs. Each gives a ticket for one target, and the same one again while it lives.');

  credential
    .command('git <operation>')
    .summary('a git credential helper')
    .description(
      'Speaks the protocol of git’s credential helpers (gitcredentials(7)): reads attributes, answers a user name and a ticket as password.\nThe target is taken from the path, /git/TARGET/…, so credential.useHttpPath has to be set.',
    )
    .addHelpText(
      'after',
      examples(
        'git config --global credential.https://gateway.example:8444.helper "!sallyport credential git"',
        'git config --global credential.https://gateway.example:8444.useHttpPath true',
        'git clone https://gateway.example:8444/git/code/shop/backend.git',
      ),
    )
    .option('--host <name>', 'the host name in the addresses of repositories, where it is not the server’s')
    .action(async (operation: string, { host }: { readonly host?: string }, command) => {
      const given = attributes(await terminal.input());
      const target = targetOf(given);
      if (target === undefined) return; // not ours to answer: git asks the next helper
      const context = contextOf(command, terminal);
      // A submodule can name any host, and git asks every helper that is configured for all of them.
      if (!isOurs(given, host ?? new URL(serverFor(context).origin).hostname)) return;
      if (operation === 'erase') forgetTicket(context, target);
      if (operation !== 'get') return;
      const { secret, expiresAt } = await keptTicket(context, target);
      const expiry = Math.floor(expiresAt / 1000);
      await terminal.out(`username=sallyport\npassword=${secret}\npassword_expiry_utc=${expiry}\n`);
    });

  credential
    .command('aws <target>')
    .summary('for credential_process of AWS clients')
    .description(
      'Prints what AWS clients want from a credential_process: the access key that belongs to a ticket, and the ticket as session token.\nRequests are signed with it on their way to the gateway, which signs them anew with the target’s own key.',
    )
    .addHelpText(
      'after',
      examples(
        'aws configure set profile.artifacts.credential_process "sallyport credential aws artifacts"',
        'aws --profile artifacts --endpoint-url https://gateway.example:8444/artifacts s3 cp build.tar s3://builds/',
      ),
    )
    .action(async (target: string, _, command) => {
      const { secret, expiresAt } = await keptTicket(contextOf(command, terminal), target);
      await terminal.out(
        `${JSON.stringify({
          Version: 1,
          AccessKeyId: 'SALLYPORT',
          SecretAccessKey: createHash('sha256').update(`sallyport-sigv4\0${secret}`).digest('base64url'),
          SessionToken: secret,
          Expiration: new Date(expiresAt).toISOString(),
        })}\n`,
      );
    });
};

/** `key=value` lines, up to an empty one. */
function attributes(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    if (line === '') break;
    const equals = line.indexOf('=');
    if (equals > 0) found.set(line.slice(0, equals), line.slice(equals + 1));
  }
  return found;
}

/** Whether git asks for a password for this host, and would not send it in the clear. */
function isOurs(given: ReadonlyMap<string, string>, host: string): boolean {
  const asked = URL.parse(`${given.get('protocol')}://${given.get('host')}/`);
  if (asked === null || asked.username !== '' || asked.hostname !== host.toLowerCase()) return false;
  return asked.protocol === 'https:' || /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(asked.hostname);
}

function targetOf(given: ReadonlyMap<string, string>): string | undefined {
  if (given.get('protocol') !== 'https' && given.get('protocol') !== 'http') return undefined;
  const path = given.get('path');
  if (path === undefined) {
    throw new Failure(
      exitCodes.usage,
      'git did not say which repository it is for; set it once: git config --global credential.https://GATEWAY.useHttpPath true',
    );
  }
  return /^git\/([^/]+)\//.exec(path)?.[1];
}
