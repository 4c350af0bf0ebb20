import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AuditLog, type AuditLogOptions, openAuditLog } from './log.ts';
import type { Permit } from './permit.ts';
import { openAuditReader } from './reader.ts';
import { openSegmentFile, type SegmentFile } from './segment.ts';

export const origin = 'gw.example/audit';

/** In memory where there is room: durability is the disk's part, and the tests' is the order of things. */
function place(): string {
  const memory = '/dev/shm';
  if (!existsSync(memory)) return tmpdir();
  const { bavail, bsize } = statfsSync(memory);
  return bavail * bsize > 1024 ** 3 ? memory : tmpdir();
}

/** Directories and logs of one test file; `clean` after each test. */
export class Scratch {
  readonly #dirs: string[] = [];
  readonly #logs: { close(): Promise<void> }[] = [];

  dir(): string {
    const dir = mkdtempSync(join(place(), 'sallyport-audit-'));
    this.#dirs.push(dir);
    return dir;
  }

  /** Small segments, so that tests are quick and rotation happens. */
  async open(dir: string, options: Partial<AuditLogOptions> = {}): Promise<AuditLog> {
    const log = await openAuditLog({ dir, origin, segmentBytes: 256 * 1024, publishMs: 20, ...options });
    this.#logs.push(log);
    return log;
  }

  keep<T extends { close(): Promise<void> }>(thing: T): T {
    this.#logs.unshift(thing);
    return thing;
  }

  async clean(): Promise<void> {
    for (const log of this.#logs.splice(0)) await log.close().catch(() => {});
    for (const dir of this.#dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
  }
}

export function intentFields(session: string, exchange: number, text = `select ${exchange}`): string {
  return `"type":"command.intent","session":"${session}","principal":"corp:bot","target":"shop","exchange":${exchange},"text":${JSON.stringify(text)}`;
}

export function outcomeFields(session: string, exchange: number): string {
  return `"type":"command.outcome","session":"${session}","principal":"corp:bot","target":"shop","exchange":${exchange},"status":"ok","rows":1,"bytes":10`;
}

export function intend(log: AuditLog, fields: string): Promise<Permit> {
  return new Promise((resolve, reject) => log.intend(fields, resolve, reject));
}

export function startSession(log: AuditLog, session: string, over: Record<string, unknown> = {}): Promise<Permit> {
  return log.openSession({
    type: 'session.started',
    session,
    principal: 'corp:bot',
    principalName: 'Bot',
    principalKind: 'agent',
    target: 'shop',
    protocol: 'postgres',
    client: { address: '127.0.0.1' },
    ...over,
  });
}

/** A session with so many commands, all concluded. */
export async function story(log: AuditLog, session: string, commands: number): Promise<void> {
  await startSession(log, session);
  for (let i = 1; i <= commands; i++) {
    await intend(log, intentFields(session, i));
    log.note(outcomeFields(session, i));
  }
  await log.record({ type: 'session.ended', session, principal: 'corp:bot', target: 'shop', reason: 'client hung up' });
}

export async function exportOf(log: AuditLog): Promise<Buffer> {
  const reader = openAuditReader(log);
  const pieces: Buffer[] = [];
  const principal = {
    id: 'corp:auditor',
    kind: 'human',
    issuer: 'corp',
    subject: 'auditor',
    name: 'Auditor',
    groups: [],
    claims: {},
  } as const;
  for await (const piece of reader.export({ principal, proof: { kind: 'oidc', id: 'x', expiresAt: 0 } }))
    pieces.push(piece);
  await reader.close();
  return Buffer.concat(pieces);
}

/** A disk that tells what is written to it, and fails when told to. */
export class SpiedDisk {
  readonly writes: { readonly path: string; readonly position: number; readonly bytes: Buffer }[] = [];
  error: Error | undefined;
  /** Writes wait while this is set (asynchronous ones only). */
  gate: Promise<void> | undefined;

  readonly openFile = (path: string): SegmentFile => {
    const file = openSegmentFile(path);
    return {
      writeSync: (bytes, position) => {
        if (this.error !== undefined) throw this.error;
        file.writeSync(bytes, position);
        this.writes.push({ path, position, bytes: Buffer.from(bytes) });
      },
      write: async (bytes, position) => {
        await this.gate;
        if (this.error !== undefined) throw this.error;
        await file.write(bytes, position);
        this.writes.push({ path, position, bytes: Buffer.from(bytes) });
      },
      close: () => file.close(),
    };
  };

  get text(): string {
    return this.writes.map(({ bytes }) => bytes.toString('latin1')).join('');
  }
}

export const fullDisk = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
