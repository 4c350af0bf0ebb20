import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describePush } from './describe.ts';
import { inspectPush } from './inspect.ts';
import { caller, Scene } from './scene.fixture.ts';
import { inspectSettings } from './settings.ts';

describe('a large push', () => {
  let scene: Scene;
  let main: string;
  beforeAll(() => {
    scene = new Scene();
    main = scene.commit({ files: { a: 'a' } });
    scene.upstream('refs/heads/main', main);
  });
  afterAll(() => scene.remove());

  const imported = (name: string, commits: number, files: number): string => {
    const parts: string[] = [];
    for (let i = 0; i < commits; i++) {
      parts.push(`commit refs/scene/${name}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\ndata 2\nc\n`);
      if (i === 0) parts.push(`from ${main}\n`);
      for (let j = 0; j < files; j++) {
        const content = `${name} ${i} ${j}`;
        parts.push(`M 100644 inline d${(i + j) % 97}/f${(i + j) % 1009}.${j}\ndata ${content.length}\n${content}\n`);
      }
    }
    scene.git(['fast-import', '--quiet'], parts.join(''));
    return scene.line(['rev-parse', `refs/scene/${name}`]);
  };

  it('of five thousand commits is looked at whole, and told briefly', async () => {
    const tip = imported('many', 5000, 1);
    const push = scene.push([{ old: main, new: tip }]);
    const found = await scene.inspect(push);
    expect(found.findings).toEqual([]);
    expect(found.updates[0]).toMatchObject({ kind: 'fastForward', commitCount: 5000 });
    expect(found.updates[0]!.commits).toHaveLength(200);
    expect(found.updates[0]!.details.length).toBeLessThan(110);
    expect(describePush(push, found).length).toBeLessThan(400_000);
  });

  it('of very many small objects lets others have their turn, and is refused beyond the bound', async () => {
    const tip = imported('wide', 1, 10_000);
    const push = scene.push([{ old: main, new: tip }]);
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 1);
    const found = await scene.inspect(push).finally(() => clearInterval(timer));
    expect(found.findings).toEqual([]);
    expect(found.objects).toBeGreaterThan(10_000);
    expect(turns).toBeGreaterThan(20);
    await expect(scene.quarantined(push, () => Promise.resolve(), { objects: 10_000 })).rejects.toMatchObject({
      code: 'SP7001',
    });
  });

  it('of very many refs is inspected or refused as a whole', async () => {
    const tip = imported('refs', 1, 1);
    const push = scene.push(Array.from({ length: 60 }, (_, i) => ({ ref: `refs/tags/t${i}`, new: tip })));
    const found = await scene.inspect(push);
    expect(new Set(found.updates.map(({ kind, commitCount }) => `${kind} ${commitCount}`))).toEqual(
      new Set(['tagCreate 1']),
    );
    const refused = await scene.inspect(push, { limits: { updates: 59 } });
    expect(refused.refusal?.code).toBe('SP7001');
    expect(refused.updates).toHaveLength(60);
  });

  it('that takes too long is refused, and one whose caller is gone ends', async () => {
    const tip = imported('slow', 50, 1);
    const push = scene.push([{ old: main, new: tip }]);
    const defaults = inspectSettings.parse({});
    const settings = { ...defaults, limits: { ...defaults.limits, time: 1 } };
    const found = await scene.quarantined(push, (quarantine) =>
      inspectPush({ push, refs: scene.refs, quarantine, settings, principal: caller }),
    );
    expect(found.findings).toEqual(['too-large-to-inspect']);
    expect(found.refusal?.code).toBe('SP7001');
    const gone = new Error('gone');
    await expect(scene.inspect(push, {}, caller, AbortSignal.abort(gone))).rejects.toBe(gone);
  });
});
