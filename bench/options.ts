import { parseArgs } from 'node:util';

export interface Options {
  /** About a minute: fewer scenarios and rounds. Shows that everything runs; its figures are indications. */
  readonly quick: boolean;
  /** TLS from the client to the proxy and from the proxy to the database; HTTP and git stay in the clear. */
  readonly tls: boolean;
  /** Run the scenarios whose name begins with this. */
  readonly only: string | undefined;
  /** File for every single measurement. */
  readonly json: string | undefined;
  /** Folder for a CPU profile of the gateway. */
  readonly profile: string | undefined;
  /** Instead of what `quick` or its absence says. */
  readonly rounds: number | undefined;
  readonly seconds: number | undefined;
}

export const usage = `usage: npm run bench -- [options]

Measures PostgreSQL directly, through PgBouncer and through Sallyport, and HTTP and git directly, through
nginx and through Sallyport, taking turns.

  --quick          about a minute; fewer scenarios, one round of each
  --tls            TLS on both sides of the proxies (PostgreSQL)
  --only NAME      the scenarios whose name begins with NAME:
                   simple-1 simple-8 simple-32, extended-…, prepared-…, tpcb-8, rows, idle,
                   http-1 http-8 http-32, http-large, http-mask, git-clone
  --json FILE      write every measurement to FILE
  --rounds N       rounds for each scenario
  --seconds N      seconds for each run of pgbench and wrk
  --profile DIR    write a CPU profile of the gateway to DIR
`;

/** Throws TypeError for arguments that are none. Undefined when help was asked for. */
export function readOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      tls: { type: 'boolean', default: false },
      only: { type: 'string' },
      json: { type: 'string' },
      profile: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  return {
    quick: values.quick,
    tls: values.tls,
    only: values.only,
    json: values.json,
    profile: values.profile,
    rounds: positive('rounds', values.rounds),
    seconds: positive('seconds', values.seconds),
  };
}

function positive(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 1000)
    throw new TypeError(`--${name}: expected 1 to 1000, got ${text}`);
  return value;
}
