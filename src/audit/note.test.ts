import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { decodeCheckpoint, decodeVkey, encodeCheckpoint, encodeVkey, openNote, signNote } from './note.ts';
import { emptyRoot } from './tree.ts';

// The example of Go's sumdb/note, which C2SP signed-note is compatible with.
const vkey = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const seed = Buffer.from('AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz', 'base64').subarray(1);
const text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const note = `${text}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`;
// Ed25519 private key of PKCS#8: RFC 8410, section 7.
const key = createPrivateKey({
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]),
  format: 'der',
  type: 'pkcs8',
});

describe('a signed note', () => {
  it('is what the published example is, byte for byte', () => {
    expect(signNote(text, 'PeterNeumann', key)).toBe(note);
    expect(encodeVkey('PeterNeumann', key)).toBe(vkey);
    expect(openNote(note, decodeVkey(vkey))).toBe(text);
  });

  it('opens the example of the specification', () => {
    const spec =
      'This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n';
    expect(openNote(spec, decodeVkey('example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'))).toBe(
      'This is an example message.\n',
    );
  });

  it('does not open when any byte of it was changed', () => {
    const bytes = Buffer.from(note);
    for (let i = 0; i < bytes.length; i++) {
      const changed = Buffer.from(bytes);
      changed[i] = (changed[i] as number) ^ 0x01;
      expect(() => openNote(changed.toString('utf8'), decodeVkey(vkey)), `byte ${i}`).toThrow();
    }
  });

  it('does not open with another key, of the same name or not', () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    expect(() => openNote(note, decodeVkey(encodeVkey('PeterNeumann', privateKey)))).toThrow('not signed by');
    expect(() => openNote(note, decodeVkey(encodeVkey('Somebody', key)))).toThrow('not signed by');
  });

  it('opens in spite of signatures by keys nobody knows', () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const witness = signNote(text, 'witness.example', privateKey).slice(text.length + 1);
    expect(openNote(`${note}${witness}`, decodeVkey(vkey))).toBe(text);
  });

  it('has a key whose text cannot be changed', () => {
    for (const bad of [
      '',
      vkey.slice(1),
      vkey.slice(0, -1),
      vkey.replace('c74f', 'c74e'),
      `${vkey}A`,
      vkey.replace('+AR', '+BR'),
    ]) {
      expect(() => decodeVkey(bad), bad).toThrow();
    }
  });
});

describe('a checkpoint', () => {
  it('says origin, size and root', () => {
    const checkpoint = { origin: 'gw.example/audit', size: 0, root: emptyRoot() };
    expect(encodeCheckpoint(checkpoint)).toBe('gw.example/audit\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n');
    expect(decodeCheckpoint(encodeCheckpoint(checkpoint))).toEqual(checkpoint);
  });

  it('is refused when its size or root is not one', () => {
    for (const bad of [
      'o\n01\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n',
      'o\n-1\n\n',
      'o\n1\nAAAA\n',
      '\n1\n\n',
      'o\n',
    ]) {
      expect(() => decodeCheckpoint(bad), bad).toThrow('not a checkpoint');
    }
  });
});
