import type { RecordedEvent } from '../../model/event.ts';
import { text } from './place.ts';

/** What OCSF and ECS both ask of an event, read off it once. */
export type Result = 'success' | 'failure' | 'unknown';

export function resultOf(event: RecordedEvent): Result {
  switch (event.type) {
    case 'auth.failed':
    case 'command.denied':
    case 'policy.rejected':
    case 'shipping.failing':
    case 'shipping.refused':
      return 'failure';
    case 'command.outcome':
      if (event.status === 'ok') return 'success';
      return event.status === 'unknown' ? 'unknown' : 'failure';
    // What it comes to is in its outcome.
    case 'command.intent':
    case 'command.held':
    case 'approval.requested':
      return 'unknown';
    case 'approval.decided':
      return event.answer === 'approve' ? 'success' : event.answer === 'deny' ? 'failure' : 'unknown';
    case 'approval.expired':
      return 'failure';
    case 'target.inspected':
      return event.reachable === false ? 'failure' : 'success';
    case 'gateway.recovered':
      return 'unknown';
    default:
      return 'success';
  }
}

/** OCSF's severities: 1 informational, 2 low, 3 medium. Nothing a gateway does by itself is an alarm; what is one is the receiver's to say. */
export function severityOf(event: RecordedEvent): 1 | 2 | 3 {
  switch (event.type) {
    case 'command.denied':
    case 'session.terminated':
    case 'policy.rejected':
    case 'gateway.recovered':
    case 'shipping.failing':
    case 'shipping.refused':
      return 3;
    case 'auth.failed':
    case 'command.held':
    case 'approval.expired':
      return 2;
    case 'command.outcome':
      return event.status === 'unknown' ? 2 : 1;
    default:
      return 1;
  }
}

/** Who acted. Events of a later login carry the name too. */
export function nameOf(event: RecordedEvent): string | undefined {
  return text(event.principalName) ?? text(event.principal);
}

/** The address that a call came from, without its port. */
export function addressOf(event: RecordedEvent): string | undefined {
  const { client, peer, address } = event as { client?: { address?: unknown }; peer?: unknown; address?: unknown };
  return text(client?.address) ?? text(peer) ?? text(address);
}

export function reasonOf(event: RecordedEvent): string | undefined {
  return text(event.reason);
}

/** What a command may do, strongest first. */
export function strongestAction(event: RecordedEvent): 'destroy' | 'write' | 'read' | 'other' {
  const actions: readonly unknown[] = Array.isArray(event.actions) ? event.actions : [];
  return (['destroy', 'write', 'read'] as const).find((action) => actions.includes(action)) ?? 'other';
}
