import { Refusal } from '../../../model/errors.ts';
import type { Fields } from '../../../web/message.ts';
import type { Carried } from './carried.ts';
import { formPairs } from './form.ts';

/** Fields that make some servers act on another method than the request's. */
const methodFields = new Set(['x-http-method-override', 'x-http-method', 'x-method-override', 'x-method']);

/** Fields that make some servers act on another path than the request's. */
const targetFields = new Set([
  'x-original-url',
  'x-original-uri',
  'x-rewrite-url',
  'x-override-url',
  'x-http-destinationurl',
  'x-proxy-url',
  'x-envoy-original-path',
]);

/**
 * Refuses what would make a server do something else than the request line says: what policy decided on would not be what happens.
 * A method that is repeated as it is does no harm. Throws Refusal UNSUPPORTED.
 */
export function checkOverrides(method: string, query: string, fields: Fields, carried: Carried): void {
  for (let index = 0; index < fields.length; index += 2) {
    // Gateway interfaces (CGI, WSGI) make `_` and `-` the same.
    const name = (fields[index] as string).replaceAll('_', '-');
    if (targetFields.has(name))
      throw overrides(`the header field ${name}`, 'send the request with the path that is meant');
    if (methodFields.has(name)) checkSame(method, fields[index + 1] as string, `the header field ${name}`);
  }
  for (const pair of formPairs(query, '&;')) {
    if (pair !== undefined && isMethodName(pair[0])) checkSame(method, pair[1], `the query parameter ${pair[0]}`);
  }
  for (const value of carried.values) {
    const match = /^body\.(_method|x-http-method-override)=(.*)$/is.exec(value);
    if (match !== null) checkSame(method, match[2] as string, `the field ${match[1]} of the body`);
  }
}

/** Whether some field could be one of those. */
export function mayOverride(fields: Fields): boolean {
  for (let index = 0; index < fields.length; index += 2) {
    const name = (fields[index] as string).replaceAll('_', '-');
    if (targetFields.has(name) || methodFields.has(name)) return true;
  }
  return false;
}

function isMethodName(name: string): boolean {
  const folded = name.toLowerCase();
  return folded === '_method' || methodFields.has(folded);
}

function checkSame(method: string, other: string, where: string): void {
  if (other.toUpperCase() !== method)
    throw overrides(
      where,
      `send the request itself as ${/^[A-Za-z]{1,20}$/.test(other) ? other.toUpperCase() : 'the method that is meant'}`,
    );
}

function overrides(where: string, advice: string): Refusal {
  return new Refusal('UNSUPPORTED', `${where} would make a server do something else than the request says`, { advice });
}
