import type { Action, Resource } from '../../../model/command.ts';
import { Refusal } from '../../../model/errors.ts';
import { type Fields, field } from '../../../web/message.ts';
import type { Carried } from './carried.ts';

/** Services whose every change is about who may do what. */
const administrative = new Set([
  'iam',
  'sts',
  'organizations',
  'kms',
  'sso',
  'sso-admin',
  'account',
  'ram',
  'cloudtrail',
  'config',
  'guardduty',
]);

/** What an operation of an AWS API other than S3's does, told by its name: `DynamoDB_20120810.DeleteTable`, `TerminateInstances`. */
export interface AwsMeaning {
  readonly actions: readonly Action[];
  readonly objects: readonly Resource[];
}

/**
 * Finds the operation in `X-Amz-Target` (JSON protocols) or `Action` (query protocols). Undefined for REST protocols, whose method
 * and path say it. Names that begin like none that is known are `administer`. Throws Refusal UNPARSABLE where there are two.
 */
export function awsMeaning(service: string, fields: Fields, carried: Carried): AwsMeaning | undefined {
  const target = field(fields, 'x-amz-target');
  const named = new Set(carried.values.flatMap((value) => /^(?:query|body)\.action=(.*)$/is.exec(value)?.[1] ?? []));
  if (target !== undefined) named.add(target);
  const [operation, other] = named;
  if (operation === undefined) return undefined;
  if (other !== undefined || !/^[A-Za-z0-9_.:/-]{1,200}$/.test(operation)) {
    throw new Refusal('UNPARSABLE', 'the request names no AWS operation, or several', {
      advice: 'name one, in X-Amz-Target or as the parameter Action, as the service has it',
    });
  }
  const action = actionOf(operation.slice(operation.lastIndexOf('.') + 1));
  const actions: Action[] = action !== 'read' && administrative.has(service) ? [action, 'administer'] : [action];
  return { actions, objects: [{ type: 'Object', id: operation, access: action === 'read' ? 'read' : 'write' }] };
}

function actionOf(name: string): Action {
  if (
    /^(?:Get|List|Describe|BatchGet|Query|Scan|Search|Lookup|Head|Check|Estimate|Preview|Select|Filter|Count)(?=[A-Z]|$)/.test(
      name,
    )
  )
    return 'read';
  if (
    /^(?:Delete|Terminate|Remove|Purge|Destroy|BatchDelete|Deregister|Release|Revoke|Cancel|Reset)(?=[A-Z]|$)/.test(
      name,
    )
  )
    return 'destroy';
  if (
    /^(?:Put|Update|Create|Send|Publish|Start|Stop|Run|Tag|Untag|Batch[A-Z]|Transact|Modify|Add|Set|Register|Import|Copy|Complete|Receive|Change|Reboot|Restore)(?=[A-Z]|[a-z]|$)/.test(
      name,
    )
  )
    return 'write';
  return 'administer';
}
