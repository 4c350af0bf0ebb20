import { existsSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuditPort } from '../gateway/ports.ts';
import { RecordingDamaged } from './damaged.ts';
import {
  diskFiles,
  openDirectory,
  openPath,
  type RecordingFiles,
  sealedDirectory,
  sealedPath,
  sessionOf,
  syncDirectory,
  writeFully,
} from './files.ts';
import { digestSize, encodeHeader, encodeSeal, type RecordingHeader } from './format.ts';
import { FrameParser } from './frame.ts';
import { Scan } from './scan.ts';

export interface RecoveryOptions {
  readonly dir: string;
  readonly audit: Pick<AuditPort, 'record'>;
  readonly files?: RecordingFiles;
  /** Sessions that the crash ended. One of which nothing had reached the disk gets an empty recording, so that no session lacks one. */
  readonly sessions?: readonly RecordingHeader[];
}

/**
 * Closes what a crash left open: keeps every intact segment, puts a torn rest aside as `<session>.torn`, seals, and records
 * `recording.sealed` with `truncated: true`. Run it before sessions open. Returns how many there were; rejects when one cannot be
 * closed or recorded (what is done by then stays done, and running it again goes on).
 */
export async function recoverRecordings(options: RecoveryOptions): Promise<number> {
  const files = options.files ?? diskFiles;
  for (const session of options.sessions ?? []) await ensureRecording(session, options.dir, files);
  let recovered = 0;
  for (const name of await names(openDirectory(options.dir), files)) {
    const session = sessionOf(name);
    if (session === undefined) continue;
    await recover(session, join(openDirectory(options.dir), name), options, files);
    recovered += 1;
  }
  return recovered;
}

/** Makes the file that the session's recording would have had next, unless there is one. */
async function ensureRecording(
  { session, principal, target, protocol, startedAt }: RecordingHeader,
  dir: string,
  files: RecordingFiles,
): Promise<void> {
  if (existsSync(sealedPath(dir, session)) || existsSync(openPath(dir, session))) return;
  await files.mkdir(openDirectory(dir), { recursive: true, mode: 0o700 });
  const handle = await files.open(openPath(dir, session), 'wx', 0o600);
  try {
    await writeFully(handle, [encodeHeader({ session, principal, target, protocol, startedAt })], 0);
  } finally {
    await handle.close();
  }
}

async function names(directory: string, files: RecordingFiles): Promise<readonly string[]> {
  try {
    return await files.readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function recover(
  session: string,
  path: string,
  { dir, audit }: RecoveryOptions,
  files: RecordingFiles,
): Promise<void> {
  const target = sealedDirectory(dir, session);
  await files.mkdir(target, { recursive: true, mode: 0o700 });
  const handle = await files.open(path, 'r+');
  let closed: Closed;
  try {
    closed = await close(session, handle, join(target, `${session}.torn`), files);
    await handle.sync();
  } finally {
    await handle.close();
  }
  const { header, ...counts } = closed;
  await audit.record({
    type: 'recording.sealed',
    session,
    ...(header === undefined ? {} : { principal: header.principal, target: header.target }),
    ...counts,
  });
  // Last, so that a crash before here repeats the event rather than losing it.
  await files.rename(path, sealedPath(dir, session));
  await syncDirectory(target, files);
}

interface Closed {
  readonly header: RecordingHeader | undefined;
  readonly segments: number;
  readonly frames: number;
  readonly bytes: number;
  readonly digest: string;
  readonly truncated: boolean;
  /** Bytes behind the last intact segment. */
  readonly discarded: number;
}

async function close(session: string, handle: FileHandle, tornPath: string, files: RecordingFiles): Promise<Closed> {
  const scan = new Scan(handle);
  const parser = new FrameParser();
  let header: RecordingHeader | undefined;
  let bytes = 0;
  try {
    header = await scan.header();
    for (let block = await scan.next(); block !== undefined; block = await scan.next()) {
      if (block.kind === 'seal') {
        const { segments, frames, truncated } = block.seal;
        return {
          header,
          segments,
          frames,
          bytes: block.seal.bytes,
          digest: scan.digest.toString('hex'),
          truncated,
          discarded: 0,
        };
      }
      for (const frame of parser.parse(block.plain, block.frames) ?? [])
        if (frame.direction === 'reply') bytes += frame.bytes.length;
    }
  } catch (error) {
    if (!(error instanceof RecordingDamaged)) throw error;
  }
  const discarded = await setAside(handle, scan.position, tornPath, files);
  let { position, digest } = scan;
  if (header === undefined) {
    const blank = encodeHeader({ session, principal: '', target: '', protocol: '', startedAt: 0 });
    position = await writeFully(handle, [blank], 0);
    digest = blank.subarray(blank.length - digestSize);
  }
  const { segments, frames } = scan;
  const seal = encodeSeal({ truncated: true, segments, frames, bytes, link: digest });
  await writeFully(handle, [seal.bytes], position);
  return { header, segments, frames, bytes, digest: seal.digest.toString('hex'), truncated: true, discarded };
}

/** Moves everything from `position` on into a file of its own. */
async function setAside(handle: FileHandle, position: number, path: string, files: RecordingFiles): Promise<number> {
  const { size } = await handle.stat();
  if (size <= position) return 0;
  const torn = await files.open(path, 'w', 0o600);
  try {
    const buffer = Buffer.allocUnsafe(65_536);
    for (let at = position; at < size; ) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) break;
      await writeFully(torn, [buffer.subarray(0, bytesRead)], at - position);
      at += bytesRead;
    }
    await torn.sync();
  } finally {
    await torn.close();
  }
  await handle.truncate(position);
  return size - position;
}
