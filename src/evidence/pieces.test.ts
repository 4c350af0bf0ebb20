import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TileTree, tileWidth } from '../audit/tiles.ts';
import { hashBytes, inclusionProof, leafHash, verifyInclusion } from '../audit/tree.ts';
import { controls } from './controls.ts';
import { csvLine } from './csv.ts';
import { themes } from './frameworks.ts';
import { escapeHtml, html } from './html.ts';
import { jsonText } from './json.ts';
import { parseLeavers } from './leavers.ts';
import { parsePeriod } from './period.ts';
import { populations } from './populations.ts';
import { rangeProof, rootOfRange, subtreesOf } from './range-proof.ts';

/** A tree of so many leaves, with its tiles. */
function tree(size: number) {
  const tiles = new Map<string, Buffer>();
  const made = new TileTree((level, index, hashes) => void tiles.set(`${level}/${index}`, Buffer.from(hashes)));
  const leaves = Array.from({ length: size }, (_, i) => leafHash(Buffer.from(`entry ${i}\n`)));
  for (const leaf of leaves) made.append(leaf);
  for (const { level, index, hashes } of made.partial()) tiles.set(`${level}/${index}`, Buffer.from(hashes));
  const read = subtreesOf(
    { tile: (level, index, width) => tiles.get(`${level}/${index}`)?.subarray(0, width * hashBytes) },
    size,
  );
  return { leaves, root: made.root(), read };
}

describe('a proof of a range', () => {
  const sizes = [1, 2, 3, 7, 8, 255, 256, 257, 700, tileWidth * 4 + 3];
  const trees = sizes.map((size) => ({ size, ...tree(size) }));

  it('leads to the root with exactly these leaves', () => {
    fc.assert(
      fc.property(fc.constantFrom(...trees), fc.nat(), fc.nat(), ({ size, leaves, root, read }, a, b) => {
        const from = a % size;
        const to = from + 1 + (b % (size - from));
        const proof = rangeProof(read, from, to, size);
        expect(rootOfRange(leaves.slice(from, to)[Symbol.iterator](), from, to, size, proof)?.equals(root)).toBe(true);
        expect(proof.length).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(size)) + 1);
        const other = leaves.slice(from, to);
        other[b % other.length] = leafHash(Buffer.from('other'));
        expect(rootOfRange(other[Symbol.iterator](), from, to, size, proof)?.equals(root)).toBe(false);
      }),
      { numRuns: 150 },
    );
  });

  it('leads nowhere with a leaf too few or too many, a hash too few or too many, or at another place', () => {
    const { size, leaves, root, read } = trees.find((one) => one.size === 257) as (typeof trees)[number];
    const proof = rangeProof(read, 10, 20, size);
    const at = (from: number, to: number, hashes = proof, first = 10, last = 20) =>
      rootOfRange(leaves.slice(first, last)[Symbol.iterator](), from, to, size, hashes);
    expect(at(10, 20)?.equals(root)).toBe(true);
    expect(at(10, 20, proof, 10, 19)).toBeUndefined();
    expect(at(10, 20, proof, 10, 21)).toBeUndefined();
    expect(at(10, 20, proof.slice(1))).toBeUndefined();
    expect(at(10, 20, [...proof, root])).toBeUndefined();
    expect(at(11, 21)?.equals(root) ?? false).toBe(false);
    expect(at(10, 300)).toBeUndefined();
    expect(at(20, 10)).toBeUndefined();
  });

  it('agrees with inclusion proofs out of the same tiles', () => {
    for (const { size, leaves, root, read } of trees)
      for (const index of [0, Math.floor(size / 2), size - 1])
        expect(verifyInclusion(leaves[index] as Buffer, index, size, inclusionProof(read, index, size), root)).toBe(
          true,
        );
  });
});

/** Reads one line as RFC 4180 has it. */
function cells(line: string): readonly string[] {
  expect(line.endsWith('\r\n')).toBe(true);
  const found: string[] = [];
  let at = 0;
  const body = line.slice(0, -2);
  for (;;) {
    if (body[at] === '"') {
      let end = at + 1;
      while (body[end] !== '"' || body[end + 1] === '"') end += body[end] === '"' ? 2 : 1;
      found.push(body.slice(at + 1, end).replaceAll('""', '"'));
      at = end + 1;
    } else {
      const comma = body.indexOf(',', at);
      const end = comma === -1 ? body.length : comma;
      found.push(body.slice(at, end));
      at = end;
    }
    if (at >= body.length) return found;
    expect(body[at]).toBe(',');
    at++;
    if (at === body.length) return [...found, ''];
  }
}

