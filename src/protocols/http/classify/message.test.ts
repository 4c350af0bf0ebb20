import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../model/errors.ts';
import { httpSettings } from '../settings.ts';
import { classifyMessage } from './message.ts';
import { openRules } from './rules.ts';

const rules = openRules(
  httpSettings.parse({ address: 'https://shop.example', graphql: ['/graphql'], messages: 'commands' }),
);

function meaning(path: string, message: string | Buffer | 'too large') {
  try {
    const known = typeof message === 'string' && message !== 'too large' ? Buffer.from(message) : message;
    const { verb, actions, resources, facts } = classifyMessage(path, known as Buffer, rules);
    return { verb, actions, resources: resources.map(({ type, id, access }) => `${type} ${id} ${access}`), ...facts };
  } catch (error) {
    if (error instanceof Refusal) return `${error.code} ${error.message}`;
    throw error;
  }
}

describe('a WebSocket message', () => {
  it('is a write at the path of its connection, looked into where it is JSON', () => {
    expect(meaning('/live?x=1', '{"op":"delete","id":7}')).toMatchObject({
      verb: 'MESSAGE',
      actions: ['write'],
      resources: ['Path /live write'],
      values: ['body.op=delete', 'body.id=7'],
      findings: [],
    });
    expect(meaning('/live', 'ping')).toMatchObject({ values: ['body=ping'], findings: [] });
  });

  it.each(['too large', Buffer.from([0xff, 0x00]), '{"a":', '{"a":1}{'])(
    'that cannot be looked into says so: %s',
    (message) => {
      expect(meaning('/live', message)).toMatchObject({ findings: ['body.unseen'] });
    },
  );

  it.each([
    [
      '{"id":"1","type":"subscribe","payload":{"query":"subscription { orders { id } }"}}',
      { actions: ['read'], resources: ['Path /graphql read', 'Object Subscription.orders read'] },
    ],
    [
      '{"id":"1","type":"subscribe","payload":{"query":"mutation { volumeDelete }"}}',
      { actions: ['write'], resources: ['Path /graphql write', 'Object Mutation.volumeDelete write'] },
    ],
    [
      '{"id":"1","type":"start","payload":{"query":"mutation { volumeDelete }"}}',
      { actions: ['write'], verbs: ['MESSAGE', 'MUTATION'] },
    ],
    ['{"type":"connection_init"}', { actions: ['read'], resources: ['Path /graphql read'] }],
    ['{"type":"connection_init","payload":{}}', { actions: ['read'] }],
    ['{"id":"1","type":"complete"}', { actions: ['read'] }],
    ['{"type":"ping"}', { actions: ['read'] }],
  ])('at a GraphQL path means what it begins: %s', (message, found) => {
    expect(meaning('/graphql', message)).toMatchObject(found);
  });

  it.each([
    [
      '{"type":"connection_init","payload":{"Authorization":"Bearer x"}}',
      'SP2003 connection_init cannot have a payload',
    ],
    ['{"type":"subscribe","payload":{"query":"{ a","x":1}}', 'SP2002 the GraphQL document cannot be read'],
    ['{"type":"subscribe"}', 'SP2002 the GraphQL request is not an object'],
    [
      '{"type":"subscribe","type":"ping","payload":{"query":"{ a }"}}',
      'SP2002 the message is not JSON, or has a key twice',
    ],
    ['{"type":"query","payload":{"query":"{ a }"}}', 'SP2002 the message has the type "query"'],
    ['[{"type":"ping"}]', 'SP2002 the message has the type undefined'],
    ['mutation { a }', 'SP2002 the message is not JSON'],
  ])('at a GraphQL path that nobody can tell is refused: %s', (message, refused) => {
    expect(meaning('/graphql', message)).toContain(refused);
  });
});
