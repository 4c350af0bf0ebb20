import { Refusal } from '../../model/errors.ts';

/** Settings a client may choose when it connects; none of them changes what a statement means to the gateway. */
const allowed: ReadonlyMap<string, string> = new Map(
  [
    'application_name',
    'bytea_output',
    'client_min_messages',
    'DateStyle',
    'default_transaction_isolation',
    'extra_float_digits',
    'idle_in_transaction_session_timeout',
    'IntervalStyle',
    'lock_timeout',
    'search_path',
    'statement_timeout',
    'TimeZone',
  ].map((name) => [name.toLowerCase(), name]),
);

const ours = new Set(['user', 'database', 'options', 'client_encoding', 'replication']);

/**
 * The settings for the upstream connection out of a StartupMessage's parameters. The upstream user and database are the
 * target's, whatever the client names. Throws Refusal UNSUPPORTED for anything not on the list: a setting we do not know may
 * change what SQL means (threat C3).
 */
export function startupSettings(parameters: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  const settings: Record<string, string> = {};
  for (const [name, value] of parameters) {
    if (name.startsWith('_pq_.')) continue;
    if (ours.has(name)) continue;
    settings[known(name)] = value;
  }
  for (const [name, value] of parseOptions(parameters.get('options') ?? '')) settings[known(name)] = value;
  const replication = (parameters.get('replication') ?? 'off').toLowerCase();
  if (!['off', 'false', 'no', '0', 'f', 'n', 'of'].includes(replication)) {
    throw new Refusal('UNSUPPORTED', 'replication connections are not available through Sallyport', {
      advice: 'use COPY or pg_dump, which policy can decide on statement by statement',
    });
  }
  const encoding = (parameters.get('client_encoding') ?? 'UTF8').toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  if (!['utf8', 'unicode', 'auto'].includes(encoding)) {
    throw new Refusal(
      'UNSUPPORTED',
      `client_encoding ${JSON.stringify(parameters.get('client_encoding'))} is not available: statements are read as UTF8`,
      {
        advice: 'leave client_encoding out, or set it to UTF8',
      },
    );
  }
  return settings;
}

function known(name: string): string {
  const found = allowed.get(name.toLowerCase());
  if (found !== undefined) return found;
  throw new Refusal('UNSUPPORTED', `the start-up parameter ${JSON.stringify(name)} is not allowed through Sallyport`, {
    advice: `leave it out; allowed are ${[...allowed.values()].join(', ')}`,
  });
}

/** `-c name=value`, `-cname=value` and `--name=value`, with backslash escapes (PostgreSQL manual, “postgres”, options). */
function parseOptions(text: string): readonly (readonly [string, string])[] {
  const words = [...text.matchAll(/(?:\\.|\S)+/gs)].map(([word]) => word.replaceAll(/\\(.)/gs, '$1'));
  const settings: [string, string][] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    let assignment: string | undefined;
    if (word === '-c') {
      i += 1;
      assignment = words[i];
    } else if (word.startsWith('--')) assignment = word.slice(2).replaceAll('-', '_');
    else if (word.startsWith('-c')) assignment = word.slice(2);
    const equals = assignment?.indexOf('=') ?? -1;
    if (assignment === undefined || equals < 1) {
      throw new Refusal('UNSUPPORTED', `the start-up option ${JSON.stringify(word)} is not allowed through Sallyport`, {
        advice: 'only -c name=value is',
      });
    }
    settings.push([assignment.slice(0, equals), assignment.slice(equals + 1)]);
  }
  return settings;
}
