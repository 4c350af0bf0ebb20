import { describe, expect, it } from 'vitest';
import { encodeKey, sha256, signS3 } from './sigv4.ts';

describe('the S3 signature', () => {
  it('is the one of the example in AWS’s manual, “PUT Object”', () => {
    // Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk.
    const body = Buffer.from('Welcome to Amazon S3.');
    const headers = { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' };
    const key = { id: 'AKIAIOSFODNN7EXAMPLE', secret: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', region: 'us-east-1' };
    const request = {
      method: 'PUT',
      host: 'examplebucket.s3.amazonaws.com',
      path: encodeKey('/test$file.text'),
      headers,
      payload: sha256(body),
    } as const;
    expect(request.path).toBe('/test%24file.text');
    const signed = signS3(request, key, Date.UTC(2013, 4, 24));
    expect(signed['x-amz-content-sha256']).toBe('44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072');
    expect(signed.authorization).toBe(
      'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    );
  });

  it('encodes keys byte by byte, once', () => {
    expect(encodeKey('/b/a b+ü%2F~.jsonl')).toBe('/b/a%20b%2B%C3%BC%252F~.jsonl');
    expect(sha256(Buffer.alloc(0))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });
});
