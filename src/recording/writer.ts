import type { FileHandle } from 'node:fs/promises';
import type { SessionRecording } from '../gateway/ports.ts';
import { Refusal } from '../model/errors.ts';
import type { Session } from '../model/session.ts';
import type { Buffers } from './buffers.ts';
import type { Compressor } from './compress.ts';
import {
  openDirectory,
  openPath,
  type RecordingFiles,
  sealedDirectory,
  sealedPath,
  syncDirectory,
  writeFully,
} from './files.ts';
import { digestSize, encodeHeader, encodeSeal, encodeSegmentHeader, segmentLimit, sha256 } from './format.ts';
import { type FrameKind, frameHeadSize, Reply, Request, RequestPart, Sent, writeFrameHead } from './frame.ts';
import type { Pressure } from './pressure.ts';

/** What all recordings of a recorder share. */
export interface WriterDeps {
  readonly dir: string;
  readonly files: RecordingFiles;
  readonly now: () => number;
  readonly buffers: Buffers;
  readonly compressor: Compressor;
  readonly pressure: Pressure;
  /** Most bytes of one session on their way to the disk before its source is asked to wait. */
  readonly sessionLimit: number;
  /** Content waits for a segment to fill: seal this one within about a second. */
  readonly dirty: (writer: RecordingWriter) => void;
  /** Ends every session's segment: what only waits to fill cannot drain. */
  readonly relieve: () => void;
  /** The file can no longer be written. Called once. */
  readonly failed: (session: Session, cause: Error) => void;
  /** Puts the seal into the audit log. */
  readonly sealed: (session: Session, seal: Sealed) => Promise<void>;
  /** Nothing more will happen to the file. */
  readonly closed: (session: Session) => void;
}

export interface Sealed {
  readonly segments: number;
  readonly frames: number;
  readonly bytes: number;
  /** Hex; see format.ts. Of the last whole block where the recording failed. */
  readonly digest: string;
  readonly truncated: boolean;
}

interface Segment {
  readonly plain: Buffer;
  readonly length: number;
  readonly frames: number;
  readonly shown: number;
  readonly packed: Promise<Buffer>;
}

/** Where there is no block to link to yet. */
const unlinked = Buffer.alloc(digestSize);

/**
 * Writes one session's file. Frames are copied into a buffer; a full one is compressed in the thread pool and appended, in order.
 * The file is open only while there is something to write: a session at rest holds no buffer and no descriptor. After any failure
 * everything rejects, so that the session ends: what cannot be recorded is not shown.
 */
export class RecordingWriter implements SessionRecording {
  readonly session: Session;
  readonly #deps: WriterDeps;
  #buffer: Buffer | undefined;
  #used = 0;
  #frames = 0;
  #shown = 0;
  /** Capacity that the last segment needed: a stream goes on with a large buffer, an idle session starts small. */
  #likely = 0;
  #at = 0;

  readonly #queue: Segment[] = [];
  #inFlight = 0;
  #writing: Promise<void> | undefined;
  #handle: FileHandle | undefined;
  #link: Buffer = unlinked;
  #totals = { segments: 0, frames: 0, bytes: 0, position: 0 };

  #drained: PromiseWithResolvers<void> | undefined;
  #failure: Refusal | undefined;
  #closed: Promise<void> | undefined;

  constructor(session: Session, deps: WriterDeps) {
    this.session = session;
    this.#deps = deps;
  }

  /** Bytes of whole blocks in the file so far: what a reader may rely on while the session goes on. */
  get position(): number {
    return this.#totals.position;
  }