describe('a line of CSV', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '=1+1',
      '+1',
      '-2+3',
      '@SUM(A1)',
      '\t=1',
      '\r=1',
      '\n=1',
      '＝1',
      '"=1',
      ' =1',
      '<script>',
      'a" onload="x',
      '\u202e',
      '\ufeff=1',
      '\u200b=1',
      '\\',
      "'",
    ),
  );

  it('has as many cells as were given, on one line, and none that a spreadsheet would run', () => {
    fc.assert(
      fc.property(fc.array(hostile, { minLength: 1, maxLength: 5 }), (texts) => {
        const line = csvLine(texts);
        const read = cells(line);
        expect(read.length).toBe(texts.length);
        for (const cell of read) {
          expect(cell).not.toMatch(/^[\s\u200b\ufeff]*[=+\-@＝＋－＠]/);
          expect(cell).not.toMatch(/[\p{Cc}\p{Cf}<]|\bon[a-z]+\s*=/u);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('keeps apart what differs', () => {
    fc.assert(
      fc.property(hostile, hostile, (a, b) => {
        fc.pre(a !== b);
        expect(csvLine([a])).not.toBe(csvLine([b]));
      }),
      { numRuns: 300 },
    );
  });

  it('leaves numbers and plain words as they are', () => {
    expect(csvLine(['corp:bot', -5, 1.5, null, '', 'a,b', 'say "no"', '-5'])).toBe(
      `corp:bot,-5,1.5,,,"a,b","say ""no""",'-5\r\n`,
    );
  });
});

describe('text for people', () => {
  it('is never markup in a page', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const shown = escapeHtml(text);
        expect(html`<b title="${text}">${text}</b>`.text).toBe(`<b title="${shown}">${shown}</b>`);
        expect(escapeHtml(text)).not.toMatch(/[<>"']|[\p{Cc}\p{Cf}]/u);
      }),
    );
  });

  it('is never markup in JSON, and the same when it is read', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(jsonText({ text })).not.toContain('<');
        expect(JSON.parse(jsonText({ text }))).toEqual({ text });
      }),
    );
    expect(JSON.parse(jsonText({ text: '<img src=x onerror=alert(1)>' }))).toEqual({
      text: '<img src=x onerror=alert(1)>',
    });
    expect(jsonText('<img src=x onerror=alert(1)>')).not.toContain('onerror=');
  });
});

describe('a period', () => {
  it('of days ends with the last of them', () => {
    expect(parsePeriod('2026-01-01', '2026-12-31')).toEqual({
      from: '2026-01-01T00:00:00.000Z',
      to: '2027-01-01T00:00:00.000Z',
    });
    expect(parsePeriod('2026-01-01T12:00:00+02:00', '2026-01-01T11:00Z').from).toBe('2026-01-01T10:00:00.000Z');
  });

  it('that is none is refused', () => {
    for (const [
      from,
      to,
    ] of [['2026-02-30', '2026-03-01'], ['2026-03-02', '2026-03-01'], ['yesterday', 'today'], ['1990-01-01', '2026-01-01'], ['2026-01-01', '2026-13-01']] as const) // biome-ignore format: a table
      expect(() => parsePeriod(from, to), from).toThrow(RangeError);
  });
});

describe('a list of leavers', () => {
  it('is read with and without a head, quotes and times', () => {
    expect([...parseLeavers('\ufeffprincipal,left\r\ncorp:a,2026-01-02\n"corp:b,c",2026-01-02T03:04:05Z\n\n')]).toEqual(
      [
        ['corp:a', '2026-01-02T00:00:00.000Z'],
        ['corp:b,c', '2026-01-02T03:04:05.000Z'],
      ],
    );
  });

  it('names the line that it cannot read', () => {
    expect(() => parseLeavers('principal,left\ncorp:a,soon')).toThrow('line 2');
    expect(() => parseLeavers('corp:a')).toThrow('line 1');
  });
});

describe('the criteria', () => {
  it('name lists and themes that exist, each once', () => {
    expect(new Set(controls.map(({ id }) => id)).size).toBe(controls.length);
    const lists = new Set(populations.map(({ name }) => name));
    const known = new Set(themes.map(({ id }) => id));
    for (const { id, populations: named, themes: mapped } of controls) {
      expect(
        named.filter((name) => !lists.has(name)),
        id,
      ).toEqual([]);
      expect(
        mapped.filter((theme) => !known.has(theme)),
        id,
      ).toEqual([]);
    }
    for (const id of ['CC6.1', 'CC6.8', 'CC7.1', 'CC7.4', 'CC8.1', 'C1.1', 'C1.2', 'PI1.3', 'A1.2'])
      expect(controls.some((control) => control.id === id)).toBe(true);
  });
});
