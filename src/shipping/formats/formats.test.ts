import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eventTypes, type RecordedEvent } from '../../model/event.ts';
import { formatters, recordFormats, recordId } from './formats.ts';

const testdata = fileURLToPath(new URL('../testdata/', import.meta.url));
const events = readFileSync(join(testdata, 'events.jsonl'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as RecordedEvent);
const log = 'gw.example/audit';
const place = (event: RecordedEvent) => ({ log, after: event.seq - 1 });

describe('every format', () => {
  it('has an example of every type of event, and of one that is not known yet', () => {
    const types = new Set<string>(events.map(({ type }) => type));
    expect([...types].sort()).toEqual([...eventTypes, 'something.new'].sort());
  });

  it.each(recordFormats)('%s is as written down', async (format) => {
    const records = events.map((event) => JSON.stringify(formatters[format](event, place(event))));
    await expect(`${records.join('\n')}\n`).toMatchFileSnapshot(join(testdata, `${format}.jsonl`));
  });

  it('leaves the event as it is, and loses nothing of it', () => {
    for (const event of events) {
      const before = JSON.stringify(event);
      const native = formatters.native(event, place(event));
      const { sallyport, ...rest } = native;
      expect(JSON.stringify(rest)).toBe(before);
      expect(sallyport).toMatchObject({ id: recordId(event, log), log, after: event.seq - 1 });
      const { seq, time, type, ...others } = event;
      const ocsf = formatters.ocsf(event, place(event)) as { unmapped: object; metadata: Record<string, unknown> };
      expect(ocsf.unmapped).toEqual({ ...others, sallyport: { after: seq - 1 } });
      expect(ocsf.metadata).toMatchObject({ sequence: seq, original_time: time, event_code: type });
      const ecs = formatters.ecs(event, place(event)) as { event: { original: string } };
      expect(ecs.event.original).toBe(before);
      expect(JSON.stringify(event)).toBe(before);
    }
  });

  it('takes whatever an event holds, in whichever shape', () => {
    const anyEvent = fc.record(
      {
        seq: fc.nat(),
        time: fc.constant('2026-11-20T12:00:00.000Z'),
        type: fc.constantFrom(...eventTypes),
        ...Object.fromEntries(
          ['principal', 'principalKind', 'groups', 'client', 'proof', 'peer', 'actions', 'resources', 'rules', 'reason', 'answer', 'session', 'target', 'status']
            .map((field) => [field, fc.jsonValue()]), // biome-ignore format: as above
        ),
      },
      { requiredKeys: ['seq', 'time', 'type'] },
    );
    fc.assert(
      fc.property(anyEvent, fc.constantFrom(...recordFormats), (event, format) => {
        const given = event as unknown as RecordedEvent;
        const one = JSON.stringify(formatters[format](given, { log }));
        expect(JSON.stringify(formatters[format](given, { log }))).toBe(one);
        expect(JSON.parse(one)).toBeTypeOf('object');
      }),
    );
  });
});

/** Activities of the classes that are used, as OCSF 1.8 numbers them. */
const ocsfActivities: Readonly<Record<number, Readonly<Record<number, string>>>> = {
  0: {},
  1008: { 1: 'Clear', 2: 'Delete', 3: 'Export', 4: 'Archive', 5: 'Rotate', 6: 'Start', 7: 'Stop', 8: 'Restart' },
  3002: { 1: 'Logon', 2: 'Logoff' },
  3004: { 1: 'Create', 2: 'Read', 3: 'Update', 4: 'Delete', 10: 'Activate', 11: 'Deactivate' },
  6002: { 3: 'Start', 4: 'Stop', 5: 'Restart' },
  6003: { 1: 'Create', 2: 'Read', 3: 'Update', 4: 'Delete' },
};

/** What each class requires, besides what all do. */
const ocsfRequired: Readonly<Record<number, readonly string[]>> = {
  0: [],
  1008: ['device', 'log_name'],
  3002: ['user'],
  3004: ['entity'],
  6002: ['app'],
  6003: ['actor', 'api', 'src_endpoint'],
};

describe('OCSF', () => {
  it('has the numbers and the attributes that its classes ask for', () => {
    for (const event of events) {
      const record = formatters.ocsf(event, { log });
      const { class_uid, activity_id } = record as unknown as { class_uid: number; activity_id: number };
      expect(record.type_uid).toBe(class_uid * 100 + activity_id);
      expect(record.category_uid).toBe(Math.floor(class_uid / 1000));
      if (activity_id !== 99) expect(record.activity_name).toBe(ocsfActivities[class_uid]![activity_id]);
      const all = ['time', 'severity_id', 'status_id', 'metadata', 'type_uid', 'activity_id', 'category_uid'];
      for (const name of [...all, ...ocsfRequired[class_uid]!]) expect(record, event.type).toHaveProperty(name);
      expect(record.time).toBe(Date.parse(event.time));
      expect(record.metadata).toMatchObject({ version: '1.8.0', product: { vendor_name: 'Sallyport' } });
      expect('action_id' in record).toBe('profiles' in (record.metadata as object));
    }
  });

  it('has a class of its own for every type that there is', () => {
    for (const event of events)
      expect(formatters.ocsf(event, { log }).class_uid !== 0, event.type).toBe(
        event.type !== ('something.new' as never),
      );
  });
});

/** Values that ECS 8.17 allows. */
const ecsCategories = ['api', 'authentication', 'configuration', 'database', 'driver', 'email', 'file', 'host', 'iam', 'intrusion_detection', 'library', 'malware', 'network', 'package', 'process', 'registry', 'session', 'threat', 'vulnerability', 'web']; // biome-ignore format: a list
const ecsTypes = ['access', 'admin', 'allowed', 'change', 'connection', 'creation', 'deletion', 'denied', 'device', 'end', 'error', 'group', 'indicator', 'info', 'installation', 'protocol', 'start', 'user']; // biome-ignore format: a list

describe('ECS', () => {
  it('has values of its lists only', () => {
    for (const event of events) {
      const record = formatters.ecs(event, { log }) as { event: Record<string, unknown> };
      for (const one of record.event.category as string[]) expect(ecsCategories).toContain(one);
      for (const one of record.event.type as string[]) expect(ecsTypes).toContain(one);
      expect(['success', 'failure', 'unknown']).toContain(record.event.outcome);
      expect(formatters.ecs(event, { log })['@timestamp']).toBe(event.time);
    }
  });

  it('gives an address only where it is one: an index refuses others', () => {
    const ipOf = (address: string) =>
      formatters.ecs({ ...events[5]!, peer: address }, { log }) as { source?: { ip?: string; address: string } };
    expect(ipOf('192.0.2.7').source).toEqual({ address: '192.0.2.7', ip: '192.0.2.7' });
    expect(ipOf('2001:db8::7').source?.ip).toBe('2001:db8::7');
    for (const other of ['unix', 'a:socket', 'host:80', '/run/x'])
      expect(ipOf(other).source).toEqual({ address: other });
  });
});
