import { type Fields, without } from '../../web/message.ts';
import { incidental, recordable } from './fields.ts';
import type { RequestBody } from './request-body.ts';

/** What everybody sends and nobody has to read. */
const ordinary = new Set(['accept: */*', 'accept: application/json', 'content-type: application/json']);

/** What an approver sees besides the request line and a short body: the header fields that a yes is bound to, and how a long body begins. */
export function preview(fields: Fields, body: RequestBody): string {
  const lines: string[] = [];
  const shown = without(recordable(fields), incidental);
  for (let index = 0; index < shown.length; index += 2) {
    const line = `${shown[index]}: ${shown[index + 1]}`;
    if (!ordinary.has(line)) lines.push(line);
  }
  if (body.beginning !== undefined) lines.push('', body.beginning);
  return lines.length === 0 ? 'no header fields of note' : lines.join('\n');
}
