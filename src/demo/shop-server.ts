import { createHash } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import pg from 'pg';
import { startEmbeddedPostgres } from './embedded-postgres.ts';
import { shopSql } from './shop.ts';

export interface Shop {
  readonly port: number;
  stop(): Promise<void>;
}

/** A real PostgreSQL server with the shop in it: database `shop`, and the role `shop_app` that the gateway connects as. */
export async function startShop(
  dataDir: string,
  appPassword: string,
  superPassword: string,
  tell: (line: string) => void,
): Promise<Shop> {
  const server = await startEmbeddedPostgres({
    dataDir,
    password: superPassword,
    settings: { fsync: 'off', max_connections: '150' },
  });
  try {
    const marker = `${dataDir}.filled`;
    const version = createHash('sha256').update(shopSql).digest('hex');
    if (server.fresh || !existsSync(marker)) {
      tell('filling the shop’s database (once; 160,000 rows) …');
      await fill(server.url, appPassword);
      writeFileSync(marker, version);
    }
    return { port: server.port, stop: () => server.stop() };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function fill(url: string, password: string): Promise<void> {
  await withClient(url, async (admin) => {
    await admin.query('drop database if exists shop with (force)');
    await admin.query('drop role if exists shop_app');
    await admin.query(`create role shop_app login password '${password.replaceAll("'", "''")}'`);
    await admin.query('create database shop owner shop_app');
  });
  const shop = new URL(url);
  shop.pathname = '/shop';
  await withClient(shop.href, async (admin) => {
    await admin.query('set role shop_app');
    await admin.query(shopSql);
  });
}

async function withClient(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
