/** How a payload travels and is vouched for (“Signature calculations: chunked uploads”, “… for trailing headers”). */
export type Payload =
  | { readonly kind: 'hash'; readonly sha256: string }
  | { readonly kind: 'unsigned' }
  | {
      readonly kind: 'chunked';
      /** Each chunk is signed; otherwise only framed. */
      readonly signed: boolean;
      readonly trailer: boolean;
    };

const names: Readonly<Record<string, Payload>> = {
  'UNSIGNED-PAYLOAD': { kind: 'unsigned' },
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD': { kind: 'chunked', signed: true, trailer: false },
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER': { kind: 'chunked', signed: true, trailer: true },
  'STREAMING-UNSIGNED-PAYLOAD-TRAILER': { kind: 'chunked', signed: false, trailer: true },
};

/** Reads `x-amz-content-sha256`; undefined for what is not known (signatures with elliptic curves among it). */
export function parsePayload(text: string): Payload | undefined {
  if (/^[0-9a-f]{64}$/.test(text)) return { kind: 'hash', sha256: text };
  return Object.hasOwn(names, text) ? names[text] : undefined;
}

export function payloadText(payload: Payload): string {
  if (payload.kind === 'hash') return payload.sha256;
  const found = Object.entries(names).find(([, known]) => JSON.stringify(known) === JSON.stringify(payload));
  return (found as [string, Payload])[0];
}
