import type { Classified, Resource } from '../model/command.ts';
import type { CommandAction } from './schema.ts';

/** One thing that policy must allow before a command may run. `resource` is absent where the target itself is meant. */
export interface Asked {
  readonly action: CommandAction;
  readonly resource?: Resource;
}

/** The access that an action is about; the others are asked of the target itself. */
const accessOf: Partial<Record<CommandAction, Resource['access']>> = {
  read: 'read',
  export: 'read',
  write: 'write',
  bulkWrite: 'write',
  schemaChange: 'write',
  destroy: 'write',
  administer: 'write',
  execute: 'execute',
};

/**
 * Each action of a command is asked of each resource with the access it is about, or of the target when there is none. A resource
 * that no action of the command covers is asked with `read`, `write` or `execute` after its own access, so nothing that is touched
 * goes unasked. The exception: functions that a statement merely calls are facts (`context.functions`), not server code being run.
 */
export function askedOf({ actions, resources }: Classified): readonly Asked[] {
  const asked: Asked[] = [];
  const covered = new Set<Resource['access']>();
  for (const action of actions) {
    const access = accessOf[action];
    const about = access === undefined ? [] : resources.filter((resource) => resource.access === access);
    if (access !== undefined) covered.add(access);
    if (about.length === 0) asked.push({ action });
    for (const resource of about) asked.push({ action, resource });
  }
  for (const resource of resources) {
    if (covered.has(resource.access)) continue;
    if (resource.type === 'Function' && resource.access === 'execute') continue;
    asked.push({ action: resource.access, resource });
  }
  return asked;
}
