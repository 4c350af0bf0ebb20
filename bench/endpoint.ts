/** Where a client connects: the server itself, or a proxy before it. */
export interface Endpoint {
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  readonly tls: boolean;
}

/** For programs built on libpq. */
export function libpqEnvironment(endpoint: Endpoint): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    LC_ALL: 'C',
    PGHOST: '127.0.0.1',
    PGPORT: String(endpoint.port),
    PGDATABASE: endpoint.database,
    PGUSER: endpoint.user,
    PGPASSWORD: endpoint.password,
    PGSSLMODE: endpoint.tls ? 'require' : 'disable',
    PGGSSENCMODE: 'disable',
    // Nothing of whoever runs the benchmark decides what is measured.
    PGPASSFILE: '/dev/null',
    PGSERVICEFILE: '/dev/null',
  };
}
