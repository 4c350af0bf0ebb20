import { expect, it } from 'vitest';
import { sampleRequest } from '../storage/store.samples.ts';
import { logNotifier } from './notifier.ts';

it('writes one harmless line, with the link and without the command', async () => {
  const lines: string[] = [];
  const requester = { id: 'corp:a', name: 'x\u001b[2J\nroot', kind: 'agent' };
  const request = sampleRequest({ requester, text: 'select canary' });
  await logNotifier((line) => lines.push(line)).notify(
    request,
    'https://gw.example/approvals/1',
    new AbortController().signal,
  );
  expect(lines).toEqual([
    'approval wanted: DELETE on orders by agent x⟦U+001B⟧[2J⟦U+000A⟧root (corp:a); deletes-need-dba asks for dba: https://gw.example/approvals/1',
  ]);
});
