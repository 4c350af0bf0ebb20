import type { Action, Resource } from '../../../model/command.ts';
import { Refusal } from '../../../model/errors.ts';
import { type Fields, field } from '../../../web/message.ts';
import { isEncoded, type KnownBody } from './body.ts';
import { formPairs } from './form.ts';
import { utf8 } from './json.ts';
import { type PathRules, readPath } from './path.ts';

/** What a request to an S3 API (path style, `/bucket/key`) means. */
export interface S3Meaning {
  readonly actions: readonly Action[];
  /** `bucket`, `bucket/key`. */
  readonly objects: readonly Resource[];
}

export interface S3Request {
  readonly method: string;
  /** The path's; see `readPath`. */
  readonly readings: readonly string[];
  readonly query: string;
  readonly fields: Fields;
  readonly body: KnownBody;
  readonly rules: PathRules;
}

/** Sub-resources that belong to an object's or a bucket's content; all others are its settings, and changing those is `administer`. */
const contentQueries = new Set([
  'uploads',
  'uploadid',
  'partnumber',
  'versionid',
  'versions',
  'delete',
  'tagging',
  'attributes',
  'select',
  'select-type',
  'restore',
  'list-type',
  'prefix',
  'delimiter',
  'marker',
  'max-keys',
  'continuation-token',
  'start-after',
  'fetch-owner',
  'encoding-type',
  'key-marker',
  'version-id-marker',
  'upload-id-marker',
  'max-uploads',
  'max-parts',
  'part-number-marker',
  'max-buckets',
  'x-id',
  'response-content-type',
  'response-content-language',
  'response-expires',
  'response-cache-control',
  'response-content-disposition',
  'response-content-encoding',
  'location',
  'optional-object-attributes',
]);

/** What a POST is for; without one of these it is a browser's form, which names its key in the body. */
const postQueries = ['uploads', 'uploadid', 'delete', 'select', 'restore'];

/** Fields that change who may reach what, besides what the request is about. */
const grants = /^x-amz-(?:acl|grant-|object-lock-|bypass-governance-retention|website-redirect-location)/;

/**
 * Buckets and keys that a request touches, copied and listed ones too. Throws Refusal
 * UNPARSABLE where a list of keys to delete cannot be read.
 */
export function s3Meaning({ method, readings, query, fields, body, rules }: S3Request): S3Meaning {
  const names = new Set([...formPairs(query, '&;')].map((pair) => (pair?.[0] ?? '').toLowerCase()));
  const administers = [...names].some((name) => !contentQueries.has(name)) || hasGrants(fields);
  if (method === 'POST' && !postQueries.some((name) => names.has(name)))
    throw new Refusal('UNSUPPORTED', 'a form upload to a bucket is not taken', {
      advice: 'use PUT, or a multipart upload',
    });
  const actions = new Set<Action>();
  const objects = new Map<string, Resource>();
  const touch = (id: string, access: Resource['access']) =>
    objects.set(`${access} ${id}`, { type: 'Object', id, access });

  const removes = method === 'DELETE' && !names.has('uploadid') && !names.has('tagging');
  const reads =
    method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || (method === 'POST' && names.has('select'));
  const deletesMany = method === 'POST' && names.has('delete');
  actions.add(reads ? 'read' : removes || deletesMany ? 'destroy' : 'write');
  if (administers && !reads) actions.add('administer');
  if (isBucket(readings) && (method === 'PUT' || method === 'DELETE')) actions.add('administer');

  const access = reads ? 'read' : 'write';
  for (const reading of readings) touch(objectId(reading), access);
  if (deletesMany)
    for (const key of keysToDelete(fields, body)) touch(`${objectId(readings[0] as string)}/${key}`, 'write');
  const source = field(fields, 'x-amz-copy-source');
  if (source !== undefined) {
    actions.add('read');
    for (const reading of copySource(source, rules)) touch(objectId(reading), 'read');
  }
  return { actions: [...actions], objects: [...objects.values()] };
}

function hasGrants(fields: Fields): boolean {
  return fields.some((name, index) => index % 2 === 0 && grants.test(name));
}

function isBucket(readings: readonly string[]): boolean {
  return readings.some((reading) => /^\/[^/]*\/?$/.test(reading));
}

/** `/bucket/a%20b` → `bucket/a b`; all buckets are `*`. */
function objectId(reading: string): string {
  const path = reading.replace(/^\//, '');
  if (path === '') return '*';
  try {
    return decodeURIComponent(path).replace(/^([^/]*)\/$/, '$1');
  } catch {
    return path;
  }
}

function copySource(value: string, rules: PathRules): readonly string[] {
  const [path = '', version] = value.split('?', 2);
  if (version !== undefined && !/^versionId=[A-Za-z0-9._-]+$/.test(version))
    throw new Refusal('UNPARSABLE', 'X-Amz-Copy-Source has a query that is not versionId', {
      advice: 'write bucket/key?versionId=…',
    });
  return readPath(path.startsWith('/') ? path : `/${path}`, rules);
}

/** The keys of a DeleteObjects document, read only where there is one way to read it. */
function keysToDelete(fields: Fields, body: KnownBody): readonly string[] {
  const text = Buffer.isBuffer(body) && !isEncoded(fields) ? utf8(body) : undefined;
  if (text === undefined || /<!|<\?(?!xml )/.test(text)) throw unreadable();
  const keys = [...text.matchAll(/<(?:[A-Za-z0-9]+:)?Key(?:\s[^<>]*)?>([^<]*)<\/(?:[A-Za-z0-9]+:)?Key\s*>/g)].map(
    ([, key = '']) => xmlText(key),
  );
  const opened = text.match(/<(?:[A-Za-z0-9]+:)?Key[\s>/]/gi)?.length ?? 0;
  const entries = text.match(/<(?:[A-Za-z0-9]+:)?Object[\s>/]/gi)?.length ?? 0;
  if (keys.length === 0 || keys.length > 1000 || opened !== keys.length || entries !== keys.length) throw unreadable();
  return keys;
}

function unreadable(): Refusal {
  return new Refusal('UNPARSABLE', 'the list of objects to delete cannot be looked into', {
    advice:
      'send a plain Delete document with up to 1000 keys in one request, without Content-Encoding, or delete one by one',
  });
}

function xmlText(text: string): string {
  return text.replaceAll(
    /&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(amp|lt|gt|quot|apos));|&/g,
    (_, decimal?: string, hex?: string, name?: string) => {
      if (name !== undefined) return { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }[name] ?? '';
      const code = decimal === undefined ? Number.parseInt(hex ?? 'x', 16) : Number(decimal);
      if (!(code > 0 && code <= 0x10ffff)) throw unreadable();
      return String.fromCodePoint(code);
    },
  );
}
