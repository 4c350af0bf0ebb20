import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { find } from '../../scripts/debian.mjs';
import { type AuditLog, openAuditLog } from '../../src/audit/log.ts';
import { openAuditReader } from '../../src/audit/reader.ts';
import { sinkSchema } from '../../src/shipping/config.ts';
import { openShipping, type Shipping } from '../../src/shipping/shipping.ts';
import { log, Scratch, until } from '../../src/shipping/testing.fixture.ts';
import { testAuthority } from '../support/certificates.ts';

const scratch = new Scratch();
afterEach(() => scratch.clean());

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** A real rsyslogd that takes syslog over TLS (its GnuTLS driver) and writes what it understood, a line each. */
class Rsyslog {
  readonly port: number;
  readonly #dir: string;
  #child: ChildProcess | undefined;

  constructor(dir: string, port: number) {
    this.#dir = dir;
    this.port = port;
  }

  async start(): Promise<void> {
    const at = (name: string): string => join(this.#dir, name);
    const conf = `
      global(workDirectory="${this.#dir}" maxMessageSize="64k" DefaultNetstreamDriverCAFile="${at('ca.pem')}"
        DefaultNetstreamDriverCertFile="${at('cert.pem')}" DefaultNetstreamDriverKeyFile="${at('key.pem')}")
      main_queue(queue.type="direct")
      module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
      input(type="imtcp" address="127.0.0.1" port="${this.port}")
      template(name="understood" type="string" string="%pri% %hostname% %app-name% %msgid% %structured-data%%msg%\\n")
      action(type="omfile" file="${at('out')}" template="understood")`;
    writeFileSync(at('rsyslog.conf'), conf);
    this.#child = spawn(find('rsyslogd')!, ['-n', '-f', at('rsyslog.conf'), '-i', at('pid')], { stdio: 'ignore' });
    for (;;) {
      const socket = connect(this.port, '127.0.0.1');
      const [up] = await Promise.race([
        once(socket, 'connect').then(() => [true]),
        new Promise<[boolean]>((resolve) => socket.once('error', () => resolve([false]))),
      ]);
      socket.destroy();
      if (up === true) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  close(): Promise<void> {
    return this.kill();
  }

  /** Ours only: rsyslog has things to say too. */
  get understood(): readonly string[] {
    const file = join(this.#dir, 'out');
    if (!existsSync(file)) return [];
    const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
    return lines.filter((line) => line.includes(' sallyport '));
  }

  get seqs(): readonly number[] {
    return this.understood.map((line) => Number(/ seq="(\d+)"/.exec(line)?.[1]));
  }
}

async function world(): Promise<{ rsyslog: Rsyslog; audit: AuditLog; shipping: Shipping; head: () => number }> {
  const dir = scratch.dir();
  const authority = await testAuthority();
  const { certificate, key } = await authority.server('localhost');
  const rsyslog = scratch.keep(new Rsyslog(join(dir, 'rsyslog'), await freePort()));
  mkdirSync(join(dir, 'rsyslog'));
  writeFileSync(join(dir, 'rsyslog', 'ca.pem'), authority.certificate);
  writeFileSync(join(dir, 'rsyslog', 'cert.pem'), certificate);
  writeFileSync(join(dir, 'rsyslog', 'key.pem'), key);
  await rsyslog.start();
  const audit = await openAuditLog({ dir: join(dir, 'log'), origin: log, publishMs: 20 });
  let head = 0;
  const shipping = await openShipping({
    sinks: [
      sinkSchema.parse({
        name: 'siem',
        kind: 'syslog',
        address: `localhost:${rsyslog.port}`,
        tls: { ca: join(dir, 'rsyslog', 'ca.pem') },
        timeout: '1s',
      }),
    ],
    dir: join(dir, 'shipping'),
    log,
    reader: openAuditReader(audit),
    record: async (event) => {
      head = await audit.record(event);
    },
    secretOf: async () => undefined,
    warn: () => undefined,
    pollMs: 20,
    hostname: 'gw1',
    backoff: { firstMs: 20, mostMs: 100 },
  });
  scratch.keep({
    async close() {
      await rsyslog.kill();
      await shipping.close();
      await audit.close();
    },
  });
  return { rsyslog, audit, shipping, head: () => head };
}

const denied = (n: number) =>
  ({
    type: 'command.denied',
    session: `s${n}`,
    principal: 'corp:"bot"]\\ü',
    exchange: n,
    text: `drop table "t${n}" -- é\n漢`,
  }) as const;

describe('rsyslog over TLS', () => {
  it('understands every field, and has everything in order, once', async () => {
    const { rsyslog, audit, shipping } = await world();
    let last = 0;
    for (let n = 1; n <= 300; n++) last = await audit.record(denied(n));
    await until(() => shipping.metrics()[0]!.seq === last);
    expect(rsyslog.seqs).toEqual(Array.from({ length: last }, (_, i) => i + 1));
    const line = rsyslog.understood.find((one) => one.includes(' seq="42" '))!;
    const [, pri, host, app, id, element, json] = /^(\S+) (\S+) (\S+) (\S+) (\[.*?[^\\]\]) ?(\{.*\})$/.exec(line)!;
    expect([pri, host, app, id]).toEqual(['108', 'gw1', 'sallyport', 'command.denied']);
    expect(element).toContain('principal="corp:\\"bot\\"\\]\\\\ü"');
    expect(JSON.parse(json!)).toMatchObject({ seq: 42, ...denied(Number(/"exchange":(\d+)/.exec(json!)![1])) });
  });

  it('may be killed, be down for a while, or hang: nothing is lost, and the log never waits', async () => {
    const { rsyslog, audit, shipping } = await world();
    let n = 0;
    let last = 0;
    const write = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) last = await audit.record(denied(++n));
    };
    await write(200);
    await until(() => shipping.metrics()[0]!.seq >= 100);
    await write(200);
    await rsyslog.kill();
    await write(200);
    await until(() => shipping.metrics()[0]!.state === 'failing');
    expect(shipping.metrics()[0]).toMatchObject({ reason: 'ECONNREFUSED' });
    expect(shipping.metrics()[0]!.lagEvents).toBeGreaterThan(0);
    await rsyslog.start();
    await until(() => shipping.metrics()[0]!.seq === last);
    rsyslog.signal('SIGSTOP');
    const failures = shipping.metrics()[0]!.failures;
    await write(200);
    await until(() => shipping.metrics()[0]!.failures > failures);
    expect(shipping.metrics()[0]!.seq).toBeLessThan(last);
    rsyslog.signal('SIGCONT');
    await until(() => shipping.metrics()[0]!.seq === last);
    await until(() => rsyslog.seqs.includes(last));
    const first = [...new Set(rsyslog.seqs)];
    expect(first).toEqual(Array.from({ length: last }, (_, i) => i + 1));
  });
});
