import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type ProtocolUnderTest, protocolContract } from '../protocol.contract.ts';
import { startBareGateway, startGateway } from '../support/gateway.ts';
import { callGateway } from '../support/http-client.ts';
import { customers, startHttpUpstream } from '../support/http-upstream.ts';

protocolContract('postgres', startPostgresUnderTest);
protocolContract('http', startHttpUnderTest);

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

async function startHttpUnderTest(): Promise<ProtocolUnderTest> {
  const upstream = await startHttpUpstream();
  const credential = 'key-of-the-target-4711';
  const gateway = await startBareGateway({
    files: { 'api.key': credential },
    limits: { rest: '250ms' },
    targets: {
      api: {
        protocol: 'http',
        address: `http://127.0.0.1:${upstream.port}`,
        internal: true,
        credential: { file: './api.key', as: 'bearer' },
        labels: { env: 'prod' },
        hold: '300ms',
        classify: { '$.customers[*].ssn': 'pii.ssn' },
      },
    },
  });
  const run = async (token: string, command: string) => {
    const [method = '', path = ''] = command.split(' ');
    const { status, body } = await callGateway(gateway, token, method, `/api${path}`);
    return { ok: status < 400, shown: body };
  };
  return {
    gateway,
    credential,
    commands: {
      allowed: 'GET /orders/3',
      allowedShows: 'paid',
      denied: 'DELETE /orders/3',
      deniedBy: 'agents-no-deletes',
      notUnderstood: 'GET /orders/%2e%2e/customers',
      held: (number) => `POST /orders/${10 + number}/refund`,
      classified: 'GET /customers',
      secret: customers[0]!.ssn,
      classifiedShows: 'Ada Lovelace',
    },
    async open(who) {
      const token = await gateway.tokenOf(who);
      return {
        run: (command) => run(token, command),
        close: () => sleep(350), // the session rests, and ends
      };
    },
    refusedLogin: async (token) => (await run(token, 'GET /orders/3')).shown,
    targetLog: async () => upstream.log(),
    stopTarget: () => upstream.stop(),
    async stop() {
      await gateway.stop();
      await upstream.stop().catch(() => undefined);
    },
  };
}
