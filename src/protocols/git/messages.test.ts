import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PeerError } from '../../model/errors.ts';
import { AdvertisementParser, AdvertisementWriter } from './advertisement.ts';
import { fetchOfV0, fetchOfV2, writeFetch } from './fetch-request.ts';
import { LsRefsFilter, lsRefsOf } from './ls-refs.ts';
import { PackWatch } from './pack-watch.ts';
import { delim, flush, packet, packetsOf } from './pktline.ts';
import { parseOfferV2, parseRequestV2, writeOfferV2 } from './protocol-v2.ts';
import type { Ref } from './push.ts';
import { ReceiveRequestParser } from './receive-request.ts';
import { parseReport, writeReport } from './report-status.ts';
import { banded } from './sideband.ts';

const a = 'a'.repeat(40);
const b = 'b'.repeat(40);
const c = 'c'.repeat(40);
const zero = '0'.repeat(40);
const lines = (...texts: (string | Buffer)[]) =>
  Buffer.concat(texts.map((text) => (typeof text === 'string' ? packet(text) : text)));

/** What `read` makes of the bytes, cut in two at every place. */
function everyCut<T>(bytes: Buffer, read: (pieces: readonly Buffer[]) => T): T[] {
  return Array.from({ length: bytes.length + 1 }, (_, at) => read([bytes.subarray(0, at), bytes.subarray(at)]));
}

const advertisement = lines(
  '# service=git-upload-pack\n',
  flush,
  `${a} HEAD\0multi_ack thin-pack no-done new-thing=1 symref=HEAD:refs/heads/main agent=git/9\n`,
  `${a} refs/heads/main\n`,
  `${b} refs/heads/secret\n`,
  `${c} refs/tags/v1\n`,
  `${a} refs/tags/v1^{}\n`,
  `${b} .have\n`,
  flush,
);

function listed(bytes: readonly Buffer[]): Ref[] {
  const refs: Ref[] = [];
  const parser = new AdvertisementParser('git-upload-pack', {
    head: () => undefined,
    ref: (ref) => refs.push(ref),
    shallow: () => undefined,
  });
  for (const piece of bytes) parser.push(piece);
  parser.end();
  return refs;
}

describe('an advertisement', () => {
  it('is read wherever it is cut', () => {
    const refs = [
      { name: 'HEAD', id: a, target: 'refs/heads/main' },
      { name: 'refs/heads/main', id: a },
      { name: 'refs/heads/secret', id: b },
      { name: 'refs/tags/v1', id: c, peeled: a },
    ];
    for (const found of everyCut(advertisement, listed)) expect(found).toEqual(refs);
  });

  it('is no advertisement where it is cut short', () => {
    for (let at = 0; at < advertisement.length; at++)
      expect(() => listed([advertisement.subarray(0, at)])).toThrow(PeerError);
  });

  const shownTo = (visible: (ref: Ref) => boolean) => {
    const writer = new AdvertisementWriter('git-upload-pack', visible);
    const parser = new AdvertisementParser('git-upload-pack', writer);
    parser.push(advertisement);
    parser.end();
    writer.end();
    return packetsOf(writer.take(), 'UPSTREAM_PROTOCOL').map(String);
  };

  it('shows only what is understood and may be seen', () => {
    expect(shownTo(({ name }) => name !== 'refs/heads/secret')).toEqual([
      '# service=git-upload-pack\n',
      'flush',
      `${a} HEAD\0multi_ack thin-pack symref=HEAD:refs/heads/main agent=git/sallyport\n`,
      `${a} refs/heads/main\n`,
      `${c} refs/tags/v1\n`,
      `${a} refs/tags/v1^{}\n`,
      'flush',
    ]);
  });

  it('does not tell what HEAD stands for where HEAD is hidden', () => {
    const text = shownTo(({ name }) => name === 'refs/tags/v1').join('');
    expect(text).toContain(`${c} refs/tags/v1\0multi_ack thin-pack agent=git/sallyport`);
    expect(text).not.toContain('main');
  });

  it('shows a repository without refs where none may be seen', () => {
    expect(shownTo(() => false)[2]).toMatch(/^0{40} capabilities\^\{\}\0multi_ack/);
  });

  it('is a list of refs or a PeerError, whatever comes', () => {
    const words = fc.constantFrom(
      `${a} refs/heads/x`,
      `${a} HEAD\0x`,
      '# service=git-upload-pack',
      'version 1',
      `shallow ${a}`,
      '',
      'ERR x',
      `${a} refs/tags/v1^{}`,
    );
    const piece = fc.oneof(
      words.map((text) => packet(text)),
      fc.constantFrom(flush, delim),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        try {
          listed(pieces);
        } catch (error) {
          expect((error as Error).name).toMatch(/^(PeerError|ServerSays)$/);
        }
      }),
    );
  });
});

