import type { ApprovalRequest } from '../model/approval.ts';
import type { Decision } from '../model/decision.ts';
import type { Refusal } from '../model/errors.ts';
import type { AuditEvent, Outcome } from '../model/event.ts';
import type { Session } from '../model/session.ts';
import type { Exchange } from './protocol.ts';

/** The part of an event that is the same for every command of a session, encoded once. */
export interface EventPrefix {
  readonly json: string;
  readonly session: Session;
}

export function eventPrefix(session: Session): EventPrefix {
  const { id, principal, target } = session;
  return {
    session,
    json: `"session":${JSON.stringify(id)},"principal":${JSON.stringify(principal.id)},"target":${JSON.stringify(target)}`,
  };
}

const decisionJson = new WeakMap<Decision, string>();

/** A decision is cached and shared by thousands of commands, so its JSON is made once. */
function decided(decision: Decision): string {
  let json = decisionJson.get(decision);
  if (json === undefined) {
    json = `"decision":${JSON.stringify(decision.outcome)},"rules":${JSON.stringify(decision.rules)},"policy":"${decision.policyVersion}"`;
    decisionJson.set(decision, json);
  }
  return json;
}

const classifiedJson = new WeakMap<object, string>();

function asked<F>({ command, prepareOnly }: Exchange<F>): string {
  const { classified, text, parameters } = command;
  let json = classifiedJson.get(classified);
  if (json === undefined) {
    const resources = classified.resources.map((r) => `${r.access} ${r.type} ${r.id}`);
    json = `"verb":${JSON.stringify(classified.verb)},"actions":${JSON.stringify(classified.actions)},"resources":${JSON.stringify(resources)}`;
    classifiedJson.set(classified, json);
  }
  const bound = parameters === undefined ? '' : `,"parameters":${JSON.stringify(parameters)}`;
  return `${json}${prepareOnly === true ? ',"prepareOnly":true' : ''},"text":${JSON.stringify(text)}${bound}`;
}

export function intentFields<F>(
  prefix: EventPrefix,
  n: number,
  exchange: Exchange<F>,
  decision: Decision,
  approval?: string,
): string {
  const approved = approval === undefined ? '' : `,"approval":"${approval}"`;
  const instead = exchange.instead?.();
  const sent =
    instead === undefined ? '' : `,"sent":${JSON.stringify(instead.text)},"certificate":${instead.certificate}`;
  return `"type":"command.intent",${prefix.json},"exchange":${n},${decided(decision)},${asked(exchange)}${sent}${approved}`;
}

export function deniedFields<F>(prefix: EventPrefix, n: number, exchange: Exchange<F>, refusal: Refusal): string {
  const rule = refusal.details.rule === undefined ? '' : `,"rule":${JSON.stringify(refusal.details.rule)}`;
  return `"type":"command.denied",${prefix.json},"exchange":${n},"code":"${refusal.code}","reason":${JSON.stringify(refusal.message)}${rule},${asked(exchange)}`;
}

export function heldEvent<F>(
  prefix: EventPrefix,
  n: number,
  exchange: Exchange<F>,
  request: ApprovalRequest,
): AuditEvent {
  const { session } = prefix;
  return {
    type: 'command.held',
    session: session.id,
    principal: session.principal.id,
    target: session.target,
    exchange: n,
    approval: request.id,
    rule: request.rule,
    approvers: request.approvers,
    verb: exchange.command.classified.verb,
    digest: request.digest,
  };
}

export function outcomeFields(prefix: EventPrefix, n: number, outcome: Outcome): string {
  const error = outcome.errorCode === undefined ? '' : `,"errorCode":${JSON.stringify(outcome.errorCode)}`;
  const masked =
    outcome.masked === undefined || outcome.masked.length === 0 ? '' : `,"masked":${JSON.stringify(outcome.masked)}`;
  const detail = outcome.detail === undefined ? '' : `,"detail":${JSON.stringify(outcome.detail)}`;
  return `"type":"command.outcome",${prefix.json},"exchange":${n},"status":"${outcome.status}","rows":${outcome.rows},"bytes":${outcome.bytes}${error}${masked}${detail}`;
}
