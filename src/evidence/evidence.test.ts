import { createHash, createHmac, generateKeyPairSync } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Scratch } from '../audit/log.fixture.ts';
import { decodeCheckpoint, encodeVkey, signNote } from '../audit/note.ts';
import { leafHash, verifyInclusion } from '../audit/tree.ts';
import type { RecordedEvent } from '../model/event.ts';
import { buildEvidence } from './build.ts';
import { exceptionKinds } from './exception-kinds.ts';
import { jsonText } from './json.ts';
import { Ledger } from './ledger.ts';
import { liveStatus } from './live-status.ts';
import { type LogProof, NothingToShow } from './select.ts';
import { fiveDays, march, Story } from './synthetic.fixture.ts';
import { openTables, Tables } from './tables.ts';
import { verifyEvidence } from './verify.ts';

const scratch = new Scratch();
let story: Story;
let log: string;
let pristine: string;

beforeAll(async () => {
  story = await fiveDays();
  log = await story.export();
  pristine = await build();
});
afterAll(async () => {
  await story.scratch.clean();
  await scratch.clean();
});

const leavers = 'principal,left\r\n"corp:owner",2026-03-03\r\n';

async function build(name = 'package', over: Partial<Parameters<typeof buildEvidence>[0]> = {}): Promise<string> {
  const output = join(scratch.dir(), name);
  const built = await buildEvidence({ log, output, parameters: march, leavers, ...over });
  if (!built.ok) throw new Error(JSON.stringify(built.report.problems));
  return output;
}

/** A copy to be tampered with. */
function copy(of = pristine): string {
  const dir = join(scratch.dir(), 'copy');
  cpSync(of, dir, { recursive: true });
  return dir;
}

function edit(dir: string, file: string, change: (text: string) => string): void {
  const path = join(dir, file);
  const before = readFileSync(path, 'utf8');
  const after = change(before);
  expect(after, `${file} was to be changed`).not.toBe(before);
  writeFileSync(path, after);
}

interface Listed {
  path: string;
  bytes: number;
  sha256: string;
  mediaType: string;
}

/** Makes the manifest fit the files, as whoever tampers would. */
function rehash(dir: string): void {
  edit(dir, 'manifest.json', (text) => {
    const manifest = JSON.parse(text) as { files: Listed[] };
    manifest.files = manifest.files
      .filter(({ path }) => statSync(join(dir, path), { throwIfNoEntry: false }) !== undefined)
      .map((file) => {
        const bytes = readFileSync(join(dir, file.path));
        return { ...file, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
      });
    return jsonText(manifest);
  });
}

function filesOf(dir: string): readonly string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((item) => item.isFile())
    .map((item) => join(item.parentPath, item.name).slice(dir.length + 1))
    .toSorted();
}

function csv(dir: string, file: string): readonly Readonly<Record<string, string>>[] {
  const [head, ...rows] = readFileSync(join(dir, file), 'utf8').trimEnd().split('\r\n');
  const cells = (line: string) =>
    [...`${line},`.matchAll(/(?:"((?:[^"]|"")*)"|([^,]*)),/g)].map(([, q, p]) => q?.replaceAll('""', '"') ?? p ?? '');
  const columns = cells(head ?? '');
  return rows.map((row) => Object.fromEntries(cells(row).map((cell, i) => [columns[i], cell])));
}

interface Sample {
  row: Record<string, unknown>;
  sample: { rank: string };
  story: { event: { type: string; seq: number }; entry: number; in: string; leaf: string; proof: string[] }[];
}

function sample(dir: string, file: string): Sample {
  return JSON.parse(readFileSync(join(dir, file), 'utf8')) as Sample;
}

