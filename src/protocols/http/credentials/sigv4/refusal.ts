import type { Refusal } from '../../../../model/errors.ts';

/** A refusal in the words that AWS's clients show: S3's XML, and JSON for other services. */
export interface AwsRefusal {
  readonly fields: readonly string[];
  readonly body: string;
}

/** Clients print code and message, and read nothing else. */
export function awsRefusal({ code, message, details }: Refusal, service: string): AwsRefusal {
  const parts = [
    `${code} ${message}`,
    details.rule === undefined ? '' : `rule: ${details.rule}`,
    details.advice ?? '',
    details.link ?? '',
  ];
  const text = parts.filter((part) => part !== '').join('; ');
  if (service === 's3') {
    const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>${escaped(text)}</Message></Error>`;
    return { fields: ['content-type', 'application/xml'], body };
  }
  return {
    fields: ['content-type', 'application/x-amz-json-1.0', 'x-amzn-errortype', 'AccessDeniedException'],
    body: JSON.stringify({ __type: 'AccessDeniedException', message: text }),
  };
}

/** As XML 1.0 takes it: what it has no form for becomes U+FFFD. */
function escaped(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: XML 1.0 §2.2 forbids exactly these.
  const plain = text.toWellFormed().replaceAll(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '\ufffd');
  return plain.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
