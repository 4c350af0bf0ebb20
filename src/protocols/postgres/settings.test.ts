import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isLoopback, parseAddress } from './address.ts';
import { parseColumnName, postgresSettings } from './settings.ts';

const good = { address: 'db.internal:5432', database: 'orders' };

describe('the settings of a target', () => {
  it('verify the server fully unless they say otherwise', () => {
    expect(postgresSettings.parse(good).tls.mode).toBe('verify-full');
    expect(postgresSettings.parse({ ...good, tls: {} }).tls.mode).toBe('verify-full');
  });

  it.each([
    ['db.internal:5432', false],
    ['10.0.0.5', false],
    ['127.0.0.1.example.com', false],
    ['[2001:db8::1]:5432', false],
    ['localhost', true],
    ['127.0.0.2:5432', true],
    ['[::1]', true],
    ['/run/postgresql/.s.PGSQL.5432', true],
  ])('allow %s without TLS: %s', (address, allowed) => {
    const settings = { ...good, address, tls: { mode: 'disable' } };
    expect(postgresSettings.safeParse(settings).success).toBe(allowed);
    expect(postgresSettings.safeParse({ ...settings, insecure: true }).success).toBe(true);
  });

  it.each([
    ['an unknown key', { ...good, pasword: 'x' }],
    ['an unknown TLS mode', { ...good, tls: { mode: 'prefer' } }],
    ['a certificate without its key', { ...good, tls: { certificate: 'a.crt' } }],
    ['a password in the address', { ...good, address: 'user:pw@db:5432' }],
    ['a connection string as a database', { ...good, database: 'a\0b' }],
    ['a port that does not exist', { ...good, address: 'db:70000' }],
    ['a column without a schema', { ...good, classify: { 'customers.ssn': 'pii.ssn' } }],
    ['a column with a dot too many', { ...good, classify: { 'db.public.customers.ssn': 'pii.ssn' } }],
    ['a classification in capitals', { ...good, classify: { 'public.customers.ssn': 'PII' } }],
    ['a secret in the open', { ...good, credential: { user: 'app', password: 'x' } }],
    ['a duration without a unit', { ...good, statementTimeout: '30' }],
  ])('refuse %s', (_, settings) => {
    expect(postgresSettings.safeParse(settings).success).toBe(false);
  });

  it('read durations', () => {
    expect(postgresSettings.parse({ ...good, statementTimeout: '1m30s' }).statementTimeout).toBe(90_000);
  });
});

describe('parseColumnName', () => {
  it.each([
    ['public.customers.ssn', 'public', 'customers', 'ssn'],
    ['public.Customers.SSN', 'public', 'Customers', 'SSN'],
    ['public."Weird.Table"."a ""b"""', 'public', 'Weird.Table', 'a "b"'],
  ])('reads %s as it is written', (text, schema, table, column) => {
    expect(parseColumnName(text)).toEqual({ schema, table, column });
  });

  it.each(['a.b', 'a.b.c.d', 'a..c', '"a.b.c', 'a.b"x".c', ''])('refuses %s', (text) => {
    expect(parseColumnName(text)).toBeUndefined();
  });

  it('reads any three names back once they are quoted', () => {
    const name = fc.string({ unit: 'grapheme', minLength: 1 });
    fc.assert(
      fc.property(name, name, name, (schema, table, column) => {
        const quoted = [schema, table, column].map((part) => `"${part.replaceAll('"', '""')}"`).join('.');
        expect(parseColumnName(quoted)).toEqual({ schema, table, column });
      }),
    );
  });
});

describe('addresses', () => {
  it('have a port, or PostgreSQL’s own', () => {
    expect(parseAddress('db')).toEqual({ kind: 'tcp', host: 'db', port: 5432 });
    expect(parseAddress('[::1]:1')).toEqual({ kind: 'tcp', host: '::1', port: 1 });
  });

  it.each(['', ':5432', 'db:', 'db:0', 'db:99999', '::1', '[db]:1', 'a b:1', 'db:5432,db2:5432', 'db?host=evil'])(
    'are not %s',
    (text) => {
      expect(parseAddress(text)).toBeUndefined();
    },
  );

  it('count as loopback only when they are numeric and this machine’s', () => {
    expect(['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'].map(isLoopback)).toEqual([true, true, true, true]);
    expect(['128.0.0.1', 'localhost', '::ffff:10.0.0.1', '', '127.0.0.1.evil'].map(isLoopback)).toEqual([
      false,
      false,
      false,
      false,
      false,
    ]);
  });
});
