import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** A certificate with its key, as PEM texts. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

export interface TestAuthority extends Issued {
  /** A server certificate for these DNS names and IP addresses. */
  server(...names: readonly string[]): Promise<Issued>;
  /** A client certificate for a user. */
  client(user: string): Promise<Issued>;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const day = 86_400_000;

/** A certificate authority that lives for one test file. */
export async function testAuthority(name = 'test authority'): Promise<TestAuthority> {
  x509.cryptoProvider.set(webcrypto);
  const keys = await freshKeys();
  const subject = `CN=${name}`;
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(),
    name: subject,
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  const issue = async (commonName: string, extensions: x509.Extension[]): Promise<Issued> => {
    const own = await freshKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      ...validity(),
      issuer: root.subject,
      subject: `CN=${commonName}`,
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [new x509.BasicConstraintsExtension(false, undefined, true), ...extensions],
    });
    return { certificate: certificate.toString('pem'), key: await keyPem(own) };
  };
  return {
    certificate: root.toString('pem'),
    key: await keyPem(keys),
    server(...names) {
      const general = names.map((one) => ({
        type: /^[\d.]+$|:/.test(one) ? ('ip' as const) : ('dns' as const),
        value: one,
      }));
      return issue(names[0] ?? 'server', [
        new x509.SubjectAlternativeNameExtension(general),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      ]);
    },
    client: (user) => issue(user, [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])]),
  };
}

function validity(): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - day), notAfter: new Date(now + day) };
}

function freshKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;
}

async function keyPem({ privateKey }: webcrypto.CryptoKeyPair): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', privateKey);
  return x509.PemConverter.encode(der, 'PRIVATE KEY');
}
