import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { ZodType } from 'zod';
import type { Permit } from '../audit/permit.ts';
import type { ApprovalRequest } from '../model/approval.ts';
import type { Classified, Command } from '../model/command.ts';
import type { Decision, MaskMethod, Obligations } from '../model/decision.ts';
import type { Refusal } from '../model/errors.ts';
import type { MaskedField, Outcome } from '../model/event.ts';
import type { Session } from '../model/session.ts';
import type { Target, TargetCredential } from '../model/target.ts';

/** The seam. A protocol is one folder that exports one of these, and one line in protocols/index.ts. */
export interface Protocol<Settings = unknown> {
  /** As in the configuration's `protocol:` key. */
  readonly name: string;
  /** The key of `listen:` whose connections it serves; protocols with the same one share the listener, and whose `serve` runs is the same. Its name where absent. */
  readonly listens?: string;
  /** The protocol's own keys of a target's section. */
  readonly settings: ZodType<Settings>;
  /** Serves one accepted connection until it ends. Peers' mistakes are answered and logged; it rejects only for our own bugs. */
  serve(connection: Connection, gateway: Gateway): Promise<void>;
  /** Looks at a target once, before or while serving: is it reachable, do the classified fields exist, what should an operator know? */
  inspect(target: Target<Settings>, gateway: Gateway): Promise<Inspection>;
  /** What a command's text would count as, for `policy explain`. Nothing is sent. Throws Refusal UNPARSABLE. */
  classify(target: Target<Settings>, text: string, gateway: Gateway): Promise<Classified>;
  /**
   * Looks at names and at a sample of values for what should be classified, in a session of the gateway's own. What it answers
   * holds no value. Absent where a protocol has no way to. Throws Refusal UPSTREAM_UNAVAILABLE.
   */
  propose?(target: Target<Settings>, gateway: Gateway, recognise: Recognise): Promise<Proposal>;
  /** Turns what was recorded into what a person can page through. */
  replay(frames: AsyncIterable<RecordedFrame>): AsyncIterable<ReplayItem>;
}

export interface Connection {
  readonly socket: Socket;
  readonly tls: SecureContext;
  /** Plaintext is refused unless the configuration allows it, and then only from loopback. */
  readonly plaintext: boolean;
  /** Fires when the gateway takes nothing new any more: what is under way may still end. */
  readonly closing: AbortSignal;
}

export interface Inspection {
  readonly reachable: boolean;
  /** How sure masking is: what the protocol's guide calls the mode. */
  readonly mode: string;
  readonly warnings: readonly string[];
}

/** What the content detectors find in a text, once for each kind; `whole` where there is nothing else in it. Keeps nothing of it. */
export type Recognise = (text: string) => readonly { readonly classification: string; readonly whole: boolean }[];

/** What could be classified at a target. Names are the target's own, and anybody's; nothing else in it is. */
export interface Proposal {
  /** Surest first. */
  readonly entries: readonly ProposedEntry[];
  /** Classified fields that are not there, copies, and what was not looked at; one sentence each. */
  readonly warnings: readonly string[];
  readonly looked: {
    /** Fields that could be classified, and those among them that are. */
    readonly fields: number;
    readonly classified: number;
    /** Fields of which values were looked at. */
    readonly sampled: number;
  };
}

/** One entry for a target's `classify`. */
export interface ProposedEntry {
  /** As `classify` takes it. */
  readonly field: string;
  readonly classification: string;
  /** 0 to 1. */
  readonly confidence: number;
  /** Counts and what kind of thing was found, never a value. */
  readonly reasons: readonly string[];
}