describe('an offer of version 2', () => {
  it('shows only what is understood', () => {
    const offer = parseOfferV2(
      packetsOf(
        lines(
          'version 2\n',
          'agent=git/9 x\n',
          'ls-refs=unborn new\n',
          'fetch=shallow filter sideband-all packfile-uris\n',
          'server-option\n',
          'bundle-uri\n',
          'object-format=sha1\n',
          'session-id=x\n',
          flush,
        ),
        'UPSTREAM_PROTOCOL',
      ),
    );
    expect(packetsOf(writeOfferV2(offer!), 'CLIENT_PROTOCOL').map(String)).toEqual([
      '# service=git-upload-pack\n',
      'flush',
      'version 2\n',
      'agent=git/sallyport\n',
      'ls-refs=unborn\n',
      'fetch=shallow filter\n',
      'object-format=sha1\n',
      'flush',
    ]);
  });
});

describe('a request of version 2', () => {
  const request = (...texts: (string | Buffer)[]) => parseRequestV2(packetsOf(lines(...texts), 'CLIENT_PROTOCOL'));

  it('is a command, capabilities and arguments', () => {
    expect(
      request('command=fetch\n', 'agent=git/2.39.5 x\n', 'object-format=sha1', delim, `want ${a}\n`, 'done\n', flush),
    ).toEqual({
      command: 'fetch',
      agent: 'git/2.39.5 x',
      objectFormat: 'sha1',
      args: [`want ${a}`, 'done'],
    });
  });

  it.each([
    ['no command', ['agent=x', flush]],
    ['two commands', ['command=ls-refs', 'command=fetch', flush]],
    ['a command that was not offered', ['command=bundle-uri', flush]],
    ['words to the server', ['command=ls-refs', 'server-option=x', flush]],
    ['no end', ['command=ls-refs']],
    ['something behind its end', ['command=ls-refs', flush, 'x', flush]],
    ['two lists of arguments', ['command=ls-refs', delim, 'peel', delim, 'peel', flush]],
    ['a line that is no text', ['command=ls-refs', delim, lines(Buffer.from('0005'), Buffer.from([0xff])), flush]],
  ] as const)('is none with %s', (_, texts) => {
    expect(() => request(...texts)).toThrow(PeerError);
  });
});

describe('an answer to ls-refs', () => {
  const answer = lines(
    `${a} HEAD symref-target:refs/heads/main\n`,
    `${a} refs/heads/main\n`,
    `${b} refs/heads/secret\n`,
    `${c} refs/tags/v1 peeled:${a}\n`,
    flush,
  );
  const filtered = (args: readonly string[], pieces: readonly Buffer[]) => {
    const filter = new LsRefsFilter(lsRefsOf(args), 'sha1', ({ name }) => name !== 'refs/heads/secret');
    const out = Buffer.concat(pieces.map((piece) => filter.push(piece)));
    filter.end();
    return out.toString();
  };

  it('shows what may be seen, and what was asked for', () => {
    const shown = lines(`${a} HEAD\n`, `${a} refs/heads/main\n`, `${c} refs/tags/v1\n`, flush).toString();
    for (const found of everyCut(answer, (pieces) => filtered([], pieces))) expect(found).toBe(shown);
    expect(filtered(['symrefs', 'peel'], [answer])).toContain(`peeled:${a}`);
    expect(filtered(['symrefs', 'peel'], [answer])).toContain('symref-target:refs/heads/main');
  });

  it('ends with a flush, and with nothing else', () => {
    expect(() => filtered([], [answer.subarray(0, -4)])).toThrow(PeerError);
    expect(() => filtered([], [answer, packet('x')])).toThrow(PeerError);
  });
});

