import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { PacketReader } from './packets.ts';

it('waits for the rest of a packet without keeping everybody else from running', async () => {
  const stream = new PassThrough();
  const reader = new PacketReader(stream, AbortSignal.timeout(5000));
  stream.write('ab');
  const packet = reader.exactly(5);
  let turns = 0;
  for (; turns < 20; turns++) await sleep(1);
  stream.write('cdefg');
  expect((await packet)?.toString()).toBe('abcde');
  expect(reader.waiting).toBe(2);
  expect(turns).toBe(20);
});

it('gives up when the peer ends in the middle of a packet, and when time is up', async () => {
  const stream = new PassThrough();
  stream.write('ab');
  const reader = new PacketReader(stream, AbortSignal.timeout(5000));
  const packet = reader.exactly(5);
  await sleep(5);
  stream.end();
  expect(await packet).toBeUndefined();
  await expect(new PacketReader(new PassThrough(), AbortSignal.timeout(10)).exactly(1)).rejects.toThrow();
});

it('leaves what follows to whoever comes next', async () => {
  const stream = new PassThrough();
  stream.write('headbody');
  const reader = new PacketReader(stream, AbortSignal.timeout(5000));
  expect((await reader.exactly(4))?.toString()).toBe('head');
  reader[Symbol.dispose]();
  const rest: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => rest.push(chunk));
  stream.resume();
  stream.end('more');
  await new Promise((resolve) => stream.once('end', resolve));
  expect(Buffer.concat(rest).toString()).toBe('bodymore');
});
