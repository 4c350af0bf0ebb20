import { describe, expect, it } from 'vitest';
import { mayConnect, type Reach, reachOf, readHost } from './addresses.ts';

describe('where an address leads', () => {
  const cases: readonly (readonly [Reach, ...string[]])[] = [
    ['public', '1.1.1.1', '8.8.8.8', '93.184.216.34', '172.15.255.255', '172.32.0.0', '100.63.255.255', '100.128.0.0'],
    ['public', '169.253.255.255', '169.255.0.0', '11.0.0.0', '192.167.255.255', '192.169.0.0', '223.255.255.255'],
    ['public', '2606:4700:4700::1111', '2a00:1450:4001::1', '2001:4860:4860::8888', '3fff:ffff::1'],
    ['public', '::ffff:8.8.8.8', '::ffff:808:808', '0:0:0:0:0:ffff:808:808', '64:ff9b::8.8.8.8', '2002:808:808::1'],
    ['loopback', '127.0.0.1', '127.255.255.255', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', '::ffff:7f00:1'],
    [
      'internal',
      '10.0.0.1',
      '10.255.255.255',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.0.1',
      '100.64.0.1',
      '198.18.0.1',
    ],
    ['internal', 'fc00::1', 'fd12:3456::1', 'fdff:ffff::1', '::ffff:10.0.0.1', '::ffff:a00:1', '::FFFF:C0A8:0001'],
    // Metadata services, and what is link-local.
    ['never', '169.254.169.254', '169.254.0.1', '169.254.170.2', '169.254.170.23', 'fe80::1', 'febf::1', 'fec0::1'],
    ['never', 'fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254', '100.100.100.200', '168.63.129.16', '192.0.0.192'],
    // Unspecified, multicast, broadcast, reserved.
    ['never', '0.0.0.0', '0.1.2.3', '::', '224.0.0.1', '239.255.255.255', 'ff02::1', '255.255.255.255', '240.0.0.1'],
    ['never', '100::1', '4000::1', '5f00::1', 'e000::1', '0100:0:0:0::1'],
    // The same in other clothes.
    ['never', '::ffff:169.254.169.254', '::ffff:a9fe:a9fe', '::ffff:0.0.0.0', '::ffff:255.255.255.255'],
    [
      'never',
      '64:ff9b::169.254.169.254',
      '64:ff9b::a9fe:a9fe',
      '64:ff9b::10.0.0.1',
      '64:ff9b::7f00:1',
      '64:ff9b:1::808:808',
    ],
    [
      'never',
      '2002:a9fe:a9fe::1',
      '2002:7f00:1::',
      '2002:a00:1::',
      '2001:0:1:2:3:4:5:6',
      '::169.254.169.254',
      '::8.8.8.8',
    ],
    ['never', '::ffff:0:8.8.8.8', '2606:4700::5efe:169.254.169.254', '2606:4700::200:5efe:10.0.0.1'],
    // No numeric address in the one spelling that everybody reads alike.
    [
      'never',
      '',
      'localhost',
      '127.1',
      '2130706433',
      '0x7f000001',
      '0177.0.0.1',
      '127.0.0.01',
      '1.2.3.4.5',
      '256.1.1.1',
    ],
    ['never', 'fe80::1%eth0', '2606:4700::1%1', '[::1]', ':::', '1.2.3.4 ', '1.2.3.4\n', '::ffff:1.2.3', '١٢٧.0.0.1'],
  ];
  it.each(cases.flatMap(([reach, ...list]) => list.map((address) => [address, reach] as const)))(
    '%j is %s',
    (address, reach) => {
      expect(reachOf(address)).toBe(reach);
    },
  );
});

describe('a host in the configuration', () => {
  it.each([
    ['127.0.0.1', { kind: 'address', address: '127.0.0.1', reach: 'loopback' }],
    ['10.1.2.3', { kind: 'address', address: '10.1.2.3', reach: 'internal' }],
    ['[::1]', { kind: 'address', address: '::1', reach: 'loopback' }],
    ['fd00::5', { kind: 'address', address: 'fd00::5', reach: 'internal' }],
    ['API.Example.COM', { kind: 'name', name: 'api.example.com' }],
    ['api.example.com.', { kind: 'name', name: 'api.example.com' }],
    ['localhost', { kind: 'name', name: 'localhost' }],
    ['my_service', { kind: 'name', name: 'my_service' }],
    ['1password.example', { kind: 'name', name: '1password.example' }],
  ] as const)('can be %s', (text, host) => {
    expect(readHost(text)).toEqual(host);
  });

  it.each([
    ...[
      '',
      ' ',
      'a b',
      'a..b',
      '.a',
      'a/b',
      'a:80',
      'user@a',
      'a#b',
      'a%62',
      'a\0b',
      'ä.example',
      `${'a'.repeat(64)}.b`,
    ],
    ...[
      '127.1',
      '127.0.1',
      '2130706433',
      '0x7f000001',
      '0x7f.1',
      '0177.0.0.1',
      '1.2.3',
      '1.2.3.4.5',
      '256.0.0.1',
      '127.0.0.01',
    ],
    ...['a.1', 'a.0x1', 'a.0x', '0', '1.2.3.4.', '[127.0.0.1]', '[::1', '::1]', '[fe80::1%eth0]', 'fe80::1%eth0'],
    ...['metadata.google.internal', 'METADATA.google.internal.', 'metadata', 'instance-data'],
  ])('cannot be %j', (text) => {
    expect(readHost(text)).toBeUndefined();
  });
});

describe('a connection', () => {
  const may = (host: string, address: string, internal = false) => mayConnect(readHost(host)!, address, internal);

  it('may always go to a public address', () => {
    expect(may('api.example.com', '93.184.216.34')).toBe(true);
    expect(may('api.example.com', '2606:4700::1')).toBe(true);
  });

  it.each(['127.0.0.1', '::1', '10.0.0.1', '192.168.1.1', 'fd00::1', '::ffff:10.0.0.1', '100.64.0.1'])(
    'of a public name may go to %s only with the operator’s word',
    (address) => {
      expect(may('api.example.com', address)).toBe(false);
      expect(may('api.example.com', address, true)).toBe(true);
    },
  );

  it.each([
    '169.254.169.254',
    'fe80::1',
    '0.0.0.0',
    '100.100.100.200',
    'fd00:ec2::254',
    '224.0.0.1',
    '::ffff:169.254.169.254',
  ])('may never go to %s', (address) => {
    for (const host of ['api.example.com', 'localhost', '10.0.0.1']) {
      expect(may(host, address)).toBe(false);
      expect(may(host, address, true)).toBe(false);
    }
    expect(mayConnect({ kind: 'address', address, reach: reachOf(address) }, address, true)).toBe(false);
  });

  it('may go to an inner address that is written as one, and to that one only', () => {
    expect(may('10.0.0.1', '10.0.0.1')).toBe(true);
    expect(may('127.0.0.1', '127.0.0.1')).toBe(true);
    expect(may('[fd00::1]', 'fd00::1')).toBe(true);
    expect(may('10.0.0.1', '10.0.0.2')).toBe(false);
    expect(may('10.0.0.1', '127.0.0.1')).toBe(false);
  });

  it('of localhost stays on this machine', () => {
    expect(may('localhost', '127.0.0.1')).toBe(true);
    expect(may('localhost', '::1')).toBe(true);
    expect(may('localhost', '10.0.0.1')).toBe(false);
    expect(may('localhost.', '127.0.0.1')).toBe(true);
    expect(may('localhost.evil.test', '127.0.0.1')).toBe(false);
  });
});
