import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../../model/errors.ts';
import { awsRefusal } from './refusal.ts';

const refusal = new Refusal('POLICY_DENIED', 'builds/<keep>\u0000 & more', {
  rule: 'keep',
  advice: 'leave it',
  link: 'https://gw.example/a/1',
});

describe('a refusal for a client of AWS', () => {
  it('is S3’s XML, harmless whatever was asked for', () => {
    expect(awsRefusal(refusal, 's3')).toEqual({
      fields: ['content-type', 'application/xml'],
      body: '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>SP2001 builds/&lt;keep&gt;\ufffd &amp; more; rule: keep; leave it; https://gw.example/a/1</Message></Error>',
    });
  });

  it('is JSON for other services', () => {
    const { fields, body } = awsRefusal(refusal, 'dynamodb');
    expect(fields).toContain('AccessDeniedException');
    expect(JSON.parse(body)).toEqual({
      __type: 'AccessDeniedException',
      message: 'SP2001 builds/<keep>\u0000 & more; rule: keep; leave it; https://gw.example/a/1',
    });
  });
});
