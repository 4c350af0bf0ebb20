import { createHash, createHmac } from 'node:crypto';

/** AWS Signature Version 4 for one kind of request: an S3 object with a known payload. */
export interface S3Request {
  readonly method: 'PUT';
  readonly host: string;
  /** Encoded as it is sent; see `encodeKey`. */
  readonly path: string;
  /** Names in lower case. All of them are signed. */
  readonly headers: Readonly<Record<string, string>>;
  /** SHA-256 of the body, hex. */
  readonly payload: string;
}

export interface S3Key {
  readonly id: string;
  readonly secret: string;
  readonly region: string;
}

/** The request's headers with date, payload hash and signature. `now` in ms. */
export function signS3(request: S3Request, key: S3Key, now: number): Record<string, string> {
  const time = `${new Date(now).toISOString().replaceAll(/[-:]/g, '').slice(0, 15)}Z`;
  const { payload } = request;
  const headers: Record<string, string> = {
    ...request.headers,
    host: request.host,
    'x-amz-content-sha256': payload,
    'x-amz-date': time,
  };
  const names = Object.keys(headers).sort();
  const canonical = [
    request.method,
    request.path,
    '',
    ...names.map((name) => `${name}:${(headers[name] as string).trim().replaceAll(/ +/g, ' ')}`),
    '',
    names.join(';'),
    payload,
  ].join('\n');
  const scope = `${time.slice(0, 8)}/${key.region}/s3/aws4_request`;
  const text = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${sha256(Buffer.from(canonical))}`;
  const signing = [time.slice(0, 8), key.region, 's3', 'aws4_request'].reduce<Buffer | string>(
    (derived, part) => hmac(derived, part),
    `AWS4${key.secret}`,
  );
  const signature = hmac(signing, text).toString('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${key.id}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return { ...headers, authorization };
}

/** S3 encodes every byte of a key but letters, digits, `-_.~` and `/`, once. */
export function encodeKey(key: string): string {
  return [...Buffer.from(key)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9_.~/-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
