import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../model/errors.ts';
import { syncDirectory } from './segment.ts';

/**
 * The log's Ed25519 key, from `dir/signing.key` (PKCS#8 PEM, mode 0600). Made only for a log that has no history: a key made
 * afresh for an existing one would sign whatever somebody has left there.
 */
export function loadSigningKey(dir: string, mayCreate: boolean): KeyObject {
  const path = join(dir, 'signing.key');
  if (!existsSync(path)) {
    if (!mayCreate)
      throw new ConfigError(`${path}: the audit log has a history but its signing key is gone; put the key back`);
    const { privateKey } = generateKeyPairSync('ed25519');
    writeDurably(path, privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, 0o600);
    syncDirectory(dir);
    return privateKey;
  }
  const key = createPrivateKey(readFileSync(path));
  if (key.asymmetricKeyType !== 'ed25519') throw new ConfigError(`${path}: expected an Ed25519 private key`);
  return key;
}

/** Writes a file and makes its content durable; its name needs `syncDirectory`. */
export function writeDurably(path: string, text: string, mode = 0o644): void {
  const fd = openSync(path, 'w', mode);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
