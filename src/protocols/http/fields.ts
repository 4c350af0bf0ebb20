import { type Fields, field, without } from '../../web/message.ts';
import type { HttpAddress } from './settings.ts';

/** Codings that can be looked into (RFC 9110 §8.4.1); the target is asked for no other. */
const codings = new Set(['gzip', 'x-gzip', 'deflate', 'br', 'zstd', 'identity']);

/** The fields with `Accept-Encoding` cut to codings that can be looked into; a caller that names none gets none. */
export function acceptable(fields: Fields): Fields {
  const rest: string[] = [];
  let asked: string | undefined;
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    const value = fields[index + 1] as string;
    if (name !== 'accept-encoding') rest.push(name, value);
    else asked = asked === undefined ? value : `${asked},${value}`;
  }
  if (asked === undefined) {
    rest.push('accept-encoding', 'identity');
    return rest;
  }
  const kept = asked
    .split(',')
    .map((one) => one.trim())
    .filter((one) => codings.has(one.split(';', 1)[0]?.trim().toLowerCase() ?? ''));
  rest.push('accept-encoding', kept.length === 0 ? 'identity' : kept.join(', '));
  return rest;
}

/** Fields that change from one try to the next, or say nothing about what is asked for. */
export const incidental: ReadonlySet<string> = new Set([
  'accept-encoding',
  'accept-language',
  'user-agent',
  'date',
  'traceparent',
  'tracestate',
  'baggage',
  'x-request-id',
  'x-correlation-id',
  'cache-control',
  'pragma',
  'priority',
  'amz-sdk-invocation-id',
  'amz-sdk-request',
  'x-amz-date',
  'x-amz-security-token',
  'authorization',
  'proxy-authorization',
]);

/** The part of a request's fields that a yes is bound to: all but what differs between two tries of the same. */
export function binding(fields: Fields): string {
  const bound = without(fields, incidental);
  return JSON.stringify(bound.includes('prefer') ? bound.flatMap(asked) : bound);
}

/** A preference can turn an insert into an overwrite. Only how long the caller waits for its answer (RFC 7240 §4.1, §4.3) makes no difference to what is done. */
function asked(name: string, index: number, all: Fields): readonly string[] {
  if (index % 2 === 1) return [];
  const value = all[index + 1] as string;
  if (name !== 'prefer') return [name, value];
  const kept = value.split(',').filter((one) => !/^\s*(?:respond-async|wait\s*=.*)\s*$/i.test(one));
  return kept.length === 0 ? [] : [name, kept.join(',')];
}

const secret = new Set(['authorization', 'proxy-authorization', 'cookie', 'x-amz-security-token']);

/** The fields as they may be recorded: without the caller's credentials, those too that it sends of its own accord and that go nowhere. */
export function recordable(fields: Fields): Fields {
  const kept = without(fields, secret);
  for (let index = 0; index < kept.length; index += 2)
    if (secretName.test(kept[index] as string)) kept[index + 1] = '…';
  return kept;
}

const secretName =
  /(?:^|[-_])(?:tokens?|secret|api-?key|access-?key|subscription-key|passw(?:or)?d|credentials?|signature)$/;

/** Addresses of the target in a reply become the gateway's, so that the caller's next request comes here too. */
export function relocated(fields: Fields, address: HttpAddress, origin: string, base: string): Fields {
  if (field(fields, 'location') === undefined && field(fields, 'content-location') === undefined && !hasCookie(fields))
    return fields;
  const moved: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    const value = fields[index + 1] as string;
    if (name === 'location' || name === 'content-location') moved.push(name, relocate(value, address, origin, base));
    else if (name === 'set-cookie') moved.push(name, rebake(value, address, base));
    else moved.push(name, value);
  }
  return moved;
}

function hasCookie(fields: Fields): boolean {
  for (let index = 0; index < fields.length; index += 2) if (fields[index] === 'set-cookie') return true;
  return false;
}

function relocate(value: string, { scheme, authority, basePath }: HttpAddress, origin: string, base: string): string {
  const own = `${scheme}://${authority}`;
  const path = value.toLowerCase().startsWith(own) ? value.slice(own.length) : value;
  const absolute = path !== value;
  if (absolute && path !== '' && !/^[/?#]/.test(path)) return value; // another host that begins alike
  if (!absolute && (!path.startsWith('/') || path.startsWith('//'))) return value;
  const inside = path.startsWith(`${basePath}/`) || path === basePath ? path.slice(basePath.length) : undefined;
  if (inside === undefined) return absolute ? `${origin}${base}${path}` : value;
  return absolute ? `${origin}${base}${inside}` : `${base}${inside}`;
}

/** A cookie for the target's own paths is one for the gateway's paths of that target, and for no other host (RFC 6265 §4.1.2). */
function rebake(value: string, { basePath }: HttpAddress, base: string): string {
  const [pair = '', ...attributes] = value.split(';');
  const kept = attributes
    .map((one) => one.trim())
    .filter((one) => !/^domain=/i.test(one))
    .map((one) => {
      const path = /^path=(\/.*)$/i.exec(one)?.[1];
      if (path === undefined) return one;
      const inside = path.startsWith(basePath) ? path.slice(basePath.length) : path;
      return `Path=${base}${inside === '' ? '/' : inside}`;
    });
  return [pair, ...kept].join('; ');
}