  request(exchange: number, json: string): void {
    if (this.#failure !== undefined || this.#closed !== undefined) return; // `failed` has ended the session
    // UTF-8 takes at most three bytes for each UTF-16 unit: with room for those, the text is encoded in place.
    const most = frameHeadSize + 3 * json.length;
    if (most <= segmentLimit - this.#used) {
      const into = this.#room(most);
      this.#frame(into, exchange, Request, into.write(json, this.#used + frameHeadSize), this.#elapsed());
    } else this.#append(exchange, Request, Buffer.from(json));
    // Requests cannot be asked to wait; the replies between them can, so only a flood gets here.
    if (this.#inFlight > 32 * this.#deps.sessionLimit)
      this.#fail(new Error('requests come faster than they can be recorded'));
  }

  sent(exchange: number, bytes: Buffer): Promise<void> | undefined {
    return this.#stream(exchange, Sent, bytes);
  }

  reply(exchange: number, bytes: Buffer): Promise<void> | undefined {
    return this.#stream(exchange, Reply, bytes);
  }

  #stream(exchange: number, kind: typeof Reply | typeof Sent, bytes: Buffer): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#closed !== undefined) return Promise.reject(new Refusal('SESSION_ENDED', 'the recording is closed'));
    this.#append(exchange, kind, bytes);
    if (this.#inFlight < this.#deps.sessionLimit && !this.#deps.pressure.over) return undefined;
    return this.#wait();
  }

  close(): Promise<void> {
    this.#closed ??= this.#finish();
    return this.#closed;
  }

  /** Ends the current segment, if it holds anything. */
  seal(): void {
    const plain = this.#buffer;
    if (plain === undefined || this.#frames === 0) return;
    const length = this.#used;
    const packed = this.#deps.compressor.compress(plain.subarray(0, length));
    packed.catch(() => undefined); // handled where it is awaited, which may be later
    this.#queue.push({ plain, length, frames: this.#frames, shown: this.#shown, packed });
    this.#inFlight += length;
    this.#likely = this.#used;
    this.#buffer = undefined;
    this.#used = 0;
    this.#frames = 0;
    this.#shown = 0;
    this.#writing ??= this.#write();
  }

  /** Seals what there is and resolves when it is in the file; rejects when recording has failed. */
  async flush(): Promise<void> {
    this.seal();
    await this.#writing;
    if (this.#failure !== undefined) throw this.#failure;
  }

  #append(exchange: number, kind: typeof Request | typeof Reply | typeof Sent, bytes: Buffer): void {
    const at = this.#elapsed();
    let from = 0;
    do {
      const left = bytes.length - from;
      // A little room at the end is not worth a frame.
      if (segmentLimit - this.#used < frameHeadSize + Math.min(left, 1024)) this.seal();
      const size = Math.min(left, segmentLimit - this.#used - frameHeadSize);
      const into = this.#room(frameHeadSize + size);
      bytes.copy(into, this.#used + frameHeadSize, from, from + size);
      this.#frame(into, exchange, kind === Request && size < left ? RequestPart : kind, size, at);
      if (kind === Reply) this.#shown += size;
      from += size;
    } while (from < bytes.length);
  }

  /** A frame whose `size` bytes are in place, behind the room for its head. */
  #frame(into: Buffer, exchange: number, kind: FrameKind, size: number, at: number): void {
    writeFrameHead(into, this.#used, exchange, kind, at, size);
    this.#used += frameHeadSize + size;
    this.#frames += 1;
    this.#deps.pressure.add(frameHeadSize + size);
  }

  /** Whole ms since the session's start; never less than before, whatever the clock does. */
  #elapsed(): number {
    const elapsed = Math.floor(this.#deps.now() - this.session.startedAt);
    if (elapsed > this.#at) this.#at = elapsed;
    return this.#at;
  }

  #room(size: number): Buffer {
    if (this.#buffer === undefined) {
      this.#buffer = this.#deps.buffers.take(Math.max(size, this.#likely));
      this.#deps.dirty(this);
    } else if (this.#used + size > this.#buffer.length) {
      this.#buffer = this.#deps.buffers.take(this.#used + size, this.#buffer, this.#used);
    }
    return this.#buffer;
  }

  #wait(): Promise<void> {
    if (this.#deps.pressure.over) this.#deps.relieve();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#drained === undefined) {
      this.#drained = Promise.withResolvers<void>();
      this.#deps.pressure.wait(this.#look);
    }
    return this.#drained.promise;
  }

  readonly #look = (): void => {
    if (this.#drained === undefined || this.#inFlight >= this.#deps.sessionLimit || this.#deps.pressure.over) return;
    this.#deps.pressure.forget(this.#look);
    this.#drained.resolve();
    this.#drained = undefined;
  };

  async #write(): Promise<void> {
    try {
      do {
        for (let segment = this.#queue[0]; segment !== undefined; segment = this.#queue[0]) {
          const payload = await segment.packed;
          await this.#open();
          await this.#writeSegment(segment, payload);
          if (this.#failure !== undefined) return; // everything was given up meanwhile
          this.#queue.shift();
          this.#inFlight -= segment.length;
          this.#deps.buffers.release(segment.plain);
          this.#deps.pressure.release(segment.length);
          this.#look();
        }
        // Nothing new has come while this was written: who records little, or nothing any more, holds no descriptor.
        if (this.#buffer === undefined && this.#closed === undefined) await this.#rest();
      } while (this.#queue.length > 0);
    } catch (error) {
      this.#fail(error as Error);
    } finally {
      this.#writing = undefined;
      if (this.#failure !== undefined) this.#letGo();
    }
  }

  async #open(): Promise<void> {
    if (this.#handle !== undefined) return;
    const { dir, files } = this.#deps;
    const { id, principal, target, protocol, startedAt } = this.session;
    if (this.#totals.position > 0) {
      this.#handle = await files.open(openPath(dir, id), 'r+');
      return;
    }
    await files.mkdir(openDirectory(dir), { recursive: true, mode: 0o700 });
    this.#handle = await files.open(openPath(dir, id), 'wx', 0o600);
    const header = encodeHeader({ session: id, principal: principal.id, target, protocol, startedAt });
    this.#totals.position = await writeFully(this.#handle, [header], 0);
    this.#link = Buffer.from(header.subarray(header.length - digestSize));
  }

  async #rest(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  async #writeSegment(segment: Segment, payload: Buffer): Promise<void> {
    const head = encodeSegmentHeader({
      number: this.#totals.segments + 1,
      frames: segment.frames,
      plainLength: segment.length,
      storedLength: payload.length,
      compressed: payload.length < segment.length,
      link: this.#link,
    });
    const digest = sha256(head, payload);
    const size = await writeFully(this.#handle!, [head, payload, digest], this.#totals.position);
    this.#link = digest;
    this.#totals = {
      segments: this.#totals.segments + 1,
      frames: this.#totals.frames + segment.frames,
      bytes: this.#totals.bytes + segment.shown,
      position: this.#totals.position + size,
    };
  }

  async #finish(): Promise<void> {
    this.seal();
    await this.#writing;
    const digest = this.#failure === undefined ? await this.#attempt(() => this.#sealFile()) : undefined;
    const { position: _, ...totals } = this.#totals;
    const truncated = digest === undefined;
    try {
      await this.#deps.sealed(this.session, { ...totals, digest: (digest ?? this.#link).toString('hex'), truncated });
      // After the event: a crash in between has recovery repeat the event rather than lose it.
      if (!truncated) await this.#attempt(() => this.#putAway());
    } finally {
      this.#deps.closed(this.session);
    }
  }

  async #attempt<T>(step: () => Promise<T>): Promise<T | undefined> {
    try {
      return await step();
    } catch (error) {
      this.#fail(error as Error);
      return undefined;
    }
  }

  async #sealFile(): Promise<Buffer> {
    await this.#open();
    const { segments, frames, bytes, position } = this.#totals;
    const seal = encodeSeal({ truncated: false, segments, frames, bytes, link: this.#link });
    await writeFully(this.#handle!, [seal.bytes], position);
    await this.#handle!.sync(); // of the file: what earlier descriptors wrote is in it
    await this.#rest();
    return seal.digest;
  }

  async #putAway(): Promise<void> {
    const { dir, files } = this.#deps;
    const { id } = this.session;
    await files.mkdir(sealedDirectory(dir, id), { recursive: true, mode: 0o700 });
    await files.rename(openPath(dir, id), sealedPath(dir, id));
    await syncDirectory(sealedDirectory(dir, id), files);
  }

  /** Gives up: memory is released, everybody who waits is told, the file stays where recovery finds it. */
  #fail(cause: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = new Refusal(
      'AUDIT_UNAVAILABLE',
      'the recording cannot be written, so nothing more may be shown; the session ends',
    );
    const unwritten = this.#queue.reduce((sum, segment) => sum + segment.length, this.#used);
    this.#queue.length = 0;
    this.#inFlight = 0;
    this.#buffer = undefined;
    this.#used = 0;
    this.#frames = 0;
    this.#shown = 0;
    this.#deps.pressure.forget(this.#look);
    this.#deps.pressure.release(unwritten);
    this.#drained?.reject(this.#failure);
    this.#drained = undefined;
    if (this.#writing === undefined) this.#letGo();
    this.#deps.failed(this.session, cause);
  }

  /** After a failure. That has been told; closing can add nothing to it. */
  #letGo(): void {
    this.#rest().catch(() => undefined);
  }
}
