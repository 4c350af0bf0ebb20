import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bind,
  bindComplete,
  commandComplete,
  dataRow,
  describe as describeMessage,
  errorResponse,
  execute,
  noticeResponse,
  parameterStatus,
  parse,
  parseDataRow,
  query,
  readyForQuery,
  rowDescription,
  sync,
  textField,
} from '../../src/protocols/postgres/codec.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { type HostileServer, type Lie, lieNamed, startHostileServer } from '../support/hostile-server.ts';
import { type Message, RawPostgres } from '../support/raw-postgres.ts';
import { workPolicies } from '../support/work-policies.ts';

/** Every classified value has this in it, so that it is found whatever is around it. */
const secret = 'Hidden-4711';
const rows = 40;

let hostile: HostileServer;
let gateway: TestGateway;
let token: string;

/** A statement that a lie answers: a free column, then a classified one. */
const statement = 'select id as armed, ssn from people order by id';

/** Replaces every message of one type. */
function each(type: string, make: (bytes: Buffer) => readonly Buffer[]): Lie {
  return (message) => (message.type === type ? make(message.bytes) : undefined);
}

/** Does something to the first message of one type, and nothing more. */
function once(type: string, make: (bytes: Buffer, hangUp: () => void) => readonly Buffer[]): () => Lie {
  return () => {
    let done = false;
    return (message) => {
      if (done || message.type !== type) return undefined;
      done = true;
      return make(message.bytes, () => message.hangUp());
    };
  };
}

function values(row: Buffer): (string | null)[] {
  return parseDataRow(row, 0, row.length).map((value) => value?.toString() ?? null);
}

function header(type: string, length: number): Buffer {
  const bytes = Buffer.alloc(5, type);
  bytes.writeInt32BE(length, 1);
  return bytes;
}

function edited(bytes: Buffer, edit: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes);
  edit(copy);
  return copy;
}

const errorOf = (body: string) => Buffer.concat([header('E', 4 + body.length), Buffer.from(body)]);
const exposed = `a value: ${secret} 1`;
const copyOut = Buffer.from('48000000090000010000', 'hex'); // CopyOutResponse: text, one column of text
const copyData = (text: string) => Buffer.concat([header('d', 4 + Buffer.byteLength(text)), Buffer.from(text)]);

/** After these the client must have an error, and never a classified value. Each is made anew for its connection. */
const lies: Readonly<Record<string, () => Lie>> = {
  'rows with one value more': () => each('D', (row) => [dataRow([...values(row), exposed])]),
  'rows with one value more in front': () => each('D', (row) => [dataRow([exposed, ...values(row)])]),
  'rows with one value less': () => each('D', (row) => [dataRow(values(row).slice(1))]),
  'rows of no values': () => each('D', (row) => [dataRow([]), row]),
  'a wrong row after good ones': once('C', (complete) => [dataRow([exposed]), complete]),
  'rows without a description': () => each('T', () => []),
  'a description after the rows': once('T', (description) => [dataRow(['1', exposed]), description]),
  'a count of values beyond the row': () => each('D', (row) => [edited(row, (copy) => copy.writeUInt16BE(60_000, 5))]),
  'a value longer than its row': () => each('D', (row) => [edited(row, (copy) => copy.writeInt32BE(1000, 7))]),
  'a value of negative length': () => each('D', (row) => [edited(row, (copy) => copy.writeInt32BE(-2, 7))]),
  'a value shorter than it says, so that bytes are left': () =>
    each('D', (row) => [edited(row, (copy) => copy.writeInt32BE(0, 7))]),
  'a length below 4': once('D', (row) => [header('D', 3), row]),
  'a negative length': once('D', (row) => [header('D', -1), row]),
  'a length near 2 GiB': once('T', (description) => [header('T', 2 ** 31 - 1), description]),
  'a row with a length that swallows the next': () =>
    each('D', (row) => [edited(row, (copy) => copy.writeInt32BE(row.length + 9, 1))]),
  'a row that ends before its length': once('D', (row, hangUp) => {
    hangUp();
    return [row.subarray(0, row.length - 3)];
  }),
  'the end of the connection after half of the rows': () => {
    let seen = 0;
    return (message) => {
      if (message.type === 'D' && ++seen === rows / 2) message.hangUp();
      return undefined;
    };
  },
  'the end of the connection instead of an answer': () => (message) => {
    message.hangUp();
    return [];
  },
  'a type that does not exist': once('T', (description) => [header('!', 4), description]),
  'a message that only clients send': once('T', (description) => [query(exposed), description]),
  'a question for a password': once('T', (description) => [Buffer.from('520000000800000003', 'hex'), description]),
  'an answer to something nobody asked': once('C', (complete) => [bindComplete, complete]),
  'a second end': once('Z', (ready) => [ready, ready]),
  'rows after the end': once('Z', (ready) => [ready, dataRow(['1', exposed])]),
  'a description and rows after the end': once('Z', (ready) => [
    ready,
    rowDescription([textField('x')]),
    dataRow([exposed]),
    commandComplete('SELECT 1'),
    readyForQuery('I'),
  ]),
  'an end before the rows': once('D', (row) => [readyForQuery('I'), row]),
  'copy data among the rows': once('C', (complete) => [copyOut, copyData(`${exposed}\n`), complete]),
  'copy data in place of rows': () => (message) => {
    if (message.type === 'T') return [copyOut];
    if (message.type === 'D') return [copyData(`${exposed}\n`)];
    return undefined;
  },
  'copy data without an announcement': once('D', (row) => [copyData(`${exposed}\n`), row]),
  'a result of a function call': once('D', (row) => [
    Buffer.concat([
      header('V', 8 + Buffer.byteLength(exposed)),
      edited(Buffer.alloc(4), (n) => n.writeInt32BE(exposed.length)),
      Buffer.from(exposed),
    ]),
    row,
  ]),
  'another client_encoding': once('T', (description) => [parameterStatus('client_encoding', 'LATIN1'), description]),
  'standard_conforming_strings off': once('T', (description) => [
    parameterStatus('standard_conforming_strings', 'off'),
    description,
  ]),
  'an error that quotes a value': () =>
    each('D', () => [
      errorResponse({ severity: 'ERROR', code: '22P02', message: `invalid input: "${exposed}"`, detail: exposed }),
    ]),
};

