import type { RecordedEvent } from '../../model/event.ts';
import { addressOf, nameOf, reasonOf, resultOf, severityOf, strongestAction } from './meaning.ts';
import { type Place, present, recordId, text } from './place.ts';

/** Elastic Common Schema, the version whose fields are used here. */
export const ecsVersion = '8.17.0';

/** `event.category` and `event.type`: values of ECS's own lists only. */
type Category = readonly [category: readonly string[], type: readonly string[]];

const categories: Readonly<Record<string, Category>> = {
  'gateway.started': [['process'], ['start']],
  'gateway.stopped': [['process'], ['end']],
  'gateway.recovered': [['process'], ['start', 'info']],
  'auth.succeeded': [['authentication'], ['start']],
  'auth.failed': [['authentication'], ['start']],
  'ticket.issued': [['iam'], ['creation']],
  'ticket.revoked': [['iam'], ['deletion']],
  'session.started': [['session'], ['start']],
  'session.ended': [['session'], ['end']],
  'session.terminated': [['session'], ['end']],
  'approval.requested': [['iam'], ['creation']],
  'approval.decided': [['iam'], ['change']],
  'approval.consumed': [['iam'], ['change']],
  'approval.expired': [['iam'], ['change']],
  'policy.activated': [['configuration'], ['change']],
  'policy.rejected': [['configuration'], ['error']],
  'target.inspected': [['configuration'], ['info']],
  'target.classified': [['configuration'], ['info']],
  'recording.sealed': [['file'], ['creation']],
  'recording.viewed': [['file'], ['access']],
  'audit.exported': [['file'], ['access']],
  'audit.heartbeat': [['process'], ['info']],
  'audit.part': [['process'], ['info']],
  'shipping.started': [['configuration'], ['info']],
  'shipping.failing': [['process'], ['error']],
  'shipping.recovered': [['process'], ['info']],
  'shipping.refused': [['process'], ['error']],
};

const commandTypes = { read: 'access', write: 'change', destroy: 'deletion', other: 'info' } as const;

function categoryOf(event: RecordedEvent): Category {
  if (event.type.startsWith('command.')) {
    const does = commandTypes[strongestAction(event)];
    if (event.type === 'command.denied') return [['api'], [does, 'denied']];
    return [['api'], event.type === 'command.intent' ? [does, 'allowed'] : [does]];
  }
  return Object.hasOwn(categories, event.type) ? (categories[event.type] as Category) : [[], ['info']];
}

/**
 * An event in ECS. The whole of it is in `event.original`, as text: its own fields are many, and as fields of an index they would
 * be too many. `sallyport` has those that people search by and that ECS has no place for.
 */
export function ecsRecord(event: RecordedEvent, { log, after }: Place): Record<string, unknown> {
  const [category, type] = categoryOf(event);
  const address = addressOf(event);
  const groups: readonly unknown[] = Array.isArray(event.groups) ? event.groups : [];
  const rules: readonly unknown[] = Array.isArray(event.rules) ? event.rules : [];
  const target = text(event.target);
  return {
    '@timestamp': event.time,
    ecs: { version: ecsVersion },
    event: {
      kind: 'event',
      module: 'sallyport',
      dataset: 'sallyport.audit',
      provider: log,
      id: recordId(event, log),
      sequence: event.seq,
      action: event.type,
      category,
      type,
      outcome: resultOf(event),
      severity: severityOf(event),
      ...present({ reason: reasonOf(event), code: text(event.code) ?? text(event.errorCode) }),
      original: JSON.stringify(event),
    },
    observer: { vendor: 'Sallyport', product: 'Sallyport', type: 'proxy', name: log },
    ...present({
      user:
        text(event.principal) === undefined
          ? undefined
          : { id: event.principal, name: nameOf(event), ...(groups.length === 0 ? {} : { roles: groups.map(String) }) },
      // `source.ip` takes addresses only, and a Unix socket has none.
      source: address === undefined ? undefined : { address, ...(isAddress(address) ? { ip: address } : {}) },
      service: target === undefined ? undefined : { name: target, ...present({ type: text(event.protocol) }) },
      user_agent:
        text((event.client as { application?: unknown } | undefined)?.application) === undefined
          ? undefined
          : { original: (event.client as { application: string }).application },
      rule:
        text(event.rule) !== undefined || rules.length > 0
          ? { name: text(event.rule) ?? rules.map(String).join(','), ...present({ version: text(event.policy) }) }
          : undefined,
    }),
    sallyport: present({
      log,
      after,
      session: text(event.session),
      exchange: typeof event.exchange === 'number' ? event.exchange : undefined,
      verb: text(event.verb),
      actions: Array.isArray(event.actions) ? event.actions.map(String) : undefined,
      resources: Array.isArray(event.resources) ? event.resources.map(String) : undefined,
      approval: text(event.approval),
      decision: text(event.decision),
      kind: text(event.principalKind),
      owner: text(event.owner),
      rows: typeof event.rows === 'number' ? event.rows : undefined,
      bytes: typeof event.bytes === 'number' ? event.bytes : undefined,
    }),
  };
}

function isAddress(address: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(address) || (address.includes(':') && /^[0-9a-fA-F:.]+$/.test(address));
}
