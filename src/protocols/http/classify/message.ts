import type { Action, Classified, Resource } from '../../../model/command.ts';
import { Refusal } from '../../../model/errors.ts';
import { accessOf, sortActions } from './actions.ts';
import type { KnownBody } from './body.ts';
import { Carried } from './carried.ts';
import type { Rules } from './classify.ts';
import { graphqlPayloadMeaning, isGraphqlPath } from './graphql.ts';
import { carryJson, utf8 } from './json.ts';
import { readPath } from './path.ts';

/**
 * What one WebSocket message means that a caller sends, where messages are commands: `path` is that of the connection. Like a POST it is a
 * `write`; JSON is looked into. At a GraphQL path it is a message of graphql-transport-ws or of the older graphql-ws, and the
 * operation that it begins counts. Throws Refusal UNPARSABLE, UNSUPPORTED.
 */
export function classifyMessage(path: string, message: KnownBody, rules: Rules): Classified {
  const mark = path.indexOf('?');
  const readings = readPath(mark < 0 ? path : path.slice(0, mark), rules.paths);
  const carried = new Carried();
  const read = Buffer.isBuffer(message) && message.length > 0 ? carryJson(message, 'body', carried) : undefined;
  if (read === undefined && message !== undefined && message.length > 0) {
    const text = Buffer.isBuffer(message) ? utf8(message) : undefined;
    if (text === undefined || /^[ \t\r\n]*[[{]/.test(text)) carried.found('body.unseen');
    else carried.value('body', '', text);
  }
  let actions: readonly Action[] = ['write'];
  let objects: readonly Resource[] = [];
  let verbs: readonly string[] = [];
  if (isGraphqlPath(readings, rules.graphql)) {
    if (read === undefined || carryJson(message as Buffer, 'body')?.duplicates !== false)
      throw notUnderstood('is not JSON, or has a key twice');
    const meaning = transportMessage(read.value, carried);
    actions = sortActions(meaning.actions);
    objects = meaning.objects;
    verbs = meaning.verbs;
  }
  const access = accessOf(actions);
  return {
    verb: 'MESSAGE',
    actions,
    resources: [...readings.map((id): Resource => ({ type: 'Path', id, access })), ...objects],
    facts: {
      statements: 1,
      hasWhere: false,
      functions: [],
      verbs: ['MESSAGE', ...verbs],
      findings: carried.findings,
      fields: carried.fields,
      values: carried.values,
    },
  };
}

const nothing = { actions: ['read'], objects: [], verbs: [] } as const;

/** One message of graphql-transport-ws (`subscribe`) or subscriptions-transport-ws (`start`). */
function transportMessage(value: unknown, carried: Carried) {
  const { type, payload } = (typeof value === 'object' && value !== null ? value : {}) as {
    type?: unknown;
    payload?: unknown;
  };
  if (type === 'subscribe' || type === 'start') return graphqlPayloadMeaning(payload, carried);
  if (['ping', 'pong', 'complete', 'stop', 'connection_terminate'].includes(type as string)) return nothing;
  if (type === 'connection_init') {
    // Servers take credentials out of it; this one is the gateway's to give.
    if (typeof payload === 'object' && payload !== null && Object.keys(payload).length > 0)
      throw new Refusal('UNSUPPORTED', 'connection_init cannot have a payload', {
        advice: 'leave it out: the gateway logs in to the target',
      });
    return nothing;
  }
  throw notUnderstood(`has the type ${JSON.stringify(type)?.slice(0, 50) ?? 'undefined'}`);
}

function notUnderstood(what: string): Refusal {
  return new Refusal('UNPARSABLE', `the message ${what}`, { advice: 'speak graphql-transport-ws' });
}