/** Odd, but allowed: the session goes on. */
const oddities: Readonly<Record<string, () => Lie>> = {
  'an error without a SQLSTATE': () => (message) => {
    if (message.type === 'T') return [errorOf('Modd!\0\0')];
    return message.type === 'Z' ? undefined : [];
  },
  'an error without any field': () => (message) => {
    if (message.type === 'T') return [errorOf('\0')];
    return message.type === 'Z' ? undefined : [];
  },
  'a notice that quotes a value': once('D', (row) => [
    noticeResponse({ severity: 'NOTICE', code: '00000', message: `about "${exposed}"`, detail: exposed }),
    row,
  ]),
  'settings that do not matter': once('T', (description) => [parameterStatus('TimeZone', 'Mars/Olympus'), description]),
};

/** Lies are functions with a memory: each connection gets a fresh one. */
const fresh = (all: Readonly<Record<string, () => Lie>>): Readonly<Record<string, Lie>> =>
  Object.fromEntries(Object.entries(all).map(([name, make]) => [name, forgetting(make)]));

function forgetting(make: () => Lie): Lie {
  let lie = make();
  return (message) => {
    if (message.index === 0) lie = make();
    return lie(message);
  };
}

beforeAll(async () => {
  hostile = await startHostileServer({ ...fresh(lies), ...fresh(oddities) });
  const classify = { 'public.people.ssn': 'pii.ssn' };
  gateway = await startGateway({
    plaintext: true,
    postgres: { hba: ['host all all 127.0.0.1/32 trust'] }, // a login a test, so a cheap one
    policies: workPolicies,
    schema: `create table people (id int primary key, ssn text);
      insert into people select n, '${secret} ' || n from generate_series(1, ${rows}) n;`,
    targets: {
      shop: {
        protocol: 'postgres',
        address: `127.0.0.1:${hostile.port}`,
        database: 'shop',
        tls: { mode: 'disable' },
        credential: { user: 'postgres', file: './password' },
        labels: { env: 'prod' },
        detectors: false,
        classify,
      },
    },
  });
  hostile.forwardTo(gateway.postgres.port);
  token = await gateway.tokenOf('agent');
});
afterAll(async () => {
  await gateway?.stop();
  await hostile?.stop();
});

const login = (lie: string) =>
  RawPostgres.login({ port: gateway.port, token, parameters: { application_name: lieNamed(lie) } });

const ways: Readonly<Record<string, readonly Buffer[]>> = {
  'a simple query': [query(statement)],
  'an extended query': [parse('', statement), bind(), describeMessage('portal', ''), execute(''), sync],
  'an extended query that is not described': [parse('', statement), bind(), execute(''), sync],
};

/**
 * Everything the client gets for the statement and a harmless one behind it (a lie may come behind the end), or to the end of the
 * session.
 */
async function answer(client: RawPostgres, messages: readonly Buffer[]): Promise<readonly Message[]> {
  const got: Message[] = [];
  for (const sent of [messages, [query('select 1')]]) {
    client.send(...sent);
    for (let type = ''; type !== 'Z'; ) {
      const message = await client.message();
      if (message === undefined) return got;
      got.push(message);
      ({ type } = message);
    }
  }
  return got;
}

function text(messages: readonly Message[]): string {
  return messages.map(({ bytes }) => bytes.toString('latin1')).join('\n');
}

/** A session beside the hostile one sees masked rows, all of them. */
async function expectOthersGoOn(other: RawPostgres): Promise<void> {
  other.send(query('select id, ssn from people order by id'));
  const shown = await other.until('Z');
  expect(shown.filter(({ type }) => type === 'D')).toHaveLength(rows);
  expect(text(shown)).not.toContain(secret);
}

describe.each(Object.keys(ways))('a server that lies about %s', (way) => {
  let other: RawPostgres;

  beforeAll(async () => {
    other = await login('none');
  });
  afterAll(() => other?.end());

  it.each(Object.keys(lies))('shows no classified value and an error for: %s', async (lie) => {
    const client = await login(lie);
    const got = await answer(client, ways[way]!);
    expect(text(got)).not.toContain(secret);
    expect(got.filter(({ type }) => type === 'E').length).toBeGreaterThan(0);
    client.end();
    await expectOthersGoOn(other);
  });

  it.each(Object.keys(oddities))('goes on after: %s', async (lie) => {
    const client = await login(lie);
    const got = await answer(client, ways[way]!);
    expect(text(got)).not.toContain(secret);
    expect(got.map(({ type }) => type).join('')).toMatch(/Z.*TDCZ$/);
    client.end();
  });
});
