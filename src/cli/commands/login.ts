import { writeFileSync } from 'node:fs';
import { Client } from '../../client/client.ts';
import type { IssuerInfo } from '../../client/schema.ts';
import { type Commands, contextOf, durationOption, examples, repeated } from '../command.ts';
import { anonymousClient, clientFor, givenToken, known, printJson, serverFor } from '../context.ts';
import { deviceLogin, revokeLogin } from '../device-login.ts';
import { exitCodes, Failure } from '../exit.ts';
import { fetchTrusting } from '../fetch.ts';
import { readProfile, type ServerProfile, writeProfile } from '../profile.ts';
import { details, instant } from '../table.ts';
import { visibleLine } from '../visible.ts';

export const loginCommands: Commands = (program, terminal) => {
  program
    .command('login')
    .summary('log in, as a person')
    .description(
      'Logs in at a server: shows a link and a code to confirm in a browser, on any machine. The login is kept in $SALLYPORT_HOME\n(default ~/.config/sallyport), readable to you only, and is sent to that server only.',
    )
    .option('--issuer <name>', 'which identity provider, where the server trusts several')
    .addHelpText(
      'after',
      examples(
        'sallyport login --server https://gateway.example:8443',
        'sallyport login --server https://localhost:8443 --ca demo-data/ca.pem',
        'sallyport login --token-file token.jwt      # a token from elsewhere',
      ),
    )
    .action(async (options: { issuer?: string }, command) => {
      const context = contextOf(command, terminal);
      const server = serverFor(context);
      const brought = await givenToken(context);
      const tokens =
        brought === undefined
          ? await deviceLogin(await chooseIssuer(anonymousClient(server), options.issuer), server.ca, terminal)
          : { token: brought };
      const { principal, proof } = await new Client({
        server: server.origin,
        fetch: fetchTrusting(server.ca),
        token: async () => tokens.token,
      }).whoami();
      const login = { ...tokens, expiresAt: proof.expiresAt };
      const profile = readProfile(terminal);
      const entry: ServerProfile = { login, ...(server.caFile === undefined ? {} : { ca: server.caFile }) };
      writeProfile(terminal, { current: server.origin, servers: { ...profile.servers, [server.origin]: entry } });
      terminal.err(
        `Logged in at ${server.origin} as ${visibleLine(principal.name)} (${visibleLine(principal.id)}), until ${instant(proof.expiresAt)}${'refresh' in tokens ? ', renewed as needed' : ''}.\n`,
      );
    });

  program
    .command('logout')
    .summary('forget the login')
    .description(
      'Forgets the login at a server and tells the identity provider that it is over. Tickets live on until they expire: see tickets revoke.',
    )
    .action(async (_, command) => {
      const context = contextOf(command, terminal);
      const profile = readProfile(terminal);
      const server = serverFor(context, profile);
      const entry = known(profile, server.origin);
      if (entry?.login === undefined) throw new Failure(exitCodes.login, `you are not logged in at ${server.origin}`);
      const { login, ...rest } = entry;
      writeProfile(terminal, { ...profile, servers: { ...profile.servers, [server.origin]: rest } });
      terminal.err(`Logged out of ${server.origin}.\n`);
      if (login.refresh === undefined) return;
      const told = await revokeLogin(login.refresh, server.ca).catch((error: unknown) => {
        const why = error instanceof Error ? error.message : String(error);
        throw new Failure(exitCodes.server, `the login is forgotten here, but its issuer could not be told: ${why}`, {
          cause: error,
        });
      });
      if (!told)
        terminal.err('Its issuer takes no revocations: a copy of the login would work until it expires there.\n');
    });

  program
    .command('whoami')
    .summary('who the server takes you for')
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }, command) => {
      const answer = await clientFor(contextOf(command, terminal)).whoami();
      if (options.json === true) return printJson(terminal, answer);
      const { principal, proof, may } = answer;
      const claims = Object.entries(principal.claims).map(([key, value]) => `${key}=${String(value)}`);
      await terminal.out(
        details([
          ['id', principal.id],
          ['name', principal.name],
          ['kind', principal.kind],
          ['owner', principal.owner],
          ['groups', principal.groups.join(', ') || 'none'],
          ['claims', claims.length === 0 ? undefined : claims.join(', ')],
          [
            'may',
            [...(may.review ? ['review'] : []), ...(may.configure ? ['configure'] : [])].join(', ') ||
              'see what is its own',
          ],
          ['proof', `${proof.kind}, until ${instant(proof.expiresAt)}`],
        ]),
      );
    });

  program
    .command('ticket')
    .summary('get a short-lived credential for a target')
    .description(
      'Prints a ticket, and nothing else, on standard output: a password that only Sallyport accepts, for the named targets, for a while.\nUses your login; in a CI job, the OIDC token in $SALLYPORT_TOKEN or --token-file.',
    )
    .requiredOption('-t, --target <name>', 'what it is for; may be given several times', repeated)
    .option('--ttl <duration>', 'how long it lives, up to what the server allows', durationOption, 900_000)
    .option('-o, --output <file>', 'write it to a file that only you may read')
    .addHelpText(
      'after',
      examples(
        'PGPASSWORD=$(sallyport ticket --target shop) psql "host=127.0.0.1 port=6432 dbname=shop sslmode=require"',
        'sallyport ticket --target shop --ttl 1h --output ~/.sallyport-ticket',
        'SALLYPORT_TOKEN="$OIDC_TOKEN" sallyport ticket --server https://gateway.example:8443 --target shop',
      ),
    )
    .action(async (options: { target: readonly string[]; ttl: number; output?: string }, command) => {
      const { ticket, secret } = await clientFor(contextOf(command, terminal)).issueTicket({
        targets: options.target,
        ttlMs: options.ttl,
      });
      if (options.output === undefined) await terminal.out(`${secret}\n`);
      else writeFileSync(options.output, `${secret}\n`, { mode: 0o600, flag: 'wx' });
      terminal.err(
        `Ticket ${visibleLine(ticket.id)} for ${ticket.targets.map(visibleLine).join(', ')}, until ${instant(ticket.expiresAt)}.\n`,
      );
    });
};

async function chooseIssuer(client: Client, name: string | undefined): Promise<IssuerInfo> {
  const { items } = await client.issuers();
  const found = items.filter((issuer) => (name === undefined ? issuer.login !== undefined : issuer.name === name));
  const [only, ...others] = found;
  const names = items.map((issuer) => visibleLine(issuer.name)).join(', ') || 'none';
  if (only === undefined) {
    throw new Failure(
      exitCodes.login,
      name === undefined
        ? 'this server has no identity provider to log in with; bring a token: sallyport login --token-file FILE'
        : `there is no issuer ${name}; known are ${names}`,
    );
  }
  if (others.length > 0) throw new Failure(exitCodes.usage, `which identity provider? give --issuer, one of: ${names}`);
  return only;
}
