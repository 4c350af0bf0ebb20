import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PeerError, Refusal } from '../../model/errors.ts';
import * as codec from './codec.ts';
import {
  bind,
  Client,
  clientCaps,
  commandComplete,
  dataRow,
  errorResponse,
  Found,
  MessageReader,
  parse,
  query,
  readyForQuery,
  rowDescription,
  Server,
  serverCaps,
  textField,
} from './codec.ts';

/** Everything a reader finds when it is fed `chunks`, as bytes; large messages put together again. */
function readAll(reader: MessageReader, chunks: readonly Buffer[]): Buffer[] {
  const messages: Buffer[] = [];
  for (const chunk of chunks) {
    reader.feed(chunk);
    for (let found = reader.next(); found !== Found.Nothing; found = reader.next()) {
      const bytes = Buffer.from(reader.buffer.subarray(reader.start, reader.end));
      if (found === Found.LargePiece) messages.push(Buffer.concat([messages.pop() ?? Buffer.alloc(0), bytes]));
      else messages.push(bytes);
    }
  }
  return messages;
}

const header = (type: number, length: number) => {
  const bytes = Buffer.alloc(5);
  bytes[0] = type;
  bytes.writeInt32BE(length, 1);
  return bytes;
};

const transcript = [
  rowDescription([textField('a'), textField('ü')]),
  dataRow(['1', null]),
  dataRow(['', 'x'.repeat(300)]),
  commandComplete('SELECT 2'),
  errorResponse({ severity: 'ERROR', code: '42601', message: 'no' }),
  readyForQuery('I'),
];