describe('a request for a pack', () => {
  const v0 = lines(
    `want ${a} thin-pack side-band-64k agent=git/9\n`,
    `want ${b}\n`,
    `shallow ${c}\n`,
    'deepen 3\n',
    'filter blob:none\n',
    flush,
    `have ${c}\n`,
    'done\n',
  );

  it('is written as it was read', () => {
    expect(writeFetch(fetchOfV0(packetsOf(v0, 'CLIENT_PROTOCOL'))).toString()).toBe(v0.toString());
    const v2 = lines(
      'command=fetch\n',
      'agent=git/9\n',
      'object-format=sha1\n',
      delim,
      'thin-pack\n',
      `want ${a}\n`,
      'deepen 1\n',
      `have ${b}\n`,
      'done\n',
      flush,
    );
    const again = writeFetch(fetchOfV2(parseRequestV2(packetsOf(v2, 'CLIENT_PROTOCOL'))));
    expect(again.toString()).toBe(v2.toString());
  });

  it.each([
    ['nothing wanted', [flush]],
    ['an id that is none', [`want ${a.slice(1)}\n`, flush, 'done']],
    ['an id of the other format', [`want ${a} x\n`, `want ${a}${a}\n`, flush]],
    ['a capability that was not offered', [`want ${a} no-done\n`, flush, 'done']],
    ['a filter by name', [`want ${a}\n`, 'filter sparse:oid=main:x\n', flush]],
    ['two depths', [`want ${a}\n`, 'deepen 1\n', 'deepen 2\n', flush]],
    ['a depth that is none', [`want ${a}\n`, 'deepen -1\n', flush]],
    ['a want behind the flush', [`want ${a}\n`, flush, `want ${b}\n`, 'done']],
    ['something behind done', [`want ${a}\n`, flush, 'done', `have ${b}`]],
    ['another request behind it', [`want ${a}\n`, flush, `have ${b}`, flush, `have ${c}`, 'done']],
  ] as const)('is none with %s', (_, texts) => {
    expect(() => fetchOfV0(packetsOf(lines(...texts), 'CLIENT_PROTOCOL'))).toThrow(PeerError);
  });

  it.each(['sideband-all', 'packfile-uris https', 'want-ref ../x', 'deepen-not a..b', 'done x'])(
    'is none in version 2 with %s',
    (arg) => {
      const args = [`want ${a}`, arg];
      expect(() => fetchOfV2({ command: 'fetch', agent: undefined, objectFormat: 'sha1', args })).toThrow(PeerError);
    },
  );
});

describe('an answer with a pack', () => {
  const pack = Buffer.concat([Buffer.from('PACK'), Buffer.from([0, 0, 0, 2, 0, 0, 0, 7]), Buffer.alloc(3000, 'x')]);

  it.each([
    ['in a band', lines('NAK\n', banded(2, Buffer.from('hi\n'), 'side-band'), banded(1, pack, 'side-band'), flush)],
    ['in sections', lines('packfile\n', banded(1, pack, 'side-band-64k'), flush)],
    ['as it is', lines(`ACK ${a}\n`, pack)],
  ])('is seen %s, wherever it is cut', (_, bytes) => {
    const seen = everyCut(bytes, (pieces) => {
      const watch = new PackWatch(() => false);
      for (const piece of pieces) watch.push(piece);
      watch.end();
      return [watch.bytes, watch.objects, watch.digest()];
    });
    expect(new Set(seen.map(String)).size).toBe(1);
    expect(seen[0]?.slice(0, 2)).toEqual([pack.length, 7]);
  });

  it('does not go on where it tells what nobody may see, wherever it is cut', () => {
    const bytes = banded(2, Buffer.from('the secret word\n'), 'side-band-64k');
    const failed = everyCut(bytes, (pieces) => {
      const watch = new PackWatch((text) => text.includes('secret'));
      try {
        for (const piece of pieces) watch.push(piece);
        return false;
      } catch (error) {
        return error instanceof PeerError;
      }
    });
    expect(failed.every(Boolean)).toBe(true);
  });
});

