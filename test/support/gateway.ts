import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { stringify } from 'yaml';
import { type Running, start } from '../../src/main.ts';
import { startTestIssuer, type TestIssuer } from './issuer.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';
import { request, sql, writeFolder } from './requests.ts';

export interface TestGatewayOptions {
  /** SQL that makes the target's content; runs as superuser in database `shop`. */
  readonly schema?: string;
  readonly classify?: Readonly<Record<string, string>>;
  /** Of the target `shop`. */
  readonly masking?: 'rewrite' | 'plain';
  /** Cedar text; the demonstration's policies otherwise. */
  readonly policies?: string;
  readonly holdMs?: number;
  readonly detectors?: boolean;
  readonly plaintext?: boolean;
  /** Keep the gateway's folder, to start another on it. */
  readonly folder?: string;
  /** How the PostgreSQL server is started. */
  readonly postgres?: Parameters<typeof startPostgres>[0];
  /** Further targets, as in the configuration. */
  readonly targets?: Readonly<Record<string, unknown>>;
}

/** A whole gateway in this process, as main.ts composes it. */
export interface BareGateway {
  readonly running: Running;
  readonly issuer: TestIssuer;
  readonly folder: string;
  readonly ca: string;
  readonly caFile: string;
  readonly api: string;
  /** Where HTTP and what travels in it is served. */
  readonly http: string;
  /** A token for a caller: `agent` is a CI agent owned by sam, `dana` is in group dba, `sam` in engineers. */
  tokenOf(who: 'agent' | 'dana' | 'sam' | 'other-agent'): Promise<string>;
  /** The HTTP API as somebody. */
  call(
    who: Parameters<BareGateway['tokenOf']>[0],
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: unknown }>;
  stop(): Promise<void>;
}

/** The same in front of a real PostgreSQL server. */
export interface TestGateway extends BareGateway {
  readonly postgres: TestPostgres;
  readonly port: number;
  /** node-postgres through the gateway. */
  client(who: Parameters<TestGateway['tokenOf']>[0], options?: pg.ClientConfig): Promise<pg.Client>;
  /** Straight to the server, past the gateway, as superuser. */
  direct(): Promise<pg.Client>;
}

const demoPolicies = resolve(fileURLToPath(new URL('../../policies/demo', import.meta.url)));

export async function startGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'sallyport-test-'));
  const [postgres, issuer] = await Promise.all([startPostgres(options.postgres), startTestIssuer()]);
  const superuser = new URL(postgres.url);
  const shopUrl = new URL(superuser);
  shopUrl.pathname = '/shop';
  await sql(superuser.href, 'create database shop');
  if (options.schema !== undefined) await sql(shopUrl.href, options.schema);
  writeFileSync(join(folder, 'password'), postgres.superuser.password, { mode: 0o600 });
  const bare = await startBare(
    gatewayConfiguration(options, folder, postgres, issuer, superuser),
    folder,
    issuer,
    options.folder !== undefined,
  );
  const { port } = bare.running.addresses.postgres!;
  return {
    ...bare,
    postgres,
    port,
    async client(who, extra = {}) {
      const client = new pg.Client({
        host: '127.0.0.1',
        port,
        database: 'shop',
        user: 'anyone',
        password: await bare.tokenOf(who),
        ssl: { ca: bare.ca, servername: 'localhost' },
        ...extra,
      });
      client.on('error', () => undefined); // An ended session is the test's to notice by its queries.
      await client.connect();
      return client;
    },
    async direct() {
      const client = new pg.Client({ connectionString: shopUrl.href });
      await client.connect();
      return client;
    },
    async stop() {
      await bare.stop();
      await postgres.stop();
    },
  };
}

