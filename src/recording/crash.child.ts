import { uuidv7 } from '../model/uuid.ts';
import { openRecorder } from './recorder.ts';

// For recovery.test.ts: records until it is killed. Prints the session, then each exchange that a flush has brought into the file.
const dir = process.argv[2]!;
const recorder = openRecorder({ dir, audit: { record: async () => 1 }, now: Date.now, sealAfterMs: 10 });
const startedAt = Date.now();
const principal = { id: 'ci:a', kind: 'ci', issuer: 'ci', subject: 'a', name: 'a', groups: [], claims: {} } as const;
const id = uuidv7(startedAt);
const recording = recorder.open({
  id,
  principal,
  target: 'shop',
  protocol: 'postgres',
  client: { address: '::1' },
  startedAt,
});
process.stdout.write(`${id}\n`);
for (let exchange = 1; ; exchange++) {
  recording.request(exchange, `{"n":${exchange}}`);
  await recording.reply(exchange, Buffer.alloc(20_000, `row ${exchange} `));
  if (exchange % 20 === 0) {
    let last = 0;
    for await (const frame of recorder.frames(id) ?? []) last = frame.exchange;
    process.stdout.write(`${last}\n`);
  }
}
