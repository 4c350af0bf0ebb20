import { type Action, actions, type Resource } from '../../../model/command.ts';
import { Refusal } from '../../../model/errors.ts';

const ofMethod: Readonly<Record<string, Action>> = {
  GET: 'read',
  HEAD: 'read',
  OPTIONS: 'read',
  POST: 'write',
  PUT: 'write',
  PATCH: 'write',
  DELETE: 'destroy',
};

/**
 * What a method means where nothing says more (RFC 9110 §9). `export` is never guessed: HTTP does not tell a page from a whole table,
 * an OpenAPI document can (`x-sallyport-action`). A method that nobody knows is `administer`.
 */
export function actionsOf(method: string): readonly Action[] {
  const known = ofMethod[method];
  if (known !== undefined) return [known];
  // Methods are case-sensitive, but some servers fold them: `delete` is then a DELETE.
  const folded = ofMethod[method.toUpperCase()];
  return folded === undefined ? ['administer'] : [folded, 'administer'];
}

/** Each action once, mildest first. */
export function sortActions(given: Iterable<Action>): readonly Action[] {
  const set = new Set(given);
  return actions.filter((action) => set.has(action));
}

/** What the strictest of the actions does to what it touches. */
export function accessOf(sorted: readonly Action[]): Resource['access'] {
  if (sorted.some((action) => !['read', 'session', 'export', 'execute'].includes(action))) return 'write';
  return sorted.includes('execute') ? 'execute' : 'read';
}

/** Methods that no target is sent. Throws Refusal UNSUPPORTED. */
export function checkMethod(method: string): void {
  const upper = method.toUpperCase();
  // TRACE sends the request back, the injected credential with it (RFC 9110 §9.3.8).
  if (upper !== 'TRACE' && upper !== 'TRACK' && upper !== 'CONNECT') return;
  throw new Refusal('UNSUPPORTED', `${upper} is not passed on`, {
    advice: upper === 'CONNECT' ? 'send requests to /<target>/…; this is no forward proxy' : 'use GET',
  });
}
