import 'reflect-metadata';
import { createHash, createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

const day = 86_400_000;
const caDays = 3650;
const leafDays = 90;
const renewBeforeDays = 30;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const signing = { name: 'ECDSA', hash: 'SHA-256' } as const;

export interface DevelopmentCertificate {
  readonly certificate: string;
  readonly key: string;
  readonly ca: string;
}

/**
 * A certificate for localhost, 127.0.0.1, ::1 and `names`, signed by an authority of its own, in `dataDir`/tls. Made when
 * it is missing, does not fit, has other names or has less than 30 days to live; else the files stay as they are. The authority stays the same for ten years, so
 * clients that trust `ca.crt` go on trusting. Keys are readable by the owner only. ECDSA P-256.
 */
export async function developmentCertificate(
  dataDir: string,
  names: readonly string[],
  now: number,
): Promise<DevelopmentCertificate> {
  const dir = join(dataDir, 'tls');
  mkdirSync(dir, { recursive: true });
  const files = { certificate: join(dir, 'server.crt'), key: join(dir, 'server.key'), ca: join(dir, 'ca.crt') };
  const caKey = join(dir, 'ca.key');
  const wanted = [...new Set(['localhost', '127.0.0.1', '::1', ...names])];

  let authority = fitting(files.ca, caKey);
  if (authority === undefined || !lives(authority.certificate, now + leafDays * day)) {
    await makeAuthority(files.ca, caKey, now);
    authority = fitting(files.ca, caKey)!;
  }
  const server = fitting(files.certificate, files.key);
  const good =
    server?.certificate.verify(authority.certificate.publicKey) === true &&
    lives(server.certificate, now + renewBeforeDays * day) &&
    namedExactly(server.certificate, wanted);
  if (!good) await makeLeaf(files, caKey, wanted, now);
  for (const secret of [files.key, caKey]) chmodSync(secret, 0o600);
  return files;
}

/** The certificate in the first file, if the second holds its private key. Whatever is wrong with the files is mended by making new ones. */
function fitting(certificateFile: string, keyFile: string): { readonly certificate: X509Certificate } | undefined {
  if (!existsSync(certificateFile) || !existsSync(keyFile)) return undefined;
  try {
    const certificate = new X509Certificate(readFileSync(certificateFile));
    return certificate.checkPrivateKey(createPrivateKey(readFileSync(keyFile))) ? { certificate } : undefined;
  } catch {
    return undefined;
  }
}

function lives(certificate: X509Certificate, until: number): boolean {
  return certificate.validToDate.getTime() >= until;
}

function namedExactly(certificate: X509Certificate, wanted: readonly string[]): boolean {
  const found = new x509.X509Certificate(certificate.raw).getExtension(x509.SubjectAlternativeNameExtension);
  const fingerprint = (list: readonly string[]) => JSON.stringify(list.map((name) => name.toLowerCase()).toSorted());
  const normal = wanted.map((name) => new x509.GeneralName(isIP(name) ? 'ip' : 'dns', name).value);
  return found !== null && fingerprint(found.names.items.map(({ value }) => value)) === fingerprint(normal);
}

async function makeAuthority(certificateFile: string, keyFile: string, now: number): Promise<void> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  // Two authorities must differ in name: clients look an issuer up by it.
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ O: ['Sallyport'] }, { CN: [`Sallyport development authority ${randomBytes(4).toString('hex')}`] }],
    serialNumber: serial(),
    ...validity(now, caDays),
    keys,
    signingAlgorithm: signing,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  store(keyFile, await pkcs8(keys.privateKey), 0o600);
  store(certificateFile, `${certificate.toString('pem')}\n`, 0o644);
}

async function makeLeaf(
  files: DevelopmentCertificate,
  caKey: string,
  names: readonly string[],
  now: number,
): Promise<void> {
  const ca = new x509.X509Certificate(readFileSync(files.ca, 'utf8'));
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    pemBytes(readFileSync(caKey, 'utf8')),
    algorithm,
    false,
    ['sign'],
  );
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: [{ O: ['Sallyport'] }, { CN: ['Sallyport development server'] }],
    issuer: ca.subjectName,
    serialNumber: serial(),
    ...validity(now, leafDays),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: signing,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(names.map((name) => ({ type: isIP(name) ? 'ip' : 'dns', value: name }))),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(await ca.publicKey.export()),
    ],
  });
  store(files.key, await pkcs8(keys.privateKey), 0o600);
  store(files.certificate, `${certificate.toString('pem')}\n`, 0o644);
}

/** A day back, for clients whose clock is behind. */
function validity(now: number, days: number) {
  return { notBefore: new Date(now - day), notAfter: new Date(now + days * day) };
}

/** Positive and 16 bytes long (RFC 5280, 4.1.2.2). */
function serial(): string {
  return `4${randomBytes(16).toString('hex').slice(1)}`;
}

async function pkcs8(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
}

function pemBytes(pem: string): ArrayBuffer {
  return x509.PemConverter.decodeFirst(pem);
}

/** Whole or not at all. A crash between a key and its certificate leaves two files that do not fit, which is seen at the next start. */
function store(file: string, text: string, mode: number): void {
  const temporary = `${file}.${createHash('sha256').update(text).digest('hex').slice(0, 8)}`;
  writeFileSync(temporary, text, { mode });
  renameSync(temporary, file);
}
