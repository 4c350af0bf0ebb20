import type { ApprovalRequest } from '../model/approval.ts';
import { visibleLine } from './present.ts';

/** Tells people that a request waits for them. It is told once for each request, by the node that made it. */
export interface Notifier {
  /** For the log. */
  readonly name: string;
  /** `link` is where a person decides. Rejects when nobody could be told; stops trying when the signal fires. */
  notify(request: ApprovalRequest, link: string, signal: AbortSignal): Promise<void>;
}

/** One line for the operator's log. The command itself is not in it: that is read, with care, where it is decided on. */
export function logNotifier(write: (line: string) => void): Notifier {
  return {
    name: 'log',
    async notify(request, link) {
      const { requester, verb, target, rule, approvers } = request;
      const who = visibleLine(`${requester.kind} ${requester.name} (${requester.id})`);
      write(
        `approval wanted: ${visibleLine(verb)} on ${visibleLine(target)} by ${who}; ${visibleLine(rule)} asks for ${approvers.join(' and ')}: ${link}`,
      );
    },
  };
}
