import { it } from 'vitest';
import { openGate } from './gate.fixture.ts';
import { fieldBlock, frame, getFields, rawClient } from './raw-frames.fixture.ts';
it('x', async () => {
  const g = await openGate((c) => { console.log('call', c.request.fields.length); c.answer({ status: 200, fields: [], length: 0 }); c.end(); }, { headFields: 20, headBytes: 4096 });
  const many = [...getFields, ...Array.from({ length: 40 }, (_, index) => [`x-${index}`, '1'] as const)];
  const large = [...getFields, ['x', 'y'.repeat(8000)] as const];
  const large2 = [...getFields, ['x', 'y'.repeat(4000)] as const,['z', 'y'.repeat(4000)] as const];
  for (const f of [many, large, large2]) {
    const p = await rawClient(g.port);
    p.send(frame(1, 5, 1, fieldBlock(f)));
    await new Promise((r) => setTimeout(r, 200));
    console.log(p.closed, p.frames.map((f) => [f.type, f.flags, f.id, f.payload.toString('hex').slice(0, 60)].join(' ')));
  }
  await g.close();
});