describe('MessageReader', () => {
  const stream = Buffer.concat(transcript);

  it('finds the same messages wherever the stream is cut', () => {
    for (let cut = 0; cut <= stream.length; cut++) {
      const reader = new MessageReader('server', serverCaps);
      expect(readAll(reader, [stream.subarray(0, cut), stream.subarray(cut)])).toEqual(transcript);
      expect(reader.atBoundary).toBe(true);
    }
  });

  it('finds them when they come byte by byte', () => {
    const reader = new MessageReader('server', serverCaps);
    expect(
      readAll(
        reader,
        Array.from(stream, (byte) => Buffer.of(byte)),
      ),
    ).toEqual(transcript);
  });

  it('finds them in any cut, also when messages count as large', () => {
    const cuts = fc.array(fc.nat(stream.length), { maxLength: 12 });
    fc.assert(
      fc.property(cuts, fc.integer({ min: 4, max: 400 }), (at, largeOver) => {
        const edges = [0, ...at.toSorted((a, b) => a - b), stream.length];
        const chunks = edges.slice(1).map((edge, i) => stream.subarray(edges[i], edge));
        expect(readAll(new MessageReader('server', serverCaps, largeOver), chunks)).toEqual(transcript);
      }),
    );
  });

  it('shows whole messages where they lie, side by side, without copying', () => {
    const reader = new MessageReader('server', serverCaps);
    reader.feed(stream);
    let end = 0;
    while (reader.next() !== Found.Nothing) {
      expect(reader.buffer).toBe(stream);
      expect(reader.start).toBe(end);
      end = reader.end;
    }
    expect(end).toBe(stream.length);
  });

  it('says that a cut message is no place to hang up', () => {
    for (let cut = 1; cut < query('select 1').length; cut++) {
      const reader = new MessageReader('client', clientCaps(1000));
      readAll(reader, [query('select 1').subarray(0, cut)]);
      expect(reader.atBoundary).toBe(false);
    }
  });

  it('hands out a large value in pieces as they come, and holds none of it', () => {
    const reader = new MessageReader('server', serverCaps);
    const size = 2 ** 30;
    reader.feed(header(Server.DataRow, size));
    expect(reader.next()).toBe(Found.LargeHeader);
    expect(reader.remaining).toBe(size - 4);
    expect(reader.next()).toBe(Found.Nothing);
    const chunk = Buffer.alloc(2 ** 26);
    for (let left = size - 4; left > 0; ) {
      const piece = chunk.subarray(0, Math.min(left, chunk.length));
      reader.feed(piece);
      expect(reader.next()).toBe(Found.LargePiece);
      expect(reader.buffer).toBe(piece);
      left -= piece.length;
      expect(reader.remaining).toBe(left);
      expect(reader.next()).toBe(Found.Nothing);
    }
    expect(readAll(reader, [readyForQuery('T')])).toEqual([readyForQuery('T')]);
  });

  it('reserves no memory for what a header merely claims', () => {
    const before = process.memoryUsage().arrayBuffers;
    const readers = Array.from({ length: 200 }, () => {
      const reader = new MessageReader('client', clientCaps(2 ** 20));
      readAll(reader, [Buffer.concat([header(Client.Bind, 60 * 2 ** 20), Buffer.alloc(100)])]);
      return reader;
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 2 ** 20);
    expect(readers.every((reader) => !reader.atBoundary)).toBe(true);
  });

  it.each([
    ['shorter than itself', Client.Query, 3],
    ['of zero', Client.Query, 0],
    ['negative', Client.Query, -1],
    ['the most negative', Client.Query, -(2 ** 31)],
    ['above the limit for statements', Client.Query, 1009],
    ['of a Sync with a body', Client.Sync, 5],
    ['near 2 GiB', Client.Bind, 2 ** 31 - 1],
    ['above 1 GiB for COPY data', Client.CopyData, 2 ** 30 + 1],
  ])('refuses a length %s', (_, type, length) => {
    for (const cut of [5, 1, 3]) {
      const reader = new MessageReader('client', clientCaps(1000));
      const bytes = Buffer.concat([header(type, length), Buffer.alloc(20)]);
      expect(() => readAll(reader, [bytes.subarray(0, cut), bytes.subarray(cut)])).toThrow(PeerError);
    }
  });

  it('refuses a type that this side never sends', () => {
    const fromClient = new Set<number>(Object.values(Client));
    const fromServer = new Set<number>(Object.values(Server));
    for (let type = 0; type < 256; type++) {
      const bytes = Buffer.concat([header(type, 4), Buffer.alloc(8)]);
      const client = () => readAll(new MessageReader('client', clientCaps(1000)), [bytes.subarray(0, 5)]);
      const server = () => readAll(new MessageReader('server', serverCaps), [bytes.subarray(0, 5)]);
      if (fromClient.has(type)) expect(client).not.toThrow();
      else expect(client).toThrow(PeerError);
      if (fromServer.has(type)) expect(server).not.toThrow();
      else expect(server).toThrow(PeerError);
    }
  });

  it('ends any stream of random bytes with messages or a PeerError', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }), (chunks) => {
        const reader = new MessageReader('server', serverCaps, 64);
        try {
          readAll(
            reader,
            chunks.map((chunk) => Buffer.from(chunk)),
          );
        } catch (error) {
          expect(error).toBeInstanceOf(PeerError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('hands over what it has not read', () => {
    const reader = new MessageReader('server', serverCaps);
    reader.feed(Buffer.concat([readyForQuery('I'), Buffer.from('Z\0')]));
    expect(reader.next()).toBe(Found.Message);
    expect(reader.rest()).toEqual(Buffer.from('Z\0'));
    expect(reader.atBoundary).toBe(true);
  });
});

/** A parser for each message, with a good example of it; client messages first. */
const parsers: readonly [string, (buffer: Buffer, start: number, end: number) => unknown, Buffer][] = [
  ['Query', codec.parseQuery, query('select 1')],
  ['Parse', codec.parseParse, parse('s', 'select $1', [23, 0])],
  [
    'Bind',
    codec.parseBind,
    bind({ portal: 'p', statement: 's', formats: [0, 1], parameters: ['x', Buffer.of(1, 2)], resultFormats: [1] }),
  ],
  ['Describe', codec.parseNamed, codec.describe('statement', 's')],
  ['Close', codec.parseNamed, codec.close('portal', 'p')],
  ['Execute', codec.parseExecute, codec.execute('p', 7)],
  ['FunctionCall', codec.parseFunctionCall, codec.functionCall(1598, ['1', null])],
  ['PasswordMessage', codec.parsePassword, codec.passwordMessage('secret')],
  ['CopyFail', codec.parseCopyFail, codec.copyFail('enough')],
  ['Sync', codec.parseEmpty, codec.sync],
  ['RowDescription', codec.parseRowDescription, rowDescription([textField('a')])],
  ['DataRow', codec.parseDataRow, dataRow(['1', null, 'x'])],
  ['CommandComplete', codec.parseCommandComplete, commandComplete('SELECT 1')],
  [
    'ErrorResponse',
    codec.parseReport,
    errorResponse({ severity: 'ERROR', code: 'XX000', message: 'm', detail: 'd', hint: 'h' }),
  ],
  ['ParameterStatus', codec.parseParameterStatus, codec.parameterStatus('TimeZone', 'UTC')],
  ['ReadyForQuery', codec.parseReadyForQuery, readyForQuery('E')],
  [
    'NotificationResponse',
    codec.parseNotification,
    codec.notificationResponse({ processId: 1, channel: 'c', payload: 'p' }),
  ],
  ['CopyInResponse', codec.parseCopyResponse, codec.copyResponse('in', 1, 2)],
  ['ParameterDescription', codec.parseParameterDescription, codec.parameterDescription([23, 25])],
  ['AuthenticationMD5Password', codec.parseAuthentication, codec.authenticationMd5Password(Buffer.alloc(4))],
  ['AuthenticationSASL', codec.parseAuthentication, codec.authenticationSasl(['SCRAM-SHA-256'])],
  ['NegotiateProtocolVersion', codec.parseNegotiateProtocolVersion, codec.negotiateProtocolVersion(0, ['_pq_.x'])],
];

/** A Bind says where its names end in the buffer. */
function isBind(parsed: unknown): parsed is codec.Bind {
  return typeof parsed === 'object' && parsed !== null && 'tail' in parsed;
}

describe.each(parsers)('the parser of %s', (_, parser, good) => {
  it('takes a good message, wherever it lies in a buffer', () => {
    const shifted = Buffer.concat([Buffer.alloc(7, 0xff), good, Buffer.alloc(7, 0)]);
    const there = parser(shifted, 7, 7 + good.length);
    const here = parser(good, 0, good.length);
    expect(there).toEqual(isBind(here) ? { ...here, tail: here.tail + 7 } : here);
  });

  it('refuses it when it is cut short anywhere', () => {
    // Behind the cut lies more memory, with zeros that would end a string: it must not be read.
    for (let end = 5; end < good.length; end++) {
      const cut = Buffer.concat([good.subarray(0, end), Buffer.alloc(50)]);
      expect(() => parser(cut, 0, end)).toThrow(PeerError);
    }
  });

  it('refuses a byte too many', () => {
    expect(() => parser(Buffer.concat([good, Buffer.of(0)]), 0, good.length + 1)).toThrow(PeerError);
  });

  it('answers random bytes with a value, a PeerError or a Refusal', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (body) => {
        const bytes = Buffer.concat([header(0, 4 + body.length), body]);
        try {
          parser(bytes, 0, bytes.length);
        } catch (error) {
          expect(error instanceof PeerError || error instanceof Refusal).toBe(true);
        }
      }),
    );
  });
});

