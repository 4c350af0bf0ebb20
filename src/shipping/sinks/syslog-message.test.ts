import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { recordOf } from '../record.ts';
import { eventOf, log } from '../testing.fixture.ts';
import { octetCounted, syslogMessage } from './syslog-message.ts';

const options = { facility: 13, hostname: 'gw1', structuredData: 'sallyport@32473' };
const messageOf = (over: Parameters<typeof eventOf>[1], own = options): string =>
  syslogMessage(
    recordOf(eventOf(42, over), 'native', { log, after: 41 }, { recordBytes: 1e6, ascii: true }),
    own,
  ).toString('utf8');

/** A strict reader of RFC 5424, 6: header, one element with its parameters, message. */
function parse(message: string) {
  const head = /^<(\d{1,3})>1 (\S+) (\S+) (\S+) (\S+) (\S+) \[([^\s=\]"]+)/.exec(message);
  if (head === null) throw new Error('no header');
  let at = head[0].length;
  const parameters: Record<string, string> = {};
  while (message[at] === ' ') {
    const parameter = /^ ([^\s=\]"]{1,32})="((?:[^"\\\]]|\\["\\\]])*)"/.exec(message.slice(at));
    if (parameter === null) throw new Error(`no parameter at ${message.slice(at, at + 20)}`);
    parameters[parameter[1]!] = parameter[2]!.replaceAll(/\\(["\\\]])/g, '$1');
    at += parameter[0].length;
  }
  if (message.slice(at, at + 2) !== '] ') throw new Error('the element has no end');
  const [, priority, time, host, app, , id, element] = head;
  return { priority: Number(priority), time, host, app, id, element, parameters, body: message.slice(at + 2) };
}

describe('a syslog message', () => {
  it('is RFC 5424, with the record as its text', () => {
    const found = parse(messageOf({ type: 'command.denied', verb: 'DELETE' }));
    expect(found).toMatchObject({
      priority: 13 * 8 + 4,
      time: '2026-11-20T12:00:42.000Z',
      host: 'gw1',
      app: 'sallyport',
      id: 'command.denied',
      element: 'sallyport@32473',
      parameters: {
        log,
        seq: '42',
        after: '41',
        type: 'command.denied',
        session: 's42',
        principal: 'corp:bot',
        target: 'shop',
      },
    });
    expect(JSON.parse(found.body)).toMatchObject({ seq: 42, verb: 'DELETE' });
  });

  it('cannot be broken out of, whatever an event holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), fc.string(), (principal, target, text) => {
        const hostile = `${text}"] \\]"\n<13>1 - - - - - - forged`;
        const message = messageOf({ principal: principal + hostile, target, text: hostile });
        expect(message).not.toMatch(/[\n\r\0]/);
        const found = parse(message);
        expect(found.parameters.seq).toBe('42');
        expect(found.body).toMatch(/^[\x20-\x7e]*$/);
        expect((JSON.parse(found.body) as { text: string }).text).toBe(hostile);
      }),
    );
  });

  it('has a header of printable ASCII, whatever the machine is called', () => {
    expect(parse(messageOf({}, { ...options, hostname: 'gä te\nway' })).host).toBe('g__te_way');
    expect(parse(messageOf({}, { ...options, hostname: '' })).host).toBe('-');
  });

  it('is counted in octets, not in characters', () => {
    const message = Buffer.from('é\n');
    expect(octetCounted([message, message]).toString()).toBe('3 é\n3 é\n');
  });
});
