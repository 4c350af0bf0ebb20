import type { RecordedEvent } from '../../model/event.ts';
import { addressOf, nameOf, reasonOf, resultOf, severityOf, strongestAction } from './meaning.ts';
import { type Place, present, recordId, text } from './place.ts';

/** Open Cybersecurity Schema Framework, the version whose classes and numbers are used here. */
export const ocsfVersion = '1.8.0';

const classes = {
  0: ['Base Event', 0, 'Uncategorized'],
  1008: ['Event Log Activity', 1, 'System Activity'],
  3002: ['Authentication', 3, 'Identity & Access Management'],
  3004: ['Entity Management', 3, 'Identity & Access Management'],
  6002: ['Application Lifecycle', 6, 'Application Activity'],
  6003: ['API Activity', 6, 'Application Activity'],
} as const;
type ClassUid = keyof typeof classes;

/** Class, activity and its name. Numbers as in the schema's `activity_id` of each class; 99 is “Other”, named by us. */
type Kind = readonly [ClassUid, number, string];

const kinds: Readonly<Record<string, Kind>> = {
  'gateway.started': [6002, 3, 'Start'],
  'gateway.stopped': [6002, 4, 'Stop'],
  'gateway.recovered': [6002, 5, 'Restart'],
  'auth.succeeded': [3002, 1, 'Logon'],
  'auth.failed': [3002, 1, 'Logon'],
  'ticket.issued': [3004, 1, 'Create'],
  'ticket.revoked': [3004, 4, 'Delete'],
  'session.started': [3002, 1, 'Logon'],
  'session.ended': [3002, 2, 'Logoff'],
  'session.terminated': [3002, 2, 'Logoff'],
  'approval.requested': [3004, 1, 'Create'],
  'approval.decided': [3004, 3, 'Update'],
  'approval.consumed': [3004, 11, 'Deactivate'],
  'approval.expired': [3004, 11, 'Deactivate'],
  'policy.activated': [3004, 10, 'Activate'],
  'policy.rejected': [3004, 10, 'Activate'],
  'target.inspected': [3004, 2, 'Read'],
  'target.classified': [3004, 2, 'Read'],
  'recording.sealed': [1008, 4, 'Archive'],
  'recording.viewed': [1008, 99, 'View'],
  'audit.exported': [1008, 3, 'Export'],
  'audit.heartbeat': [1008, 99, 'Heartbeat'],
  'audit.part': [1008, 99, 'Part'],
  'shipping.started': [1008, 6, 'Start'],
  'shipping.failing': [1008, 99, 'Failing'],
  'shipping.recovered': [1008, 8, 'Restart'],
  'shipping.refused': [1008, 99, 'Refused'],
};

/** API Activity: what a command does to its target. */
const apiActivities = {
  read: [2, 'Read'],
  write: [3, 'Update'],
  destroy: [4, 'Delete'],
  other: [99, 'Other'],
} as const;

function kindOf(event: RecordedEvent): Kind {
  if (event.type.startsWith('command.')) {
    const [activity, name] = apiActivities[strongestAction(event)];
    return [6003, activity, name];
  }
  return Object.hasOwn(kinds, event.type) ? (kinds[event.type] as Kind) : [0, 99, event.type];
}

const severities = { 1: 'Informational', 2: 'Low', 3: 'Medium' } as const;
const statuses = { success: [1, 'Success'], failure: [2, 'Failure'], unknown: [0, 'Unknown'] } as const;

/** Profile `security_control`: what the gateway did about it. */
function controlOf(event: RecordedEvent): Record<string, unknown> | undefined {
  const control = (action: 1 | 2, disposition: number, name: string) => ({
    action_id: action,
    action: action === 1 ? 'Allowed' : 'Denied',
    disposition_id: disposition,
    disposition: name,
  });
  switch (event.type) {
    case 'command.intent':
      return event.approval === undefined ? control(1, 1, 'Allowed') : control(1, 8, 'Approved');
    case 'command.denied':
      return control(2, 2, 'Blocked');
    case 'command.held':
    case 'approval.requested':
      return control(1, 14, 'Delayed');
    case 'approval.decided':
      return event.answer === 'approve' ? control(1, 8, 'Approved') : control(2, 25, 'Rejected');
    case 'session.terminated':
    case 'ticket.revoked':
      return control(2, 24, 'Access Revoked');
    default:
      return undefined;
  }
}

/**
 * An event in OCSF. Commands are API Activity for every protocol: the event says what is done to which resources, not in which
 * language. `unmapped` has every field of the event, so that nothing is lost. An unknown type becomes a Base Event.
 */