describe('a push', () => {
  const bytes = lines(
    `${zero} ${a} refs/heads/x\0 report-status push-options atomic agent=git/9\n`,
    `${b} ${zero} refs/heads/y\n`,
    flush,
    'ci.skip',
    flush,
    Buffer.from('PACK…'),
  );
  const read = (pieces: readonly Buffer[]) => {
    const parser = new ReceiveRequestParser();
    const rest = pieces.map((piece) => parser.take(piece) ?? Buffer.alloc(0));
    return { request: parser.end(), rest: Buffer.concat(rest).toString() };
  };

  it('is read wherever it is cut', () => {
    for (const { request, rest } of everyCut(bytes, read)) {
      expect(rest).toBe('PACK…');
      expect(request).toMatchObject({
        updates: [
          { ref: 'refs/heads/x', old: undefined, new: a },
          { ref: 'refs/heads/y', old: b, new: undefined },
        ],
        options: ['ci.skip'],
        pack: true,
      });
    }
  });

  it('is a push or a PeerError, whatever comes', () => {
    const texts = fc.constantFrom(
      `${zero} ${a} refs/heads/x\0 report-status`,
      `${a} ${zero} refs/heads/y`,
      `shallow ${a}`,
      'push-cert\0x',
      '',
    );
    const piece = fc.oneof(
      texts.map((text) => packet(text)),
      fc.constantFrom(flush, delim),
      fc.uint8Array().map((raw) => Buffer.from(raw)),
    );
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        try {
          read(pieces);
        } catch (error) {
          expect(error).toBeInstanceOf(PeerError);
        }
      }),
    );
  });

  it('names no more than there may be', () => {
    const many = Array.from({ length: 1001 }, (_, n) => packet(`${zero} ${a} refs/heads/x${n}\n`));
    expect(() => read([lines(...many, flush)])).toThrow(/more than 1000/);
  });
});

describe('a report', () => {
  const asked = new Set(['refs/heads/x', 'refs/heads/y']);

  it('is written as it was read', () => {
    const bytes = lines(
      'unpack ok\n',
      'ok refs/heads/x\n',
      'option refname refs/heads/z\n',
      'ng refs/heads/y no way\n',
      flush,
    );
    expect(writeReport(parseReport(packetsOf(bytes, 'UPSTREAM_PROTOCOL'), asked), true).toString()).toBe(
      bytes.toString(),
    );
  });

  it.each([
    ['a ref that was not asked for', ['unpack ok\n', 'ok refs/heads/z\n', flush]],
    ['a ref twice', ['unpack ok\n', 'ok refs/heads/x\n', 'ng refs/heads/x no\n', flush]],
    ['no word about the pack', ['ok refs/heads/x\n', flush]],
    ['no end', ['unpack ok\n']],
    ['an option of nothing', ['unpack ok\n', 'option refname x\n', flush]],
  ] as const)('is none with %s', (_, texts) => {
    expect(() => parseReport(packetsOf(lines(...texts), 'UPSTREAM_PROTOCOL'), asked)).toThrow(PeerError);
  });

  it('shows nothing that a terminal would obey', () => {
    const bytes = lines('unpack ok\n', 'ng refs/heads/x \x1b[2Jgone\u202e\n', flush);
    const { refs } = parseReport(packetsOf(bytes, 'UPSTREAM_PROTOCOL'), asked);
    expect(refs.get('refs/heads/x')?.reason).toBe('\ufffd[2Jgone\ufffd');
  });
});
