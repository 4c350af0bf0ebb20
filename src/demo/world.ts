import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLogger } from '../logger.ts';
import { type Running, start } from '../main.ts';
import { agents, people } from './cast.ts';
import { startCodeServer } from './code-server.ts';
import { demoConfiguration } from './configuration.ts';
import { placeFor } from './embedded-postgres.ts';
import { type DevIdp, loginAsDemoPerson, startDevIdp } from './idp.ts';
import { interfaceDocument, startInterface } from './interface-server.ts';
import { choosePort } from './ports.ts';
import { startShop } from './shop-server.ts';

export interface World {
  readonly folder: string;
  readonly gateway: Running;
  readonly ci: DevIdp;
  /** Folder that `SALLYPORT_HOME` points to for a logged-in person. */
  home(person: string): string;
  /** The file with the CI agent's token, as a CI system would leave it for its job. */
  readonly agentToken: string;
  stop(): Promise<void>;
}

const tokenTtlSeconds = 12 * 3600;

/** Starts everything the demonstration needs, in `folder`. What was started is stopped again when something fails. */
export async function startWorld(folder: string, tell: (line: string) => void): Promise<World> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stops: (() => Promise<void> | void)[] = [lockFolder(folder)];
  const stop = async () => {
    for (const step of stops.splice(0).reverse()) await step();
  };
  try {
    const idp = { dataDir: folder, tokenTtlSeconds };
    const [peopleIdp, ciIdp] = await Promise.all([
      choosePort('identity provider for people', 9480, tell).then((port) =>
        startDevIdp({ ...idp, port, people, agents: [], dataDir: sub(folder, 'idp-people') }),
      ),
      choosePort('identity provider for CI', 9481, tell).then((port) =>
        startDevIdp({ ...idp, port, people: [], agents, dataDir: sub(folder, 'idp-ci') }),
      ),
    ]);
    stops.push(peopleIdp.close, ciIdp.close);
    if (!existsSync(join(folder, 'postgres.password'))) forgetDatabase(folder);
    const password = secretFile(join(folder, 'shop.password'));
    const shop = await startShop(join(folder, 'shop'), password, secretFile(join(folder, 'postgres.password')), tell);
    stops.push(shop.stop);
    const keys = { api: secretFile(join(folder, 'api.key')), code: secretFile(join(folder, 'code.token')) };
    const [shopInterface, code] = await Promise.all([
      startInterface(keys.api),
      startCodeServer(sub(folder, 'code'), keys.code),
    ]);
    stops.push(shopInterface.stop, code.stop);
    writeFileSync(join(folder, 'api.openapi.yaml'), interfaceDocument);
    const api = await choosePort('API', 8443, tell);
    const postgres = await choosePort('PostgreSQL', 6432, tell);
    const http = await choosePort('HTTP and git', 8444, tell);
    const file = join(folder, 'sallyport.yaml');
    const policies = resolve(fileURLToPath(new URL('../../policies/demo', import.meta.url)));
    writeFileSync(
      file,
      demoConfiguration(
        {
          peopleIssuer: peopleIdp.issuer,
          ciIssuer: ciIdp.issuer,
          api,
          postgres,
          http,
          shop: shop.port,
          shopInterface: shopInterface.port,
          code: code.port,
        },
        policies,
      ),
    );
    const gateway = await start(file, createLogger({ pretty: true, level: 'warn' }));
    stops.push(gateway.stop);
    for (const { id } of people) await logIn(peopleIdp, gateway, folder, id);
    const agentToken = join(folder, 'ci-agent.token');
    writeFileSync(agentToken, await ciIdp.tokenForAgent('ci-agent'), { mode: 0o600 });
    return { folder, gateway, ci: ciIdp, home: (person) => join(folder, person), agentToken, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Deletes what earlier runs left. */
export function resetWorld(folder: string): void {
  lockFolder(folder)();
  forgetDatabase(folder);
  rmSync(folder, { recursive: true, force: true });
}

/**
 * The database may have had to go elsewhere, and may have outlived the folder that its passwords were in: without them it is of no
 * use. Where it is depends on the folder's mode, so the folder is made first.
 */
function forgetDatabase(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  rmSync(placeFor(join(folder, 'shop')), { recursive: true, force: true });
}

function sub(folder: string, name: string): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}

/** Through the real device flow, with the demonstration clicking in the browser's place; then as `sallyport login` would leave it. */
async function logIn(idp: DevIdp, gateway: Running, folder: string, person: string): Promise<void> {
  const token = await loginAsDemoPerson(idp.issuer, person);
  const { host, port } = gateway.addresses.api!;
  const home = sub(folder, person);
  const server = `https://${host}:${port}`;
  const profile = {
    current: server,
    servers: {
      [server]: {
        ...(gateway.caFile === undefined ? {} : { ca: gateway.caFile }),
        login: { token, expiresAt: Date.now() + tokenTtlSeconds * 1000 },
      },
    },
  };
  writeFileSync(join(home, 'profile.json'), `${JSON.stringify(profile, null, 2)}\n`, { mode: 0o600 });
}

/** A secret that outlives a restart. */
function secretFile(path: string): string {
  if (!existsSync(path)) writeFileSync(path, randomBytes(18).toString('base64url'), { mode: 0o600 });
  return readFileSync(path, 'utf8');
}

/** One demonstration per folder: a second one would pull the database from under the first. The result lets go. */
function lockFolder(folder: string): () => void {
  const file = join(folder, 'pid');
  const other = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  if (other > 0 && other !== process.pid && isAlive(other)) {
    throw new Error(
      `a demonstration is running in ${folder} (process ${other}); stop it, or choose another folder with --data`,
    );
  }
  if (existsSync(folder)) writeFileSync(file, String(process.pid));
  return () => rmSync(file, { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
