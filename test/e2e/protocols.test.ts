import pg from 'pg';
import { type ProtocolUnderTest, protocolContract } from '../protocol.contract.ts';
import { startGateway } from '../support/gateway.ts';

protocolContract('postgres', startPostgresUnderTest);

async function startPostgresUnderTest(): Promise<ProtocolUnderTest> {
  const gateway = await startGateway({
    postgres: { settings: { log_statement: 'all' } },
    schema: `
      create table customers (id int primary key, name text, ssn text);
      insert into customers values (1, 'Ada Lovelace', '912-34-5678');
      create table orders (id int primary key, status text);
      insert into orders select n, 'paid' from generate_series(1, 50) n;
    `,
    classify: { 'public.customers.ssn': 'pii.ssn' },
  });
  const connect = (who: 'agent' | 'dana' | 'other-agent') => gateway.client(who);
  return {
    gateway,
    credential: gateway.postgres.superuser.password,
    commands: {
      allowed: 'select status from orders where id = 3',
      allowedShows: 'paid',
      denied: 'drop table orders',
      deniedBy: 'agents-no-schema-change',
      notUnderstood: 'selec status from orders',
      held: (number) => `delete from orders where id = ${10 + number}`,
      classified: 'select id, name, ssn from customers',
      secret: '912-34-5678',
      classifiedShows: 'Ada Lovelace',
    },
    async open(who) {
      const client = await connect(who);
      return {
        run: (command) =>
          client.query(command).then(
            ({ rows }) => ({ ok: true, shown: JSON.stringify(rows) }),
            (error: pg.DatabaseError) => ({ ok: false, shown: [error.message, error.detail, error.hint].join('\n') }),
          ),
        close: () => client.end(),
      };
    },
    async refusedLogin(credential) {
      const client = new pg.Client({
        host: '127.0.0.1',
        port: gateway.port,
        database: 'shop',
        user: 'anyone',
        password: credential,
        ssl: { ca: gateway.ca, servername: 'localhost' },
      });
      client.on('error', () => undefined);
      return client.connect().then(
        () => 'it was let in',
        (error: Error) => error.message,
      );
    },
    targetLog: async () => gateway.postgres.log(),
    stopTarget: () => gateway.postgres.stop(),
    stop: () => gateway.stop(),
  };
}