describe('a package', () => {
  it('verifies, with the key that was kept and the seed that was given', () => {
    const report = verifyEvidence(pristine, { vkey: story.log.vkey, seed: march.seed });
    expect(report.problems).toEqual([]);
    expect(report).toMatchObject({
      ok: true,
      origin: 'gw.example/audit',
      manifest: 'hash',
      from: march.from,
      to: march.to,
    });
    expect(report.samples).toBeGreaterThan(25);
  });

  it('is the same bytes when it is built again, as a folder and as an archive', async () => {
    const again = await build();
    expect(filesOf(again)).toEqual(filesOf(pristine));
    for (const file of filesOf(again))
      expect(readFileSync(join(again, file)).equals(readFileSync(join(pristine, file))), file).toBe(true);
    const [one, two] = [await build('one.tar'), await build('two.tar')];
    expect(readFileSync(one).equals(readFileSync(two))).toBe(true);
    expect(verifyEvidence(one).problems).toEqual([]);
  });

  it('holds the events of the period and no others in its lists', () => {
    const commands = csv(pristine, 'populations/commands.csv');
    // Eight sessions of four, one approved, one that began before (its second command), one without an outcome, two late ones.
    expect(commands.length).toBe(8 * 4 + 1 + 1 + 1 + 2);
    for (const { time } of commands) expect((time as string) >= march.from && (time as string) < march.to).toBe(true);
    expect(csv(pristine, 'populations/sessions.csv').map(({ session }) => session)).not.toContain('s-before');
    expect(csv(pristine, 'populations/sessions.csv').find(({ session }) => session === 's-over')).toMatchObject({
      started: '2026-03-01T00:00:00.060Z',
      commands: '1',
    });
  });

  it('says who reached what, and how fast a revocation took effect', () => {
    const access = csv(pristine, 'populations/access.csv');
    expect(access.map(({ principal, target, changes }) => [principal, target, changes])).toEqual([
      ['corp:bot', 'shop', '1'],
      ['corp:stray', 'shop', '0'],
    ]);
    expect(csv(pristine, 'populations/tickets.csv')[0]).toMatchObject({
      revoked_by: 'corp:lead',
      sessions_after_revocation: '1',
      open_sessions_ended_within_s: '2',
    });
    expect(csv(pristine, 'populations/approvals.csv')[0]).toMatchObject({
      seconds_to_answer: '30',
      answers: expect.stringContaining('corp:lead approve'),
    });
    expect(csv(pristine, 'populations/terminated-identities.csv')[0]).toMatchObject({
      principal: 'corp:owner',
      sessions_after: '2',
      commands_after: '2',
    });
  });

  it('lists what an auditor would ask about', () => {
    const kinds = csv(pristine, 'exceptions.csv').map(({ kind }) => kind);
    expect(kinds.toSorted()).toEqual([
      'agent-without-owner',
      'failed-logins',
      'large-reply',
      'leaver-use',
      'leaver-use',
      'outcome-missing',
      'policy-rejected',
      'recording-missing',
      'use-after-revocation',
    ]);
  });

  it('says for which time the log speaks', () => {
    const days = csv(pristine, 'coverage/days.csv');
    expect(days.map(({ day, covered_seconds }) => [day, Math.round(Number(covered_seconds))])).toEqual([
      ['2026-03-02', 86_400],
      ['2026-03-03', 82_800],
      ['2026-03-04', 3633],
    ]);
    expect(csv(pristine, 'coverage/gaps.csv').map(({ cause }) => cause)).toEqual(['stopped', 'after the log']);
  });

  it('draws samples that anybody with the seed can draw again from the list', () => {
    for (const population of ['commands', 'sessions', 'failed-logins']) {
      const rows = csv(pristine, `populations/${population}.csv`).map(({ seq }) => ({
        seq,
        rank: createHmac('sha256', march.seed).update(`${population}\n${seq}`).digest('hex'),
      }));
      const drawn = rows.toSorted((a, b) => (a.rank < b.rank ? -1 : 1)).slice(0, march.samples);
      const there = drawn.map((_, i) => sample(pristine, `samples/${population}/00${i + 1}.json`));
      expect(there.map(({ row, sample: { rank } }) => ({ seq: String(row.seq), rank }))).toEqual(drawn);
    }
  });

  it('tells the whole story of a sample', () => {
    expect(sample(pristine, 'samples/changes/001.json').story.map(({ event }) => event.type)).toEqual([
      'ticket.issued',
      'session.started',
      'approval.requested',
      'approval.decided',
      'approval.consumed',
      'command.intent',
      'command.outcome',
      'recording.sealed',
      'session.ended',
      'ticket.revoked',
    ]);
  });

  it('proves each event of a sample to whoever has the checkpoint, without our verification', () => {
    const key = { name: 'gw.example/audit' };
    const note = readFileSync(join(pristine, 'log/checkpoint.txt'), 'utf8');
    const { size, root } = decodeCheckpoint(note.slice(0, note.indexOf('\n\n') + 1));
    expect(note).toContain(key.name);
    const entries = new Map<string, string[]>();
    for (const { event, entry, in: file, leaf, proof } of sample(pristine, 'samples/commands/001.json').story) {
      if (!entries.has(file)) entries.set(file, readFileSync(join(pristine, file), 'utf8').split('\n\n'));
      const text = `${entries.get(file)?.find((one) => one.includes(`{"seq":${event.seq},`))}\n`;
      expect(leafHash(Buffer.from(text)).toString('base64')).toBe(leaf);
      const path = proof.map((node) => Buffer.from(node, 'base64'));
      expect(verifyInclusion(Buffer.from(leaf, 'base64'), entry, size, path, root)).toBe(true);
    }
  });

  it('has only files that compliance tools take', () => {
    for (const file of filesOf(pristine)) {
      expect(file).toMatch(/\.(csv|json|txt|log|html)$/);
      expect(statSync(join(pristine, file)).size).toBeLessThan(50_000_000);
      // Filters refuse files that look like scripts.
      if (!file.startsWith('events/'))
        expect(readFileSync(join(pristine, file), 'utf8')).not.toMatch(/<script|\son\w+=/i);
    }
  });

  it('has a report that shows hostile text as text, and neither loads nor runs anything', () => {
    const report = readFileSync(join(pristine, 'report.html'), 'utf8');
    expect(report).toContain("default-src 'none'; style-src 'sha256-");
    expect(report).toContain('@media print');
    expect(report).not.toMatch(/<(script|iframe|object|embed|link|img|a)\b|javascript:|url\(|@import/i);
  });

  it('shows what callers call themselves as text, in the report and in the lists', async () => {
    const s = await new Story().begin();
    const name = '<script>alert(1)</script><img src=x onerror=alert(1)>';
    await s.session('s-1', 1, {
      principal: name,
      principalName: '=cmd|calc',
      owner: '"><svg onload=alert(1)>',
      target: '@shop',
    });
    await s.event('policy.rejected', { version: 'p', problems: ['</table><script>1</script>'] });
    const dir = await build('hostile', {
      log: await s.export(),
      parameters: { ...march, from: '2026-03-01T00:00:00.000Z' },
    });
    const report = readFileSync(join(dir, 'report.html'), 'utf8');
    expect(report).toContain('&lt;script&gt;alert(1)');
    expect(report).not.toMatch(/<(script|img|svg onload)/);
    expect(csv(dir, 'populations/access.csv')[0]).toMatchObject({ name: "'=cmd|calc", target: "'@shop" });
    for (const file of filesOf(dir).filter((one) => !/^(events|report)/.test(one)))
      expect(readFileSync(join(dir, file), 'utf8'), file).not.toMatch(/<script|\bon\w+=/i);
    expect(csv(dir, 'exceptions.csv').map(({ kind }) => kind)).toContain('ticket-unknown');
    await s.scratch.clean();
  });

  it('is not made when the log does not verify, or has nothing of the period', async () => {
    const damaged = join(scratch.dir(), 'audit.tar');
    const bytes = readFileSync(log);
    bytes[bytes.indexOf('corp:bot')] = 0x43;
    writeFileSync(damaged, bytes);
    const output = join(scratch.dir(), 'none');
    expect((await buildEvidence({ log: damaged, output, parameters: march })).ok).toBe(false);
    const never = { ...march, from: '2020-01-01T00:00:00.000Z', to: '2020-02-01T00:00:00.000Z' };
    await expect(buildEvidence({ log, output, parameters: never })).rejects.toThrow(NothingToShow);
    expect(statSync(output, { throwIfNoEntry: false })).toBeUndefined();
    await expect(buildEvidence({ log, output: pristine, parameters: march })).rejects.toThrow('there already');
  });

  it('is the same when it is made from the data folder of a gateway that runs', async () => {
    const live = await build('live', { log: story.dir });
    expect(verifyEvidence(live, { vkey: story.log.vkey }).problems).toEqual([]);
    for (const list of ['commands', 'sessions', 'tickets'])
      expect(readFileSync(join(live, `populations/${list}.csv`), 'utf8')).toBe(
        readFileSync(join(pristine, `populations/${list}.csv`), 'utf8'),
      );
  });

  it('of a period that begins with the log and ends with it needs no neighbours', async () => {
    const whole = await build('whole', {
      parameters: { ...march, from: '2026-01-01T00:00:00.000Z', to: '2026-12-31T00:00:00.000Z' },
    });
    expect(verifyEvidence(whole).problems).toEqual([]);
    expect(csv(whole, 'coverage/gaps.csv').map(({ cause }) => cause)).toEqual([
      'before the log',
      'stopped',
      'after the log',
    ]);
  });
});

describe('a package that was tampered with', () => {
  const first = (dir: string, options = {}) => verifyEvidence(dir, options).problems[0];

  it('names a file that is not the one in the manifest, that is missing, and that was added', () => {
    const swapped = copy();
    cpSync(join(swapped, 'populations/denials.csv'), join(swapped, 'populations/approvals.csv'));
    expect(first(swapped)).toMatchObject({
      file: 'populations/approvals.csv',
      message: expect.stringContaining('manifest'),
    });
    const missing = copy();
    rmSync(join(missing, 'exceptions.csv'));
    expect(first(missing)).toEqual({ file: 'exceptions.csv', message: 'the file is missing' });
    const added = copy();
    writeFileSync(join(added, 'letter.txt'), 'we are fine');
    expect(first(added)).toEqual({ file: 'letter.txt', message: 'the file is not in the manifest' });
  });

  const rows: readonly [string, string, (text: string) => string, object][] = [
    ['a row that was removed', 'populations/commands.csv', (t) => t.split('\r\n').toSpliced(7, 1).join('\r\n'), { line: 8 }],
    ['a last row that was removed', 'populations/commands.csv', (t) => `${t.trimEnd().split('\r\n').slice(0, -1).join('\r\n')}\r\n`, { message: expect.stringContaining('a line is missing') }],
    ['a row that was added', 'populations/denials.csv', (t) => `${t}9999,x\r\n`, { message: expect.stringContaining('nothing leads to this line') }],
    ['a row that was changed', 'populations/approvals.csv', (t) => t.replace('corp:lead', 'corp:ceo'), { line: 2 }],
    ['a total that was forged', 'populations/denials.spec.json', (t) => t.replace('"rows": 1', '"rows": 2'), { message: expect.stringContaining('the events say') }],
    ['a query that was changed', 'populations/denials.spec.json', (t) => t.replace('ORDER BY d.seq', 'WHERE 0 ORDER BY d.seq'), {}],
    ['an exception that was removed', 'exceptions.csv', (t) => t.split('\r\n').toSpliced(1, 1).join('\r\n'), { line: 2 }],
    ['a criterion that was improved', 'controls.csv', (t) => t.replace('exceptions', 'shown'), {}],
    ['a report that was improved', 'report.html', (t) => t.replace(/\d+\.\d\d %/, '100.00 %'), {}],
    ['a gap that was hidden', 'coverage/gaps.csv', (t) => t.split('\r\n').toSpliced(1, 1).join('\r\n'), { line: 2 }],
    ['a sample that was changed', 'samples/commands/001.json', (t) => t.replace('"status": "ok"', '"status": "error"'), {}],
    ['the proof of a sample that was changed', 'samples/commands/002.json', (t) => t.replace(/"proof": \[\n +"[^"]+"/, `"proof": [\n     "${'A'.repeat(43)}="`), { message: expect.stringContaining('does not lead to the root') }],
  ]; // biome-ignore format: a table
  it.each(rows)('names %s, though the manifest was made to fit', (_, file, change, expected) => {
    const dir = copy();
    edit(dir, file, change);
    rehash(dir);
    expect(first(dir)).toMatchObject({ file, ...expected });
  });

  it('names a sample that was exchanged for another row of the list', () => {
    const dir = copy();
    cpSync(join(dir, 'samples/commands/005.json'), join(dir, 'samples/commands/001.json'));
    rehash(dir);
    expect(first(dir)).toMatchObject({ file: 'samples/commands/001.json' });
  });

  it('names an event that was changed, taken out at either end, or put elsewhere', () => {
    const changes: readonly ((text: string) => string)[] = [
      (text) => text.replace('"answer":"approve"', '"answer":"approvE"'),
      (text) => text.slice(text.indexOf('\n\n') + 2),
      (text) => `${text.slice(0, text.lastIndexOf('\n\n', text.length - 3))}\n\n`,
    ];
    for (const change of changes) {
      const dir = copy();
      edit(dir, 'events/00001.log', change);
      rehash(dir);
      expect(first(dir)).toMatchObject({
        file: 'events/00001.log',
        message: expect.stringContaining('the root that the checkpoint signs'),
      });
    }
    const moved = copy();
    edit(moved, 'events/context.log', (text) => text.replace('corp:bot', 'corp:BOT'));
    rehash(moved);
    expect(first(moved)).toMatchObject({
      file: 'events/context.log',
      message: expect.stringContaining('is not in the log'),
    });
  });

  it('names a checkpoint of another log, one that is not signed, and another key', async () => {
    const other = await new Story().begin();
    await other.event('gateway.started');
    const strange = await other.log.checkpoint();
    const { vkey } = story.log;
    await other.scratch.clean();

    const replaced = copy();
    writeFileSync(join(replaced, 'log/checkpoint.txt'), strange.note);
    rehash(replaced);
    expect(first(replaced)).toMatchObject({ file: 'log/checkpoint.txt' });

    const both = copy();
    writeFileSync(join(both, 'log/checkpoint.txt'), strange.note);
    writeFileSync(join(both, 'log/vkey.txt'), `${strange.vkey}\n`);
    rehash(both);
    expect(first(both, { vkey })).toMatchObject({ file: 'log/vkey.txt', message: 'it is not the key that was given' });
    expect(verifyEvidence(both).ok).toBe(false);

    const later = copy();
    const { note } = await story.log.checkpoint();
    await story.event('audit.heartbeat');
    writeFileSync(join(later, 'log/checkpoint.txt'), (await story.log.checkpoint()).note);
    rehash(later);
    expect(verifyEvidence(later).ok).toBe(false);
    expect(note).not.toBe('');
  });

  it('names entries of the period that were left out at its ends, though what is left is proved', () => {
    const outside = copy();
    // As if the package had been made for a shorter period: the neighbours are now of the period.
    edit(outside, 'manifest.json', (text) => text.replace('2026-03-02T00:00:00.000Z', '2026-03-01T12:00:00.000Z'));
    const found = verifyEvidence(outside).problems.map(({ message }) => message);
    expect(found).toContainEqual(expect.stringMatching(/entry \d+ is of the period and stands outside of it/));
    expect(found).toContain('the entry ahead of the period is not there to show that it begins with it');

    const alone = copy();
    let neighbour = 0;
    edit(alone, 'log/proof.json', (text) => {
      const proof = JSON.parse(text) as LogProof;
      neighbour = proof.single.findIndex(({ entry }) => entry === proof.from - 1);
      return jsonText({ ...proof, single: proof.single.toSpliced(neighbour, 1) });
    });
    edit(alone, 'events/context.log', (text) => text.split('\n\n').toSpliced(neighbour, 1).join('\n\n'));
    rehash(alone);
    expect(first(alone)?.message).toBe('the entry ahead of the period is not there to show that it begins with it');
  });

  it('names parameters that were changed: the seed, the period, a threshold', () => {
    for (const [from, to] of [
      ['"seed": "words of an auditor"', '"seed": "words of an operator"'],
      ['"from": "2026-03-02', '"from": "2026-03-03'],
      ['"failures": 3', '"failures": 300'],
      ['"samples": 5', '"samples": 4'],
    ] as const) {
      const dir = copy();
      edit(dir, 'manifest.json', (text) => text.replace(from, to));
      expect(verifyEvidence(dir).ok, from).toBe(false);
    }
    for (const [from, to] of [
      ['"size": ', '"size": 1'],
      ['text/html', 'text/plain'],
      ['binds the files by hash', 'binds the files for ever'],
    ] as const) {
      const dir = copy();
      edit(dir, 'manifest.json', (text) => text.replace(from, to));
      expect(first(dir), from).toMatchObject({ file: 'manifest.json', line: expect.any(Number) });
    }
    const seed = copy();
    edit(seed, 'manifest.json', (text) => text.replace('words of an auditor', 'words of an operator'));
    expect(first(seed, { seed: march.seed })?.message).toContain('words of an operator');
    expect(first(seed)?.file).toMatch(/^samples\//);
  });

  it('names a list of leavers that was shortened after the fact', () => {
    const dir = copy();
    edit(dir, 'inputs/leavers.csv', () => 'principal,left\n');
    rehash(dir);
    expect(first(dir)).toMatchObject({ file: 'exceptions.csv' });
  });

  it('is caught whichever byte of whichever file is changed', () => {
    const dir = copy();
    const files = filesOf(dir);
    fc.assert(
      fc.property(fc.constantFrom(...files), fc.nat(), fc.integer({ min: 1, max: 255 }), (file, place, flip) => {
        const path = join(dir, file);
        const bytes = readFileSync(path);
        const changed = Buffer.from(bytes);
        const at = place % bytes.length;
        changed[at] = (changed[at] as number) ^ flip;
        writeFileSync(path, changed);
        const { ok, problems } = verifyEvidence(dir);
        writeFileSync(path, bytes);
        expect(ok).toBe(false);
        expect(problems.some((problem) => problem.file === file || file === 'manifest.json')).toBe(true);
      }),
      { numRuns: 25 },
    );
    expect(verifyEvidence(dir).ok).toBe(true);
  });

  it('is judged, not obeyed, when it is no package at all', () => {
    const dir = scratch.dir();
    for (const manifest of [
      '',
      '[]',
      '{}',
      '{"format":"sallyport-evidence/1"}',
      '{"format":"sallyport-evidence/1","parameters":{"from":"a","to":"b"}}',
    ]) {
      writeFileSync(join(dir, 'manifest.json'), manifest);
      expect(verifyEvidence(dir), manifest).toMatchObject({ ok: false, problems: [{ file: 'manifest.json' }] });
    }
    expect(verifyEvidence(join(dir, 'absent'))).toMatchObject({ ok: false, problems: [{ file: 'package' }] });
  });
});

describe('a signed manifest', () => {
  const { privateKey } = generateKeyPairSync('ed25519');

  it('verifies with the key that signed the log, and is caught when it signs something else', async () => {
    const s = await new Story().begin();
    await s.log.close();
    s.log = await s.scratch.open(s.scratch.dir(), { signingKey: privateKey, now: () => s.now });
    await s.event('gateway.started', { node: 'v24' });
    const exported = await s.export();
    const vkey = encodeVkey('gw.example/audit', privateKey);
    const dir = await build('signed', {
      log: exported,
      parameters: { ...march, from: '2026-03-01T00:00:00.000Z' },
      sign: async (text) => signNote(text, 'gw.example/audit', privateKey),
    });
    expect(verifyEvidence(dir, { vkey })).toMatchObject({ ok: true, manifest: 'signed' });
    edit(dir, 'manifest.note', () =>
      signNote(`sallyport-evidence-manifest/1\ngw.example/audit\n${'0'.repeat(64)}\n`, 'gw.example/audit', privateKey),
    );
    expect(verifyEvidence(dir, { vkey }).problems[0]).toMatchObject({ file: 'manifest.note' });
    await s.scratch.clean();
  });
});

describe('exceptions', () => {
  it('of every kind have a query that runs, and are named by a criterion or say why not', async () => {
    const { controls } = await import('./controls.ts');
    const named = new Set(controls.flatMap(({ exceptions }) => exceptions));
    expect(
      exceptionKinds.filter(({ kind, severity }) => !named.has(kind) && severity !== 'info').map(({ kind }) => kind),
    ).toEqual([]);
    expect([...named].filter((kind) => !exceptionKinds.some((one) => one.kind === kind))).toEqual([]);
  });

  it('show a yes that should not be: by the requester’s owner, and a use without one', async () => {
    const s = await new Story().begin();
    await s.open('s-1', { proof: { kind: 'oidc', id: 'e' } });
    await s.approved('a-1', 's-1', 1, 'corp:owner');
    await s.intent('s-1', 2, { approval: 'a-9' });
    s.outcome('s-1', 2);
    await s.end('s-1');
    const dir = await build('approvals', {
      log: await s.export(),
      parameters: { ...march, from: '2026-03-01T00:00:00.000Z' },
    });
    expect(csv(dir, 'exceptions.csv').map(({ kind }) => kind)).toEqual(['self-approval', 'unapproved-use']);
    expect(csv(dir, 'controls.csv').find(({ control }) => control === 'CC8.1')).toMatchObject({
      status: 'exceptions',
      exceptions: '2',
    });
    await s.scratch.clean();
  });

  it('are none where a yes was asked for and given before the period, and used in it', async () => {
    const s = await new Story().begin();
    await s.open('s-1', { proof: { kind: 'oidc', id: 'e' } });
    s.now = Date.parse(march.from) - 15_000;
    await s.asked('a-1', 's-1', 1, 'corp:lead', 10_000);
    await s.event('audit.heartbeat', { uptime: 1 });
    s.now += 20_000;
    await s.approvedUse('a-1', 's-1', 1, 'corp:lead');
    await s.end('s-1');
    const dir = await build('across', { log: await s.export() });
    expect(csv(dir, 'exceptions.csv')).toEqual([]);
    expect(sample(dir, 'samples/changes/001.json').story.map(({ event }) => event.type)).toContain('approval.decided');
    expect(verifyEvidence(dir).problems).toEqual([]);
    await s.scratch.clean();
  });

  it('count the failed logins that one event stands for', async () => {
    const s = await new Story().begin();
    const failed = { reason: 'the token has expired', audience: 'target', peer: '198.51.100.9' };
    await s.event('auth.failed', failed);
    await s.event('auth.failed', { ...failed, count: 400 });
    const dir = await build('failed', {
      log: await s.export(),
      parameters: { ...march, from: '2026-03-01T00:00:00.000Z' },
    });
    expect(csv(dir, 'exceptions.csv')[0]).toMatchObject({
      kind: 'failed-logins',
      what: expect.stringContaining('401 from 198.51.100.9'),
    });
    await s.scratch.clean();
  });

  it('show a crash: the silence, the recovery, the outcome that nobody knows, the recording that was cut', async () => {
    const s = await new Story().begin();
    await s.event('gateway.started', {});
    await s.open('s-1', { proof: { kind: 'oidc', id: 'e' } });
    await s.intent('s-1', 1);
    s.now += 1_200_000;
    s.outcome('s-1', 1, { status: 'unknown', rows: 0, bytes: 0 });
    await s.event('recording.sealed', {
      session: 's-1',
      principal: 'corp:bot',
      target: 'shop',
      frames: 1,
      truncated: true,
      digest: 'ab',
    });
    await s.event('session.ended', {
      session: 's-1',
      principal: 'corp:bot',
      target: 'shop',
      reason: 'the gateway stopped',
    });
    await s.event('gateway.recovered', { unknownOutcomes: 1, endedSessions: 1, cutBytes: 0 });
    const dir = await build('crash', {
      log: await s.export(),
      parameters: { ...march, from: '2026-03-01T00:00:00.000Z' },
    });
    expect(csv(dir, 'exceptions.csv').map(({ kind }) => kind)).toEqual([
      'recording-truncated',
      'outcome-unknown',
      'crash',
      'silence',
    ]);
    expect(csv(dir, 'coverage/gaps.csv')[0]).toMatchObject({ cause: 'broke off', seconds: '1200' });
    await s.scratch.clean();
  });

  it('of events too large for an entry are told with all their parts', async () => {
    const s = await new Story().begin();
    const text = 'select 1 -- '.repeat(20_000);
    await s.session('s-0', 0);
    await s.open('s-1', { proof: { kind: 'oidc', id: 'e' } });
    await s.intent('s-1', 1, { text });
    s.outcome('s-1', 1);
    await s.end('s-1');
    const dir = await build('large', {
      log: await s.export(),
      parameters: { ...march, from: '2026-03-01T00:00:00.000Z' },
    });
    expect(verifyEvidence(dir).problems).toEqual([]);
    const [row] = csv(dir, 'populations/commands.csv');
    expect(row?.text_sha256).toBe(createHash('sha256').update(JSON.stringify(text)).digest('hex'));
    const parts = sample(dir, 'samples/commands/001.json').story.filter(({ event }) => event.type === 'audit.part');
    expect(parts.length).toBeGreaterThan(5);
    await s.scratch.clean();
  });
});

describe('the ledger', () => {
  it('says the same however little it keeps in memory', () => {
    const events = ['events/context.log', 'events/00001.log'].flatMap((file) =>
      readFileSync(join(pristine, file), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as RecordedEvent),
    );
    // Many open at once, and concluded in another order.
    const time = '2026-03-03T00:00:00.000Z';
    const open = [1, 2, 3, 4, 5].map((n) => ({
      seq: 9000 + n,
      time,
      type: 'command.intent' as const,
      session: `s-${n % 2}`,
      exchange: 100 + n,
    }));
    const closed = open.toReversed().map((intent) => ({
      ...intent,
      seq: intent.seq + 100,
      type: 'command.outcome' as const,
      status: 'ok',
      rows: intent.exchange,
    }));
    events.push(...open, ...closed);
    const tablesOf = (mostOpen?: number) => {
      const tables = new Tables(openTables());
      const ledger = new Ledger(tables, march, mostOpen);
      for (const event of events) ledger.add(event);
      ledger.end();
      const all = ['commands', 'sessions', 'masks', 'denials', 'tickets'].map((name) => [
        ...tables.rows(`SELECT * FROM ${name}`),
      ]);
      tables.close();
      return all;
    };
    const usual = tablesOf();
    expect(usual[0]?.length).toBeGreaterThan(30);
    expect(tablesOf(1)).toEqual(usual);
    expect(tablesOf(3)).toEqual(usual);
  });
});

describe('the status', () => {
  it('says of the same events what the package says', async () => {
    const events = readFileSync(join(pristine, 'events/00001.log'), 'utf8');
    const before = readFileSync(join(pristine, 'events/context.log'), 'utf8');
    const parsed = `${before}${events}`
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as never);
    const status = await liveStatus(parsed, march);
    const packaged = csv(pristine, 'controls.csv');
    // Without the list of leavers, which a package gets and the status does not.
    const without = packaged.filter(({ control }) => control !== 'CC6.2');
    expect(
      status.controls
        .filter(({ id }) => id !== 'CC6.2')
        .map(({ id, status: is, exceptions }) => [id, is, String(exceptions)]),
    ).toEqual(without.map(({ control, status: is, exceptions }) => [control, is, exceptions]));
  });
});
