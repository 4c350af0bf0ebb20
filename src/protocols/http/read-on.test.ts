import { expect, it } from 'vitest';
import { ReadOn } from './read-on.ts';

it('takes everything in order, and no more ahead than it may', async () => {
  const seen: string[] = [];
  const gate = Promise.withResolvers<void>();
  const reader = new ReadOn((bytes) => {
    seen.push(bytes.toString());
    return bytes.toString() === 'wait' ? gate.promise : undefined;
  }, 10);
  expect(reader.data(Buffer.from('first'))).toBeUndefined();
  expect(reader.data(Buffer.from('wait'))).toBeUndefined();
  expect(reader.data(Buffer.from('12345'))).toBeUndefined();
  const full = reader.data(Buffer.from('67890'));
  expect(full).toBeInstanceOf(Promise);
  const ended = new Promise<void>((resolve) => reader.end(resolve));
  expect(seen).toEqual(['first', 'wait']);
  gate.resolve();
  await full;
  await ended;
  expect(seen).toEqual(['first', 'wait', '12345', '67890']);
});
