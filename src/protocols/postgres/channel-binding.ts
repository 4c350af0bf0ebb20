import { createHash, X509Certificate } from 'node:crypto';

/**
 * The `tls-server-end-point` data of a certificate (RFC 5929, section 4.1): its hash, by the hash of its own signature, or
 * by SHA-256 where that is MD5 or SHA-1. Undefined when the signature has no single hash (Ed25519, RSA-PSS): binding is
 * not defined then.
 */
export function serverEndPoint(certificate: Buffer): Buffer | undefined {
  const hash = hashes[signatureOid(certificate) ?? ''];
  return hash === undefined ? undefined : createHash(hash).update(certificate).digest();
}

const hashes: Readonly<Record<string, string>> = {
  '2a864886f70d010104': 'sha256', // md5WithRSAEncryption
  '2a864886f70d010105': 'sha256', // sha1WithRSAEncryption
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a864886f70d01010e': 'sha224',
  '2a8648ce3d0401': 'sha256', // ecdsa-with-SHA1
  '2a8648ce3d040301': 'sha224',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
};

/** Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OID, … }, … } (RFC 5280, section 4.1), as hex. */
function signatureOid(certificate: Buffer): string | undefined {
  // Node has parsed it as a certificate, so only its outline is walked here.
  const der = new X509Certificate(certificate).raw;
  const outer = element(der, 0);
  const signed = outer && element(der, outer.start);
  const algorithm = signed && element(der, signed.end);
  const oid = algorithm && element(der, algorithm.start);
  return oid === undefined || oid.tag !== 0x06 ? undefined : der.toString('hex', oid.start, oid.end);
}

/** The DER element at `at`: where its contents start and end. */
function element(
  der: Buffer,
  at: number,
): { readonly tag: number; readonly start: number; readonly end: number } | undefined {
  const tag = der[at];
  const first = der[at + 1];
  if (tag === undefined || first === undefined) return undefined;
  const size = first < 0x80 ? 0 : first & 0x7f;
  if (size > 4 || at + 2 + size > der.length) return undefined;
  const length = size === 0 ? first : der.readUIntBE(at + 2, size);
  const start = at + 2 + size;
  return start + length > der.length ? undefined : { tag, start, end: start + length };
}