/** A gateway without a database; `files` are put into its folder first, for targets to refer to. */
export async function startBareGateway(
  options: Pick<TestGatewayOptions, 'policies' | 'targets' | 'plaintext' | 'folder'> & {
    readonly files?: Readonly<Record<string, string>>;
    readonly limits?: Readonly<Record<string, unknown>>;
    /** Sinks of the audit log, as in the configuration. */
    readonly shipping?: readonly unknown[];
  } = {},
): Promise<BareGateway> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'sallyport-test-'));
  const issuer = await startTestIssuer();
  for (const [name, text] of Object.entries(options.files ?? {}))
    writeFileSync(join(folder, name), text, { mode: 0o600 });
  const configuration = {
    ...frameOf(options, folder, issuer),
    listen: { api: '127.0.0.1:0', http: '127.0.0.1:0' },
    targets: options.targets ?? {},
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.shipping === undefined ? {} : { shipping: options.shipping }),
  };
  return startBare(configuration, folder, issuer, options.folder !== undefined);
}

async function startBare(
  configuration: object,
  folder: string,
  issuer: TestIssuer,
  keep: boolean,
): Promise<BareGateway> {
  const file = join(folder, 'sallyport.yaml');
  writeFileSync(file, stringify(configuration));
  const running = await start(file, (level, message, fields) => {
    if (process.env.SALLYPORT_TEST_LOG !== undefined)
      process.stderr.write(`${level}: ${message} ${JSON.stringify(fields ?? {})}\n`);
  });
  const ca = readFileSync(running.caFile!, 'utf8');
  const api = `https://127.0.0.1:${running.addresses.api!.port}`;
  const tokenOf: BareGateway['tokenOf'] = (who) => issuer.token(claimsOf(who));
  return {
    running,
    issuer,
    folder,
    ca,
    caFile: running.caFile!,
    api,
    http: `https://127.0.0.1:${running.addresses.http?.port}`,
    tokenOf,
    call: async (who, method, path, body) => request(api, ca, await tokenOf(who), method, path, body),
    async stop() {
      await running.stop();
      await issuer.close();
      if (!keep) rmSync(folder, { recursive: true, force: true });
    },
  };
}

function claimsOf(who: 'agent' | 'dana' | 'sam' | 'other-agent') {
  switch (who) {
    case 'dana':
      return { sub: 'dana', name: 'Dana', kind: 'human', groups: ['engineers', 'dba'] };
    case 'sam':
      return { sub: 'sam', name: 'Sam', kind: 'human', groups: ['engineers'] };
    default:
      return { sub: who, name: who, kind: 'ci', groups: ['agents'] };
  }
}

/** What sallyport.yaml says for these options. The superuser's password is expected in `folder/password`. */
export function gatewayConfiguration(
  options: TestGatewayOptions,
  folder: string,
  postgres: TestPostgres,
  issuer: TestIssuer,
  superuser: URL,
) {
  return {
    ...frameOf(options, folder, issuer),
    targets: {
      shop: {
        protocol: 'postgres',
        address: `127.0.0.1:${postgres.port}`,
        database: 'shop',
        tls: { mode: 'disable' },
        credential: { user: superuser.username, file: './password' },
        labels: { env: 'prod' },
        hold: `${options.holdMs ?? 300}ms`,
        ...(options.detectors === undefined ? {} : { detectors: options.detectors }),
        classify: options.classify ?? {},
        ...(options.masking === undefined ? {} : { masking: options.masking }),
      },
      ...options.targets,
    },
  };
}

/** All of it but the targets. */
function frameOf(options: Pick<TestGatewayOptions, 'policies' | 'plaintext'>, folder: string, issuer: TestIssuer) {
  let policies = demoPolicies;
  if (options.policies !== undefined) {
    policies = join(folder, 'policies');
    rmSync(policies, { recursive: true, force: true });
    writeFolder(policies, options.policies);
  }
  return {
    listen: { api: '127.0.0.1:0', postgres: '127.0.0.1:0' },
    data: './data',
    origin: 'test.example/audit',
    issuers: [
      {
        name: 'test',
        issuer: issuer.url,
        audience: 'sallyport',
        principal: {
          kind: [
            { when: { kind: 'human' }, kind: 'human' },
            { when: { kind: 'ci' }, kind: 'ci' },
          ],
        },
        groups: { claims: 'groups' },
      },
    ],
    policies,
    ...(options.plaintext === true ? { plaintext: { loopback: true } } : {}),
  };
}
