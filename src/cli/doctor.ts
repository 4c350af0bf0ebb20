import { createPrivateKey, X509Certificate } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import type { Config } from '../config.ts';
import { ConfigError } from '../model/errors.ts';
import { instant } from './table.ts';

/** One thing that was looked at. */
export interface Finding {
  readonly good: boolean;
  readonly text: string;
}

/** Looks at a configuration and what it names, without starting or changing anything. */
export async function examine(file: string, now: number = Date.now()): Promise<readonly Finding[]> {
  const config = await load(file);
  if ('good' in config) return [config];
  const fixed = [
    { good: true, text: `${file} is valid: ${config.targets.size} targets, ${config.issuers.length} issuers` },
    ...certificate(config, now),
    folder(config.data),
  ];
  return [...fixed, await policies(config.policies), ...(await addresses(config))];
}

async function load(file: string): Promise<Config | Finding> {
  const [{ loadConfig, protocolSchemas }, { createProtocols }] = await Promise.all([
    import('../config.ts'),
    import('../protocols/index.ts'),
  ]);
  try {
    return loadConfig(file, protocolSchemas(createProtocols()));
  } catch (error) {
    if (error instanceof ConfigError) return { good: false, text: error.message };
    throw error;
  }
}

function certificate({ tls }: Config, now: number): Finding[] {
  if (tls === 'development') return [{ good: true, text: 'the certificate is a development one, made at first start' }];
  try {
    const found = new X509Certificate(readFileSync(tls.certificate));
    const key = createPrivateKey(readFileSync(tls.key));
    const until = Date.parse(found.validTo);
    const pair = found.checkPrivateKey(key)
      ? { good: until > now, text: `${tls.certificate} is valid until ${instant(until)}` }
      : { good: false, text: `${tls.key} is not the key of ${tls.certificate}` };
    const open = process.platform !== 'win32' && (statSync(tls.key).mode & 0o007) !== 0;
    return open
      ? [pair, { good: false, text: `everybody on this machine may read ${tls.key}; run: chmod 600 ${tls.key}` }]
      : [pair];
  } catch (error) {
    return [{ good: false, text: `the certificate cannot be used: ${message(error)}` }];
  }
}

/** The data folder, or the nearest one above it that is there. */
function folder(path: string): Finding {
  let there = path;
  while (!existsSync(there) && dirname(there) !== there) there = dirname(there);
  try {
    accessSync(there, constants.W_OK);
    return { good: true, text: `${path} can be written` };
  } catch (error) {
    return { good: false, text: `${path} cannot be written: ${message(error)}` };
  }
}

async function policies(dir: string): Promise<Finding> {
  const { checkPolicies } = await import('../policy/check.ts');
  try {
    const problems = await checkPolicies(dir);
    return problems.length === 0
      ? { good: true, text: `the policies in ${dir} are valid` }
      : { good: false, text: problems.join('\n') };
  } catch (error) {
    return { good: false, text: `${dir}: ${message(error)}` };
  }
}

async function addresses({ listen }: Config): Promise<Finding[]> {
  const all = [['api', listen.api] as const, ...listen.protocols];
  return Promise.all(
    all.map(async ([name, { host, port }]) => {
      const problem = await taken(host, port);
      const where = `${name}: ${host}:${port}`;
      return problem === undefined
        ? { good: true, text: `${where} is free` }
        : { good: false, text: `${where}: ${problem}` };
    }),
  );
}

function taken(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'EADDRINUSE' ? 'something listens there already' : error.message),
    );
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
