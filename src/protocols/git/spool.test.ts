import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PeerError } from '../../model/errors.ts';
import type { BodySink, ServerCall } from '../../web/message.ts';
import { packet } from './pktline.ts';
import { spool } from './spool.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-spool-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const commands = Buffer.concat([
  packet(`${'0'.repeat(40)} ${'a'.repeat(40)} refs/heads/x\0 report-status\n`),
  Buffer.from('0000'),
]);

/** A call whose body a test sends piece by piece. */
function call(): { call: ServerCall; sink: Promise<BodySink> } {
  const piped = Promise.withResolvers<BodySink>();
  const body = { length: undefined, pipe: piped.resolve, cancel: () => undefined };
  const made = { request: { fields: [] }, body, signal: new AbortController().signal } as unknown as ServerCall;
  return { call: made, sink: piped.promise };
}

const size = () => readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);

async function send(sink: BodySink, bytes: Buffer): Promise<void> {
  await sink.data(bytes);
  await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('a push on its way', () => {
  it('is kept on disk until it is looked at', async () => {
    const { call: made, sink } = call();
    const spooling = spool(made, folder, 1e6, () => true);
    await send(await sink, Buffer.concat([commands, Buffer.alloc(1000, 'p')]));
    await send(await sink, Buffer.alloc(5000, 'q'));
    (await sink).end([]);
    const { request, pack, discard } = await spooling;
    expect(request?.updates.map(({ ref }) => ref)).toEqual(['refs/heads/x']);
    expect(readFileSync(pack!.file).equals(Buffer.concat([Buffer.alloc(1000, 'p'), Buffer.alloc(5000, 'q')]))).toBe(
      true,
    );
    expect(pack).toMatchObject({ bytes: 6000, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    await discard();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('takes no room where nobody wants it', async () => {
    const { call: made, sink } = call();
    const spooling = spool(made, folder, 1e6, () => false);
    await send(await sink, Buffer.concat([commands, Buffer.alloc(100_000)]));
    expect(size()).toBe(0);
    (await sink).end([]);
    expect((await spooling).pack).toBeUndefined();
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([
    ['larger than it may be', (sink: BodySink) => void sink.data(Buffer.concat([commands, Buffer.alloc(2000)]))],
    ['broken off', (sink: BodySink) => sink.fail(new PeerError('CLIENT_PROTOCOL', 'gone'))],
    ['no push', (sink: BodySink) => void sink.data(Buffer.from('zzzz'))],
    ['cut short', (sink: BodySink) => sink.end([])],
  ])('leaves nothing behind where it is %s', async (_, go) => {
    const { call: made, sink } = call();
    const spooling = spool(made, folder, 1000, () => true);
    spooling.catch(() => undefined);
    go(await sink);
    await expect(spooling).rejects.toMatchObject({ name: expect.stringMatching(/Refusal|PeerError/) });
    expect(readdirSync(folder)).toEqual([]);
  });
});