/** What the gateway offers a protocol. */
export interface Gateway {
  /**
   * Verifies the caller's credential, asks policy about `connect`, and opens a session durably.
   * Throws Refusal (LOGIN_FAILED, TARGET_UNKNOWN, CONNECT_DENIED, AUDIT_UNAVAILABLE), each already recorded.
   */
  login(protocol: string, target: string, credential: string, client: Session['client']): Promise<Line>;
  /** The configured targets of a protocol. */
  targets(protocol: string): readonly Target[];
  /** A session of the gateway itself with a target: to look at its catalog, where nothing else is said. */
  housekeeping(target: Target, purpose?: HousekeepingPurpose): Promise<Housekeeping>;
  /** The target's credential, fetched anew. */
  credential(target: Target): Promise<TargetCredential>;
  /** A folder of the gateway's own for what a protocol has to keep of a target; made when it is first asked for. */
  folder(target: Target): string;
  /** Warnings for the operator. Never a secret, never a value from a reply. */
  log(level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, string | number>): void;
  readonly limits: Limits;
}

export type HousekeepingPurpose = 'catalog' | 'sample';

/** A session of the gateway's own. */
export interface Housekeeping {
  readonly permit: Permit;
  /** Fires when the gateway stops: close what was opened with the permit. */
  readonly signal: AbortSignal;
  /** Ends the session in the log. Once nothing is sent with the permit any more; further calls do nothing. */
  end(reason: string): void;
}

export interface Limits {
  /** From accepting a connection to the end of login, ms. */
  readonly loginMs: number;
  /** The longest a session may last, ms. */
  readonly sessionMs: number;
  /** How long a session outlives its last command where commands come on connections of their own, ms. */
  readonly restMs: number;
  /** Largest command text, bytes. */
  readonly commandBytes: number;
}

/** One session's way to the core: what `runExchange` runs on. */
export interface Line {
  readonly session: Session;
  readonly target: Target;
  /** For the session's housekeeping upstream, never for a command. */
  readonly permit: Permit;
  /** Fires when the session must end now: revoked, terminated, gateway stopping, recording or audit failed. Its reason is a Refusal. */
  readonly signal: AbortSignal;
  /** When the caller's proof of who it is runs out, ms since the epoch. */
  readonly expiresAt: number;
  /** What policy would say to a command, without grants. Nothing is recorded, held or sent. */
  decide(command: Classified): Decision;
  /**
   * Takes one command down the line. Returns undefined when it went on in order (its `forward` or `refuse` follows when the
   * intent is durable, in the order of the calls), or a promise while it is held. A protocol whose commands depend on those
   * before them runs no further one before it resolves; others may run beside it.
   */
  run<Frames>(exchange: Exchange<Frames>): Promise<void> | undefined;
  /** A request for approval that this session's principal has made, as it stands now; undefined for anybody else's. */
  approval(id: string): Promise<ApprovalRequest | undefined>;
  /** Records bytes that the client sees and that belong to no command's reply: news from the target, errors outside commands. */
  shown(bytes: Buffer): void;
  /** Ends the session in the log and seals its recording. */
  close(reason: string): Promise<void>;
}

/** One command as a protocol brings it, with the protocol's half of each step. The core calls these; see exchange.ts. */
export interface Exchange<Frames> {
  readonly command: Command;
  /** Only has the target analyse the command, runs nothing: a rule that would hold it lets it pass, a rule that denies it denies. */
  readonly prepareOnly?: boolean;
  /** False while the target holds something for this caller that waiting would block others with (locks of an open transaction). */
  readonly mayWait: boolean;
  /** Fires when the caller takes the command back while it waits (a cancel request). */
  readonly cancelled?: AbortSignal;
  /** Set where the command is not understood or not available: it is refused with this and recorded, whatever policy says. */
  readonly refusal?: Refusal | undefined;
  /**
   * Whether every reply to this command can be masked as decided; if not, why, and what would work. Asked before anything is held or
   * sent, and again with what was decided after an approval. A promise where the target has to be asked first; it does not reject.
   */
  maskable(obligations: Obligations): Refusal | undefined | Promise<Refusal | undefined>;
  /** What is sent in place of the command's text, so that it can be masked, and what proves that it can. Known when `maskable` said so. */
  instead?(): Instead | undefined;
  /** The request as it goes into the recording: JSON text. */
  describe(): string;
  /** Sends the command upstream. What comes back goes to `reply` in order, in batches. Called at most once. */
  forward(permit: Permit, reply: Reply<Frames>): void;
  /** Returns the bytes the client may see. Throws Refusal MASK_IMPOSSIBLE when it cannot tell: the reply is then withheld. */
  mask(frames: Frames, masks: Masks): Buffer;
  /** What of the shown bytes goes into the recording: all of them where absent. May be less (a pack is recorded by its digest), and empty. */
  recorded?(shown: Buffer): Buffer;
  /** Sends bytes to the client. Returns a promise while the client is slower than we are. */
  respond(bytes: Buffer): Promise<void> | undefined;
  /** Answers with a refusal; the connection stays usable. `permit` is for telling the target that the command failed, where a protocol needs that. */
  refuse(refusal: Refusal, permit: Permit): void;
  /** The rest of a reply that has begun must not be shown; the client sees the refusal in its place. */
  withhold(refusal: Refusal): void;
  /** Tells the caller at once, in the protocol's own way, that a person has to decide. */
  pending(request: ApprovalRequest, link: string): void;
}

