import { Refusal } from '../model/errors.ts';
import type { Target } from '../model/target.ts';
import type { TargetsAdmin } from './admin.ts';
import type { AuditPort } from './ports.ts';
import type { Gateway, Proposal, Protocol, Recognise } from './protocol.ts';

interface Deps {
  readonly audit: AuditPort;
  readonly gateway: Gateway;
  readonly targets: ReadonlyMap<string, Target>;
  readonly recognise: Recognise;
}

/** TargetsAdmin.propose. A target is looked at by one at a time: who asks meanwhile gets the same answer. */
export function proposing(
  { audit, gateway, targets, recognise }: Deps,
  protocolOf: (target: string) => Protocol | undefined,
): TargetsAdmin['propose'] {
  const running = new Map<string, Promise<Proposal>>();
  return async (name, by) => {
    const target = targets.get(name);
    if (target === undefined)
      throw new Refusal('TARGET_UNKNOWN', 'there is no such target', {
        advice: 'list them with: sallyport targets list',
      });
    const protocol = protocolOf(name);
    if (protocol?.propose === undefined)
      throw new Refusal('UNSUPPORTED', `what to classify cannot be proposed for targets of ${target.protocol}`);
    await audit.record({ type: 'target.classified', principal: by.principal.id, target: name });
    const known = running.get(name);
    if (known !== undefined) return known;
    const proposal = protocol.propose(target, gateway, recognise).finally(() => running.delete(name));
    running.set(name, proposal);
    return proposal;
  };
}
