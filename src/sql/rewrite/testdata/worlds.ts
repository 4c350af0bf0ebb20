import pg from 'pg';
import { startPostgres, type TestPostgres } from '../../../../test/support/postgres.ts';
import { type Message, RawPostgres } from '../../../../test/support/raw-postgres.ts';
import { parseReport, query } from '../../../protocols/postgres/codec.ts';

/** A real server with databases for tests of the rewriting. */
export class Worlds {
  readonly server: TestPostgres;
  readonly #clients: pg.Client[] = [];
  readonly #raw: RawPostgres[] = [];

  private constructor(server: TestPostgres) {
    this.server = server;
  }

  /** `binDir`: of another version's programs. */
  static async start(binDir = process.env.POSTGRES_BIN): Promise<Worlds> {
    const hba = ['host all all 127.0.0.1/32 password'];
    const settings = { fsync: 'off', autovacuum: 'off', jit: 'off' };
    return new Worlds(await startPostgres({ hba, settings, ...(binDir === undefined ? {} : { binDir }) }));
  }

  /** `from`: a database to copy. */
  async create(name: string, from = 'template1'): Promise<pg.Client> {
    const admin = await this.open('postgres');
    await admin.query(`create database ${name} template ${from} strategy file_copy`);
    await admin.end();
    return this.open(name);
  }

  async open(database: string): Promise<pg.Client> {
    const url = new URL(this.server.url);
    url.pathname = `/${database}`;
    const client = new pg.Client({ connectionString: url.href });
    client.on('error', () => undefined);
    await client.connect();
    this.#clients.push(client);
    return client;
  }

  async raw(database: string): Promise<RawPostgres> {
    const { user, password } = this.server.superuser;
    const client = await RawPostgres.login({
      port: this.server.port,
      token: password,
      parameters: { user, database },
    });
    this.#raw.push(client);
    return client;
  }

  async stop(): Promise<void> {
    for (const client of this.#raw) client.end();
    await Promise.all(this.#clients.map((client) => client.end().catch(() => undefined)));
    await this.server.stop();
  }
}

/** Everything that the server says to a text, without what differs between any two runs. */
export async function said(client: RawPostgres, text: string): Promise<string> {
  client.send(query(text));
  const messages = await client.until('Z');
  return messages.filter(({ type }) => !'SKZ'.includes(type)).map(shown).join('\n');
}

function shown({ type, bytes }: Message): string {
  if (type === 'E' || type === 'N') {
    const { fields } = parseReport(bytes, 0, bytes.length);
    // Where in the text, and in the server's source.
    return `${type} ${[...fields].filter(([field]) => !'PLR'.includes(field)).map(([, value]) => value)}`;
  }
  const body = bytes.toString('utf8', type === 'A' ? 9 : 5);
  return `${type} ${body.replaceAll(/(?:actual time=|Time: )[\d.]+(?:\.\.[\d.]+)?/g, '(time)')}`;
}
