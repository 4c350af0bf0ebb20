import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { Refusal } from '../model/errors.ts';
import { credentialSchema } from './credential.ts';
import { createSecrets } from './secrets.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-secrets-'));
afterAll(() => rmSync(dir, { recursive: true }));

const canary = 'hunter2-canary';
const target = { name: 'orders', protocol: 'postgres', labels: {}, holdMs: 0, settings: {} };
let warnings: string[] = [];
beforeEach(() => {
  warnings = [];
});

function credential(settings: object, env: Record<string, string> = {}) {
  const parsed = credentialSchema.parse(settings);
  const warn = (message: string) => warnings.push(message);
  return createSecrets({
    credentialOf: () => parsed,
    baseDir: dir,
    env: { PATH: process.env.PATH, ...env },
    warn,
  }).credential(target);
}

/** What is said to the client and to the operator when there is no credential. */
async function failure(settings: object, env: Record<string, string> = {}): Promise<string> {
  const error: unknown = await credential(settings, env).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(Refusal);
  const refusal = error as Refusal;
  expect(refusal.kind).toBe('UPSTREAM_UNAVAILABLE');
  expect(refusal.message).toBe('the gateway cannot get its credential for orders');
  expect(refusal.cause).toBeUndefined();
  expect(warnings).toHaveLength(1);
  expect(JSON.stringify([refusal, refusal.stack, warnings])).not.toContain(canary);
  return warnings[0]!;
}

const script = (code: string) => ({ command: [process.execPath, '-e', code] });

describe('a credential', () => {
  it('comes from an environment variable', async () => {
    expect(await credential({ user: 'app', env: 'ORDERS_PASSWORD' }, { ORDERS_PASSWORD: 'pw\n' })).toEqual({
      user: 'app',
      secret: 'pw\n',
    });
  });

  it('comes from a file, without one newline at its end, and anew each time', async () => {
    const file = join(dir, 'secret');
    for (const [content, secret] of [
      ['pw', 'pw'],
      ['pw\n', 'pw'],
      ['pw\r\n', 'pw'],
      ['pw\n\n', 'pw\n'],
      [' pw ', ' pw '],
      ['пароль', 'пароль'],
    ]) {
      writeFileSync(file, content!);
      expect(await credential({ file: 'secret' })).toEqual({ secret });
    }
  });

  it('comes from a command, which no shell sees', async () => {
    expect(await credential({ command: ['printf', '%s\n', '$HOME;`id`'], user: 'u' })).toEqual({
      user: 'u',
      secret: '$HOME;`id`',
    });
    expect(await credential({ command: ['cat', 'secret'] })).toEqual({ secret: 'пароль' });
    await failure({ command: ['echo pw > injected'] });
    expect(existsSync(join(dir, 'injected'))).toBe(false);
  });

  it('may be only a user, or nothing', async () => {
    expect(await credential({ user: 'app' })).toEqual({ user: 'app' });
    const none = createSecrets({ credentialOf: () => undefined, baseDir: dir, env: {}, warn: () => {} });
    expect(await none.credential(target)).toEqual({});
  });
});

describe('a credential that cannot be had', () => {
  it('is an error when it is missing or empty', async () => {
    writeFileSync(join(dir, 'empty'), '\n');
    expect(await failure({ env: 'NOT_SET' })).toContain('NOT_SET is not set');
    warnings = [];
    expect(await failure({ env: 'EMPTY' }, { EMPTY: '' })).toContain('empty');
    warnings = [];
    expect(await failure({ file: 'empty' })).toContain('empty');
    warnings = [];
    expect(await failure({ command: ['true'] })).toContain('empty');
    warnings = [];
    expect(await failure({ file: 'missing' })).toContain('ENOENT');
    warnings = [];
    expect(await failure({ file: '.' })).toMatch(/not a file|EISDIR/);
    warnings = [];
    expect(await failure({ command: ['/does/not/exist', canary] })).toContain('ENOENT');
  });

  it('never shows what a command printed or was given', async () => {
    const noisy = `console.log('${canary}'); console.error('${canary}'); process.exit(3)`;
    expect(await failure(script(noisy))).toContain('status 3');
  });

  it('ends a command that takes too long', async () => {
    expect(
      await failure({ ...script(`console.log('${canary}'); setInterval(() => {}, 1000)`), timeoutMs: 300 }),
    ).toContain('300 ms');
  });

  it('bounds what it reads', async () => {
    expect(await failure(script(`process.stdout.write('${canary}'.repeat(10000))`))).toContain('more than');
    warnings = [];
    writeFileSync(join(dir, 'large'), canary.repeat(10_000));
    expect(await failure({ file: 'large' })).toContain('larger than');
    warnings = [];
    expect(await failure({ file: '/dev/zero' })).toContain('not a file');
    warnings = [];
    execFileSync('mkfifo', [join(dir, 'fifo')]);
    expect(await failure({ file: 'fifo' })).toContain('not a file');
  });

  it('refuses a secret with a NUL, which targets would read as a shorter one', async () => {
    expect(await failure(script(`process.stdout.write('${canary}\\0x')`))).toContain('NUL');
  });
});

describe('the configuration of a credential', () => {
  const valid = (value: unknown) => credentialSchema.safeParse(value).success;

  it('names one source', () => {
    expect(valid({ env: 'A' })).toBe(true);
    expect(valid({ env: 'A', file: 'b' })).toBe(false);
    expect(valid({ file: 'a', command: ['b'] })).toBe(false);
    expect(valid({})).toBe(false);
    expect(valid({ certificate: 'a.crt', key: 'a.key' })).toBe(true);
    expect(valid({ certificate: 'a.crt' })).toBe(false);
    expect(valid({ key: 'a.key', env: 'A' })).toBe(false);
  });

  it('never holds the secret itself, and no empty keys', () => {
    for (const wrong of [
      { password: 'x' },
      { secret: 'x' },
      { env: '' },
      { env: 'a b' },
      { env: '$A' },
      { file: '' },
      { command: [] },
      { command: [''] },
      { command: 'echo x' },
    ]) {
      expect(valid({ user: 'app', ...wrong }), JSON.stringify(wrong)).toBe(false);
    }
  });
});