describe('messages', () => {
  const name = fc
    .string({ unit: 'grapheme', maxLength: 12 })
    .filter((text) => !text.includes('\0') && text.isWellFormed());
  const whole = <T>(parser: (buffer: Buffer, start: number, end: number) => T, bytes: Buffer) =>
    parser(bytes, 0, bytes.length);

  it('survive building and parsing: Parse', () => {
    fc.assert(
      fc.property(name, name, fc.array(fc.nat(2 ** 32 - 1), { maxLength: 20 }), (statement, text, parameterTypes) => {
        expect(whole(codec.parseParse, parse(statement, text, parameterTypes))).toEqual({
          statement,
          text,
          parameterTypes,
        });
      }),
    );
  });

  it('survive building and parsing: Bind', () => {
    const value = fc.option(name);
    fc.assert(
      fc.property(name, name, fc.array(value, { maxLength: 20 }), (portal, statement, parameters) => {
        const bytes = bind({ portal, statement, parameters, resultFormats: [1] });
        const parsed = whole(codec.parseBind, bytes);
        expect(parsed).toMatchObject({ portal, statement, parameters, resultFormats: [1], formats: [] });
        expect(codec.bindAs(portal, statement, bytes.subarray(parsed.tail))).toEqual(bytes);
      }),
    );
  });

  it('survive building and parsing: DataRow and RowDescription', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.option(name)), { maxLength: 20 }), (columns) => {
        const fields = columns.map(([text], i) => ({
          ...textField(text),
          tableOid: 2 ** 32 - 1 - i,
          attnum: -1 - i,
          format: 1 as const,
        }));
        expect(whole(codec.parseRowDescription, rowDescription(fields))).toEqual(fields);
        const values = whole(codec.parseDataRow, dataRow(columns.map(([, value]) => value)));
        expect(values.map((value) => value?.toString() ?? null)).toEqual(columns.map(([, value]) => value));
      }),
    );
  });

  it('show binary parameters as hex and text ones as text', () => {
    const bytes = bind({ formats: [1, 0], parameters: [Buffer.of(0, 255), 'naïve'] });
    expect(whole(codec.parseBind, bytes).parameters).toEqual(['\\x00ff', 'naïve']);
    expect(whole(codec.parseBind, bind({ formats: [1], parameters: [Buffer.of(1), null] })).parameters).toEqual([
      '\\x01',
      null,
    ]);
  });

  it('with formats that do not fit their parameters are refused', () => {
    expect(() => whole(codec.parseBind, bind({ formats: [0, 1], parameters: ['a', 'b', 'c'] }))).toThrow(PeerError);
    expect(() => whole(codec.parseBind, bind({ formats: [2 as 1], parameters: ['a'] }))).toThrow(PeerError);
  });

  it('whose value claims 4 GiB or a negative size are refused', () => {
    for (const length of [2 ** 31 - 1, -2, -(2 ** 31)]) {
      const bytes = bind({ parameters: ['abcd'] });
      bytes.writeInt32BE(length, bytes.length - 10);
      expect(() => whole(codec.parseBind, bytes)).toThrow(PeerError);
    }
  });

  it('with text that is not UTF-8 are refused, but break nothing', () => {
    const bytes = query('select "x"');
    bytes[13] = 0xff;
    expect(() => whole(codec.parseQuery, bytes)).toThrow(Refusal);
  });

  it('with 65,535 parameters are read', () => {
    const parameters = Array.from({ length: 65_535 }, () => 'x');
    expect(whole(codec.parseBind, bind({ parameters })).parameters).toHaveLength(65_535);
  });

  it('cannot be built with a zero byte inside a string', () => {
    expect(() => query('select 1\0; drop table x')).toThrow(TypeError);
    expect(() => codec.startupMessage(codec.protocol30, { user: 'a\0options\0-c search_path=x' })).toThrow(TypeError);
  });

  it('that report an error quote anything without starting a new field', () => {
    const report = whole(codec.parseReport, errorResponse({ severity: 'ERROR', code: 'SP200', message: 'a\0CXX000' }));
    expect(report.sqlstate).toBe('SP200');
    expect(report.message).toContain('CXX000');
  });

  it('of a server that sends no SQLSTATE count as XX000', () => {
    const bytes = Buffer.concat([header(Server.ErrorResponse, 8), Buffer.from('Mx\0\0')]);
    expect(whole(codec.parseReport, bytes)).toMatchObject({ sqlstate: 'XX000', message: 'x' });
  });
});

describe('rowsOf', () => {
  it.each([
    ['SELECT 5', 5],
    ['INSERT 0 12', 12],
    ['UPDATE 0', 0],
    ['COPY 100000', 100_000],
    ['MERGE 3', 3],
    ['CREATE TABLE', 0],
    ['SELECT five', 0],
    ['SELECT 99999999999999999999', 0],
  ])('reads %s', (tag, rows) => {
    expect(codec.rowsOf(tag)).toBe(rows);
  });
});
