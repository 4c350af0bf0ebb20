import { resolve } from 'node:path';
import { tour } from './tour/tour.ts';
import { resetWorld, startWorld, type World } from './world.ts';

export interface DemoOptions {
  /** Tell the story, check each step, and stop. */
  readonly tour?: boolean;
  /** Forget what earlier runs left. */
  readonly reset?: boolean;
  /** Where everything is kept; `./demo-data` otherwise. */
  readonly data?: string;
}

const folderName = 'demo-data';

/**
 * Everything embedded: two development identity providers, a PostgreSQL server with a shop in it, its HTTP interface, its git
 * server, and the gateway. Runs until
 * Ctrl-C, or tells the tour. Returns the exit status.
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const folder = resolve(options.data ?? folderName);
  const tell = (line: string) => process.stdout.write(`${line}\n`);
  if (options.reset === true) resetWorld(folder);
  const interrupted = interruption();
  const world = await startWorld(folder, tell);
  try {
    if (options.tour === true) return (await tour(world, tell)) ? 0 : 1;
    tell(invitation(world, options.data ?? folderName));
    const failure = await Promise.race([interrupted, world.gateway.failed]);
    if (failure instanceof Error) tell(`the gateway stopped: ${failure.message}`);
    tell('stopping …');
    return failure instanceof Error ? 1 : 0;
  } finally {
    await world.stop();
  }
}

/** Ctrl-C, or a polite request to end. */
function interruption(): Promise<void> {
  return new Promise((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => done());
  });
}

function invitation({ gateway, agentToken }: World, folder: string): string {
  const { host, port } = gateway.addresses.postgres!;
  const ca = `${folder}/gateway/tls/ca.crt`;
  const dana = `SALLYPORT_HOME=${folder}/dana bin/sallyport.mjs`;
  const token = relativeTo(folder, agentToken);
  const web = gateway.addresses.http!;
  const psql = `PGPASSWORD=$(cat ${token}) psql "host=${host} port=${port} dbname=shop sslmode=verify-full sslrootcert=${ca}"`;
  return `
Sallyport is running. In another terminal, in this folder:

  As the coding agent of a CI job (its password is a short-lived OIDC token):
    ${psql}

  Try:
    select * from customers limit 5;                          masked as policy says
    drop table payments;                                      refused, by which rule, and what to do instead
    delete from orders where id = 7;                          held: a database administrator has to approve

  The same agent over HTTP, and with git:
    curl --cacert ${ca} -H "Authorization: Bearer $(cat ${token})" https://${web.host}:${web.port}/api/v1/customers
    GIT_SSL_CAINFO=${resolve(ca)} git -c http.extraHeader="Authorization: Bearer $(cat ${token})" \\
      clone https://${web.host}:${web.port}/git/code/shop/backend.git

  As Dana, database administrator:
    ${dana} approvals list
    ${dana} approvals approve ID --reason "agreed in the stand-up"
  then run the same delete again.

  See what happened, row by row, as the agent saw it:
    ${dana} sessions list
    ${dana} sessions replay ID

  Check that nobody has rewritten it:
    ${dana} audit export --output audit.tar
    bin/sallyport.mjs audit verify audit.tar --vkey "$(cat ${folder}/gateway/audit/log.vkey)"

  Or let it tell the whole story by itself:  npm run demo -- --tour      Ctrl-C stops everything.
`;
}

function relativeTo(folder: string, path: string): string {
  return `${folder}/${path.split('/').at(-1)}`;
}
