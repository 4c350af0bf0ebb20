import { describe, expect, it } from 'vitest';
import { Refusal } from '../../model/errors.ts';
import { type Fields, field } from '../message.ts';
import { planBody } from './body-plan.ts';
import { maskedFields, maskedHead, maskedTrailers } from './masked-head.ts';
import { realMasks, watchedMasks } from './masks.fixture.ts';
import { bodyRules, noRules } from './rules.ts';

const rules = bodyRules([{ path: '$.ssn', classification: 'pii.ssn' }]);
const json = ['content-type', 'application/json'];

function shown(fields: Fields, status = 200, detecting = true, applying = noRules) {
  const head = { status, fields, length: 10 };
  return maskedHead(head, planBody(head, applying, detecting), realMasks());
}

describe('the head of a body that may change', () => {
  it('says nothing of the bytes that were', () => {
    const about = [
      ...[
        'content-md5',
        'x',
        'digest',
        'sha-256=x',
        'content-digest',
        'x',
        'repr-digest',
        'x',
        'accept-ranges',
        'bytes',
      ],
      ...['x-amz-checksum-crc32', 'x', 'signature', 'x', 'signature-input', 'x', 'x-goog-hash', 'x'],
    ];
    const kept = [
      'last-modified',
      'Fri, 20 Nov 2026 10:00:00 GMT',
      'content-encoding',
      'gzip',
      'etag',
      'W/"1"',
      'vary',
      'accept',
    ];
    const head = shown([...json, ...about, ...kept]);
    expect(head).toEqual({ status: 200, fields: [...json, ...kept] });
  });

  it('has a weak entity tag', () => {
    expect(field(shown([...json, 'etag', '"a"']).fields, 'etag')).toBe('W/"a"');
    expect(field(shown([...json, 'etag', '"a"'], 304).fields, 'etag')).toBe('W/"a"');
  });

  it('stays as it is where the body passes', () => {
    const fields = ['content-type', 'image/png', 'etag', '"a"', 'accept-ranges', 'bytes', 'digest', 'x'];
    expect(shown(fields)).toEqual({ status: 200, fields, length: 10 });
    expect(shown([...json, 'etag', '"a"'], 200, false)).toEqual({
      status: 200,
      fields: [...json, 'etag', '"a"'],
      length: 10,
    });
  });

  it('keeps its length where detectors alone read it, which only overwrite', () => {
    for (const type of ['text/plain', 'text/csv', 'application/xml']) {
      expect(shown(['content-type', type, 'etag', '"a"'])).toEqual({
        status: 200,
        fields: ['content-type', type, 'etag', 'W/"a"'],
        length: 10,
      });
      expect(shown(['content-type', type, 'content-encoding', 'gzip']).length).toBeUndefined();
    }
    for (const type of ['text/csv', 'text/plain']) {
      expect(shown(['content-type', type], 200, true, rules).length).toBeUndefined();
    }
    expect(shown(['content-type', 'text/event-stream']).length).toBeUndefined();
  });

  it('keeps all that is said about bytes of no known type, while no rule applies', () => {
    const fields = [
      'content-type',
      'binary/octet-stream',
      'etag',
      '"a"',
      'accept-ranges',
      'bytes',
      'x-amz-checksum-crc32',
      'x',
    ];
    expect(shown(fields)).toEqual({ status: 200, fields, length: 10 });
    expect(shown(fields, 200, true, rules)).toEqual({
      status: 200,
      fields: ['content-type', 'binary/octet-stream'],
    });
  });

  it('is put right without detectors too, where rules apply', () => {
    expect(shown([...json, 'content-md5', 'x'], 200, false, rules)).toEqual({ status: 200, fields: json });
  });

  it('has nothing that the body could be guessed by, where rules apply', () => {
    const hashes = ['etag', 'x-checksum-md5', 'x-ms-blob-content-md5', 'x-sha256', 'content-sha-256', 'x-file-hash'];
    for (const name of [...hashes, 'docker-content-digest', 'x-crc32c', 'x-oss-hash-crc64ecma']) {
      expect(shown([...json, name, 'x'], 200, true, rules).fields, name).toEqual(json);
      const plan = planBody({ status: 200, fields: json }, rules, true);
      expect(maskedTrailers([name, 'x', 'grpc-status', '0'], plan, realMasks()), name).toEqual(['grpc-status', '0']);
    }
    for (const name of ['x-shard', 'x-crcle', 'x-hashtag', 'last-modified'])
      expect(field(shown([...json, name, 'x'], 200, true, rules).fields, name)).toBe('x');
  });
});

describe('a plan', () => {
  it('withholds what rules apply to and nobody can read', () => {
    const plan =
      (fields: Fields, status = 200) =>
      () =>
        planBody({ status, fields }, rules, false);
    expect(plan(['content-type', 'application/cbor'])).toThrow(Refusal);
    expect(plan([...json, 'content-encoding', 'compress'])).toThrow('coding');
    expect(plan(json, 206)).toThrow('without the rest');
    expect(plan(['content-type', 'application/cbor'], 304)).not.toThrow();
    expect(plan(['content-type', 'application/cbor'], 204)).not.toThrow();
  });

  it('passes any coding where nothing is looked at', () => {
    const plan = planBody({ status: 200, fields: [...json, 'content-encoding', 'compress'] }, noRules, false);
    expect(plan).toMatchObject({ changes: false, contentEncoding: undefined });
  });
});

describe('fields', () => {
  it('are searched one by one', () => {
    const fields = [
      ...[
        'location',
        'https://u:hunter2@x.example/?m=ann@example.com',
        'set-cookie',
        'id=4111111111111111; Path=/',
        'link',
        '<mailto:ann@example.com>; rel=author',
      ],
      ...['x-a', '4111 1111', 'x-b', '1111 1111', 'x-c', 'caf\xe9'],
    ];
    expect(maskedFields(fields, realMasks())).toEqual([
      ...[
        'location',
        'https://u:*******@x.example/?m=***************',
        'set-cookie',
        'id=****************; Path=/',
        'link',
        '<mailto:***************>; rel=author',
      ],
      ...['x-a', '4111 1111', 'x-b', '1111 1111', 'x-c', 'caf\xe9'],
    ]);
  });

  it('are searched behind percent signs where they are addresses', () => {
    const fields = ['location', '/u?mail=ann%40example.com&next=%2Fa%20b', 'x-a', 'ann%40example.com'];
    expect(maskedFields(fields, realMasks())).toEqual([
      'location',
      `/u?mail=${'*'.repeat(15)}&next=%2Fa%20b`,
      'x-a',
      'ann%40example.com',
    ]);
  });

  it('are the same object where nothing is found', () => {
    const fields = ['location', '/a%20b', 'date', 'Fri, 20 Nov 2026 10:00:00 GMT', 'x', ''];
    expect(maskedFields(fields, realMasks())).toBe(fields);
    expect(maskedFields([], realMasks())).toEqual([]);
  });

  it('are left alone by kinds that policy reveals', () => {
    expect(maskedFields(['x', 'ann@example.com'], watchedMasks({ 'pii.email': 'reveal' }))).toEqual([
      'x',
      'ann@example.com',
    ]);
  });

  it('of trailers follow the same rules', () => {
    const plan = planBody({ status: 200, fields: json }, rules, true);
    expect(maskedTrailers(['content-digest', 'x', 'x-mail', 'ann@example.com'], plan, realMasks())).toEqual([
      'x-mail',
      '***************',
    ]);
  });
});
