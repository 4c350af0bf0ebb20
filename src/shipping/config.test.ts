import { describe, expect, it } from 'vitest';
import { shippingSchema } from './config.ts';

const complaintsOf = (...sinks: readonly Record<string, unknown>[]): readonly string[] => {
  const parsed = shippingSchema.safeParse(sinks);
  return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
};
const secret = { env: 'TOKEN' };
const whole: readonly Record<string, unknown>[] = [
  { name: 'lines', kind: 'file', path: './audit.jsonl', rotate: '1GiB', keep: 3 },
  { name: 'out', kind: 'stdout', format: 'ecs', from: 'now', timeout: '5s' },
  { name: 'syslog', kind: 'syslog', address: 'logs.example:6514', tls: { ca: './ca.pem' }, structuredData: 'gw@1.2' },
  { name: 'local', kind: 'syslog', address: '[::1]:514', transport: 'udp' },
  { name: 'otlp', kind: 'otlp', url: 'http://127.0.0.1:4318', credential: secret, header: 'x-api-key' },
  { name: 'hec', kind: 'splunk', url: 'https://splunk.example:8088', credential: secret, acknowledgement: true },
  { name: 'es', kind: 'elastic', url: 'https://es.example', format: 'ecs', index: 'logs-sallyport' },
  {
    name: 'hook',
    kind: 'webhook',
    url: 'https://hook.example/in?x=1',
    credential: secret,
    previous: { file: './old' },
  },
  { name: 's3', kind: 's3', url: 'https://s3.example/bucket', credential: { ...secret, user: 'AKIA' }, gather: '10s' },
];

describe('the configuration of sinks', () => {
  it('takes every kind', () => {
    expect(complaintsOf(...whole)).toEqual([]);
    expect(shippingSchema.parse(undefined)).toEqual([]);
  });

  it('refuses what would send the log in the clear over a network', () => {
    for (const transport of ['tcp', 'udp'])
      expect(complaintsOf({ ...whole[2], transport })).toEqual([expect.stringContaining('on this machine only')]);
    for (const url of [
      'http://es.example',
      'http://127.0.0.1.example',
      'ftp://es.example',
      'https://user:secret@es.example',
    ])
      expect(complaintsOf({ ...whole[6], url }), url).toEqual([expect.stringContaining('expected an https URL')]);
  });

  it('has no place for a secret itself', () => {
    for (const credential of [{ secret: 'x' }, { token: 'x' }, 'x'])
      expect(complaintsOf({ ...whole[5], credential })).not.toEqual([]);
    expect(complaintsOf({ ...whole[4], header: 'authorization: Bearer x' })).not.toEqual([]);
  });

  it('asks for the secret where a receiver wants one', () => {
    for (const i of [5, 7, 8]) {
      expect(complaintsOf({ ...whole[i], credential: undefined })).not.toEqual([]);
      expect(complaintsOf({ ...whole[i], credential: { user: 'me' } })).toEqual([
        expect.stringContaining('wants a secret'),
      ]);
    }
    expect(complaintsOf({ ...whole[8], credential: secret })).toEqual([
      '0.credential.user: required: the access key id',
    ]);
  });

  it('refuses two sinks of one name, names that are paths, strange keys and kinds', () => {
    expect(complaintsOf(whole[0]!, { ...whole[1], name: 'lines' })).toEqual(['1.name: another sink has this name']);
    for (const name of ['../x', 'a/b', '.', 'A', ''])
      expect(complaintsOf({ ...whole[0], name })).toEqual([expect.stringContaining('expected a name')]);
    expect(complaintsOf({ ...whole[0], adress: 'x' })).not.toEqual([]);
    expect(complaintsOf({ name: 'x', kind: 'kafka' })).toEqual([
      expect.stringContaining('expected one of the kinds file'),
    ]);
  });
});