export function ocsfRecord(event: RecordedEvent, { log, after }: Place): Record<string, unknown> {
  const [classUid, activity, activityName] = kindOf(event);
  const [className, category, categoryName] = classes[classUid];
  const severity = severityOf(event);
  const [statusId, status] = statuses[resultOf(event)];
  const control = controlOf(event);
  const { seq, time, type, ...rest } = event;
  return {
    activity_id: activity,
    activity_name: activityName,
    category_uid: category,
    category_name: categoryName,
    class_uid: classUid,
    class_name: className,
    type_uid: classUid * 100 + activity,
    type_name: `${className}: ${activityName}`,
    time: Date.parse(time),
    severity_id: severity,
    severity: severities[severity],
    status_id: statusId,
    status,
    ...present({ status_detail: reasonOf(event), status_code: text(event.code) ?? text(event.errorCode) }),
    message: messageOf(event),
    metadata: {
      version: ocsfVersion,
      product: { name: 'Sallyport', vendor_name: 'Sallyport', feature: { name: 'gateway' } },
      uid: recordId(event, log),
      sequence: seq,
      log_name: log,
      event_code: type,
      original_time: time,
      ...present({ correlation_uid: text(event.session) ?? text(event.approval) }),
      ...(control === undefined ? {} : { profiles: ['security_control'] }),
    },
    ...control,
    ...objectsOf(event, classUid, log),
    unmapped: { ...rest, ...(after === undefined ? {} : { sallyport: { after } }) },
  };
}

/** The objects that a class asks for. */
function objectsOf(event: RecordedEvent, classUid: ClassUid, log: string): Record<string, unknown> {
  const user = userOf(event);
  const session = text(event.session);
  const actor = present({
    user,
    session: session === undefined ? undefined : { uid: session, ...present({ issuer: text(event.issuer) }) },
    app_name: user === undefined ? 'sallyport' : undefined,
  });
  const address = addressOf(event);
  const source = address === undefined ? { name: 'unknown' } : { ip: address };
  const target = text(event.target);
  switch (classUid) {
    case 3002:
      return {
        user: user ?? { name: 'unknown', type_id: 0, type: 'Unknown' },
        actor,
        ...present({
          src_endpoint: address === undefined ? undefined : source,
          service: { name: target ?? 'sallyport' },
          session: session === undefined ? undefined : { uid: session },
        }),
        ...authentication(event),
      };
    case 3004:
      return { actor, entity: entityOf(event) };
    case 6002:
      return { app: { name: 'Sallyport', vendor_name: 'Sallyport', uid: log } };
    case 6003:
      return {
        actor,
        src_endpoint: source,
        api: present({
          operation: text(event.verb) ?? 'unknown',
          service: { name: target ?? 'unknown' },
          request: session === undefined ? undefined : { uid: `${session}/${String(event.exchange)}` },
        }),
        ...present({ resources: resourcesOf(event) }),
      };
    case 1008:
      return {
        actor,
        device: { name: log, type_id: 1, type: 'Server' },
        log_name: log,
        log_type: 'audit',
        ...present({ log_provider: 'Sallyport' }),
      };
    default:
      return { actor };
  }
}

function userOf(event: RecordedEvent): Record<string, unknown> | undefined {
  const uid = text(event.principal);
  const name = nameOf(event);
  if (uid === undefined || name === undefined) return undefined;
  const human = event.principalKind === 'human';
  const known = text(event.principalKind) !== undefined;
  const groups: readonly unknown[] = Array.isArray(event.groups) ? event.groups : [];
  return {
    uid,
    name,
    // A person is a User; what acts by itself is a Service in this schema.
    type_id: known ? (human ? 1 : 4) : 0,
    type: known ? (human ? 'User' : 'Service') : 'Unknown',
    ...(groups.length === 0 ? {} : { groups: groups.map((group) => ({ name: String(group) })) }),
  };
}

/** OCSF's protocols: 4 OpenID; a ticket of our own is none of the list. */
function authentication(event: RecordedEvent): Record<string, unknown> {
  const proof = text(event.proof) ?? text((event.proof as { kind?: unknown } | undefined)?.kind);
  if (proof === 'oidc') return { auth_protocol_id: 4, auth_protocol: 'OpenID' };
  return proof === undefined ? {} : { auth_protocol_id: 99, auth_protocol: proof };
}

function entityOf(event: RecordedEvent): Record<string, unknown> {
  const [family] = event.type.split('.');
  const uid =
    family === 'ticket'
      ? text(event.ticket)
      : family === 'approval'
        ? text(event.approval)
        : family === 'policy'
          ? text(event.version)
          : text(event.target);
  return { type: family, uid: uid ?? 'unknown', name: uid ?? family };
}

/** `read Table shop/public.orders` in its parts. */
function resourcesOf(event: RecordedEvent): readonly Record<string, unknown>[] | undefined {
  if (!Array.isArray(event.resources)) return undefined;
  return event.resources.map((resource) => {
    const [, access, type, name] = /^(\S+) (\S+) (.*)$/s.exec(String(resource)) ?? [];
    return name === undefined ? { name: String(resource) } : { type, name, data: { access } };
  });
}

function messageOf(event: RecordedEvent): string {
  const parts = [text(event.principal), event.type, text(event.verb), text(event.target)];
  return parts.filter((part) => part !== undefined).join(' ');
}