export interface Instead {
  readonly text: string;
  /** JSON text. */
  readonly certificate: string;
}

/** Where a protocol puts what the target answers to one command. */
export interface Reply<Frames> {
  /** Masks, records, responds. Returns a promise while somebody downstream is slower: pause the source until it resolves. */
  frames(frames: Frames, rows: number): Promise<void> | undefined;
  /**
   * Records what the caller sends after the command itself and the target gets: parts of a body, COPY data, messages.
   * Returns a promise while the recording is slower: take nothing more from the caller until it resolves.
   */
  sent(bytes: Buffer): Promise<void> | undefined;
  /** The reply is complete. Exactly once. */
  end(outcome: Pick<Outcome, 'status' | 'errorCode' | 'detail'>): void;
}

/** Where the values are in framed bytes: pairs of start and end offsets, ascending. Asked only when something looks suspicious. */
export type ValuesOf = (bytes: Buffer) => ArrayLike<number>;

/** Masks of one exchange, with its ledger of what was masked. */
export interface Masks {
  method(classification: string): MaskMethod;
  /** The mask of one text value; null means the null value. Constant for `null` and `redact`. */
  text(classification: string, original: string): string | null;
  /**
   * Notes `count` masked values of a field; `originals` are their bytes, each preceded by its length (u32, big endian).
   * The bytes go into a keyed digest at once and are not kept.
   */
  masked(field: string, classification: string, count: number, originals: Buffer): void;
  /**
   * Overwrites what the content detectors find in `bytes`, in place and without changing a length. Returns how many.
   * Framed bytes need `values`, or a match could run into a length beside it; without, `bytes` is one value, and something found
   * in bytes that hold NULs throws Refusal MASK_IMPOSSIBLE.
   */
  scrub(bytes: Buffer, values?: ValuesOf): number;
}

/** One frame of a recording, as written. */
export interface RecordedFrame {
  readonly exchange: number;
  /** ms since the session's start. */
  readonly at: number;
  /** `request` is what `describe` said, as JSON; `sent` what followed it from the caller; `reply` what the caller was shown. */
  readonly direction: 'request' | 'sent' | 'reply';
  readonly bytes: Buffer;
}

/** How a recording ends: the session goes on, it was sealed with the session, or it was closed after a crash and lacks what came then. */
export type RecordingEnd = 'live' | 'sealed' | 'truncated';

/** What `sessions replay` shows, a screenful at a time. */
export type ReplayItem =
  | {
      readonly kind: 'command';
      readonly exchange: number;
      readonly at: number;
      readonly text: string;
      readonly parameters?: readonly (string | null)[];
    }
  | { readonly kind: 'columns'; readonly exchange: number; readonly names: readonly string[] }
  | { readonly kind: 'row'; readonly exchange: number; readonly values: readonly (string | null)[] }
  | { readonly kind: 'status'; readonly exchange: number; readonly at: number; readonly text: string };

export type { MaskedField, Permit };
