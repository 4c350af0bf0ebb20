import type { ServerResponse } from 'node:http';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BareGateway, startBareGateway } from '../../support/gateway.ts';
import { callGateway } from '../../support/http-client.ts';
import { startTalker, type Talker } from './talker.ts';

const key = 'key-of-the-target-0815-aB';
// Nothing that a detector would know: only the rule says that it is classified.
const value = 'Kanalstraße-Nr-seventeen';
const json = JSON.stringify({ name: 'Ada', address: value });

const policies = `
@id("connect") permit (principal, action == Action::"connect", resource);
@id("work") permit (principal, action in Action::"command", resource);
`;

interface Reply {
  readonly name: string;
  readonly status?: number;
  readonly fields?: Record<string, string | string[]>;
  readonly body: string | Buffer | readonly (string | Buffer)[];
}

const type = (name: string) => ({ 'content-type': name });
const replies: readonly Reply[] = [
  ...[
    'text/html',
    'text/plain',
    'image/png',
    'application/octet-stream',
    'application/x-unheard-of',
    'text/csv',
    'text/event-stream',
    'application/x-www-form-urlencoded',
    'application/xml',
    'nonsense',
    '',
    'application/json; charset=utf-16',
    'application/vnd.x+json',
    'multipart/mixed; boundary=x',
    'application/grpc',
    'application/pdf',
    'video/mp4',
  ].map((name) => ({ name: `as ${name}`, fields: type(name), body: json })),
  { name: 'as nothing', body: json },
  { name: 'behind a byte order mark', fields: type('application/json'), body: `\ufeff${json}` },
  { name: 'behind blanks', fields: type('text/html'), body: `${' \n'.repeat(3000)}${json}` },
  { name: 'in UTF-16', fields: type('application/json'), body: Buffer.from(json, 'utf16le') },
  {
    name: 'under an escaped name',
    fields: type('application/json'),
    body: json.replace('address', '\\u0061ddr\\u0065ss'),
  },
  {
    name: 'under a name that comes twice',
    fields: type('application/json'),
    body: `{"address":1,"address":${JSON.stringify(value)}}`,
  },
  { name: 'in a script', fields: type('application/javascript'), body: `callback(${json})` },
  { name: 'behind a guard against reading', fields: type('application/json'), body: `)]}',\n${json}` },
  { name: 'twice', fields: type('application/json'), body: `{}${json}` },
  { name: 'in an array of arrays', fields: type('application/json'), body: `[[[${json}]]]` },
  { name: 'with an error', status: 500, fields: type('application/json'), body: json },
  { name: 'with an error of another kind', status: 418, fields: type('text/html'), body: json },
  {
    name: 'in part',
    status: 206,
    fields: { ...type('application/json'), 'content-range': 'bytes 0-60/61' },
    body: json,
  },
  {
    name: 'in parts',
    status: 206,
    fields: type('multipart/byteranges; boundary=x'),
    body: `--x\r\ncontent-type: application/json\r\ncontent-range: bytes 0-60/61\r\n\r\n${json}\r\n--x--\r\n`,
  },
  {
    name: 'in a part',
    fields: type('multipart/mixed; boundary=x'),
    body: `--x\r\ncontent-type: text/html\r\n\r\n${json}\r\n--x--\r\n`,
  },
  { name: 'in an unknown coding', fields: { ...type('application/json'), 'content-encoding': 'secret' }, body: json },
  {
    name: 'in a coding that it is not in',
    fields: { ...type('application/json'), 'content-encoding': 'gzip' },
    body: json,
  },
  {
    name: 'in a coding twice',
    fields: { ...type('application/json'), 'content-encoding': 'gzip, gzip' },
    body: gzipSync(gzipSync(json)),
  },
  { name: 'in a coding that nobody tells of', fields: type('application/json'), body: gzipSync(json) },
  {
    name: 'in two members',
    fields: { ...type('application/json'), 'content-encoding': 'gzip' },
    body: Buffer.concat([gzipSync(json.slice(0, 30)), gzipSync(json.slice(30))]),
  },
  { name: 'in a file', fields: type('application/gzip'), body: gzipSync(json) },
  { name: 'in two types', fields: { 'content-type': ['image/png', 'application/json'] }, body: json },
  {
    name: 'byte by byte',
    fields: type('application/json'),
    body: [...Buffer.from(json)].map((byte) => Buffer.from([byte])),
  },
  {
    name: 'as an event',
    fields: type('text/event-stream'),
    body: [...`event: x\ndata: ${json.slice(0, 20)}\ndata: ${json.slice(20)}\n\n`],
  },
  { name: 'as the name of an event', fields: type('text/event-stream'), body: `id: 1\ndata:${json}\r\rdata: ${json}` },
  { name: 'as a line', fields: type('application/x-ndjson'), body: `{}\n${json}\n` },
];

/** Those that come through, with everything else in them. */
const shown = new Set([
  'as text/html',
  'as application/vnd.x+json',
  'as nothing',
  'behind blanks',
  'under an escaped name',
  'in a part',
  'byte by byte',
  'as a line',
]);

describe('a masked value', () => {
  let talker: Talker;
  let gateway: BareGateway;
  let token: string;
  beforeAll(async () => {
    talker = await startTalker();
    gateway = await startBareGateway({
      files: { 'api.key': key },
      policies,
      targets: {
        api: {
          protocol: 'http',
          address: `http://127.0.0.1:${talker.port}`,
          internal: true,
          labels: {},
          credential: { file: './api.key', as: { header: 'x-api-key' } },
          classify: { '$..address': 'pii.address' },
        },
      },
    });
    token = await gateway.tokenOf('agent');
  });
  afterAll(async () => {
    await gateway?.stop();
    await talker?.stop();
  });

  it.each(replies)('is not shown $name, nor is the credential', async ({ name, status = 200, fields = {}, body }) => {
    const path = `/as/${encodeURIComponent(name).replaceAll('%', '.')}`;
    talker.on(path, (request, response) => {
      response.writeHead(status, { ...fields, trailer: 'x-last', 'x-said': `${request.headers['x-api-key']}` });
      void writeAll(response, Array.isArray(body) ? body : [body as string]);
    });
    for (const headers of [{}, { 'accept-encoding': 'gzip', range: 'bytes=0-10' }] as Record<string, string>[]) {
      const answered = await callGateway(gateway, token, 'GET', `/api${path}`, { headers }).catch(() => undefined);
      if (answered === undefined) continue; // it broke off
      const all = [answered.bytes, ...unpacked(answered.bytes)].flatMap((bytes) => [
        bytes.toString('utf8'),
        bytes.toString('utf16le'),
      ]);
      for (const text of all) expect(text).not.toContain('seventeen');
      if (status === 200 && headers.range === undefined && shown.has(name)) expect(all.join()).toContain('Ada');
      expect(JSON.stringify(answered.headers)).not.toContain(key);
    }
  });
});

async function writeAll(response: ServerResponse, pieces: readonly (string | Buffer)[]): Promise<void> {
  for (const piece of pieces) {
    response.write(piece);
    if (pieces.length > 1) await new Promise(setImmediate);
  }
  response.addTrailers({ 'x-last': key });
  response.end();
}

/** What the bytes hold when they are unpacked, once and again. */
function unpacked(bytes: Buffer): readonly Buffer[] {
  try {
    const inner = gunzipSync(bytes);
    return [inner, ...unpacked(inner)];
  } catch {
    return [];
  }
}
