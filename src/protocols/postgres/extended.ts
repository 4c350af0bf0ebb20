import { Refusal } from '../../model/errors.ts';
import {
  describe,
  parseBind,
  parseExecute,
  parse as parseMessage,
  parseNamed,
  parseParse,
  parseRowDescription,
} from './codec.ts';
import type { Dispatch } from './dispatch.ts';
import type { Meanings } from './meanings.ts';
import type { Portal, Statement } from './prepared.ts';
import type { TargetState } from './target-state.ts';
import type { Understood } from './understand.ts';
import type { Unit } from './units.ts';

const maxPreludeBytes = 256 * 1024;
const maxPreludeUnits = 256;

/** What a pipeline has collected before an Execute, a Sync or a Flush sends it on. */
interface Prelude {
  readonly bytes: Buffer[];
  readonly units: Unit[];
  size: number;
  /** What it parses: its permit is asked for this when nothing is executed. */
  parsed: Statement | undefined;
  /** Which of `bytes` does. */
  parsedAt: number;
}

/**
 * The extended query protocol (PostgreSQL manual, “Extended Query”). Parse, Bind and Describe are collected and go with the Execute
 * they prepare, as one command; what is prepared and not executed goes at the next Sync or Flush, as a command that only
 * analyses.
 */
export class ExtendedQuery {
  readonly #dispatch: Dispatch;
  readonly #meanings: Meanings;
  readonly #target: TargetState;
  #prelude: Prelude = emptyPrelude();
  /** Counts Syncs: what lies between two of them fails together. */
  #period = 0;
  #named = false;
  #unsettled = false;

  constructor(dispatch: Dispatch, meanings: Meanings, target: TargetState) {
    this.#dispatch = dispatch;
    this.#meanings = meanings;
    this.#target = target;
  }

  /** A simple query goes after what was collected. Returns the period it is in: only Sync begins a new one. */
  interrupt(): number {
    this.#flushPrelude();
    return this.#period;
  }

  /**
   * Names have been given, in a pipeline before this one, whose answers are not in: what they mean is not known before. Not so
   * inside one pipeline, where a failure skips whatever used the name.
   */
  get unsettled(): boolean {
    return this.#unsettled;
  }

  /** Everything has been answered: names mean what they were confirmed to mean. */
  settle(): void {
    this.#unsettled = false;
  }

  /** SQL has given or taken a name, outside pipelines. */
  unsettle(): void {
    this.#unsettled = true;
  }

  /** `again` is for a meaning in doubt: it returns true when the message will be decoded anew, later. */
  parse(buffer: Buffer, start: number, end: number, doubts: (understood: Understood) => boolean): void {
    const { statement: name, text, parameterTypes } = parseParse(buffer, start, end);
    const meaning = this.#meanings.of(text);
    if (meaning instanceof Refusal) {
      this.#refuse(text, meaning);
      return;
    }
    const { understood, scope } = meaning;
    if (doubts(understood)) return;
    // A pipeline may parse several statements before it executes any: each is decided on.
    if (this.#prelude.parsed !== undefined) this.#flushPrelude();
    const { version } = this.#target;
    const statement: Statement = {
      kind: 'statement',
      name,
      text,
      parameterTypes,
      understood,
      scope,
      version,
      instead: undefined,
      description: undefined,
    };
    this.#named = true;
    this.#meanings.propose(statement, this.#period);
    this.#prelude.parsed = statement;
    this.#prelude.parsedAt = this.#prelude.bytes.length;
    this.#collect(buffer.subarray(start, end), { kind: 'parse', confirm: () => this.#meanings.confirm(statement) });
  }

  bind(buffer: Buffer, start: number, end: number): void {
    const message = parseBind(buffer, start, end);
    const statement = this.#meanings.statements.get(message.statement);
    if (statement === undefined) {
      this.#unknown('prepared statement', message.statement);
      return;
    }
    const { portal: name, parameters, formats, resultFormats } = message;
    const portal: Portal = {
      kind: 'portal',
      name,
      statement,
      parameters,
      formats,
      resultFormats,
      description: undefined,
      begun: false,
    };
    this.#named = true;
    this.#meanings.proposePortal(portal, this.#period);
    this.#collect(buffer.subarray(start, end), {
      kind: 'bind',
      confirm: () => this.#meanings.portals.confirm(name, portal),
    });
  }

  describe(buffer: Buffer, start: number, end: number): void {
    const { kind, name } = parseNamed(buffer, start, end);
    const of = kind === 'statement' ? this.#meanings.statements.get(name) : this.#meanings.portals.get(name);
    if (of === undefined) this.#unknown(kind === 'statement' ? 'prepared statement' : 'portal', name);
    else this.#collect(buffer.subarray(start, end), { kind: 'describe', of, hidden: false });
  }

  close(buffer: Buffer, start: number, end: number): void {
    const { kind, name } = parseNamed(buffer, start, end);
    this.#named = true;
    const { portals, statements } = this.#meanings;
    this.#collect(buffer.subarray(start, end), {
      kind: 'close',
      confirm: () => (kind === 'portal' ? portals : statements).forget(name),
    });
  }

  /** Returns what is executed. `settled` runs when that is over. */
  execute(buffer: Buffer, start: number, end: number, settled: () => void): Understood | undefined {
    const { portal: name } = parseExecute(buffer, start, end);
    const portal = this.#meanings.portals.get(name);
    if (portal === undefined) {
      this.#unknown('portal', name);
      return undefined;
    }
    const { statement } = portal;
    const meaning = this.#meanings.now(statement);
    if (meaning instanceof Refusal) {
      this.#refuse(statement.text, meaning);
      return undefined;
    }
    const { understood } = meaning;
    const { bytes, units, parsed, parsedAt } = this.#takePrelude();
    const last = units.at(-1);
    const describes = last?.kind === 'describe' && last.of === portal;
    if (!describes && (understood.touches || this.#target.describes)) {
      // Whatever the client was told earlier, masking goes by what the portal's columns are now.
      bytes.push(describe('portal', name));
      units.push({ kind: 'describe', of: portal, hidden: true });
    }
    bytes.push(buffer.subarray(start, end));
    this.#dispatch.run(
      { meaning, text: statement.text, parameters: portal.parameters, scope: scopeOf(statement, portal) },
      {
        simple: false,
        // Going on with a portal that its row limit suspended: the decision was made when it began.
        settled,
        prepareOnly: portal.begun,
        period: this.#period,
        parameterTypes: statement.parameterTypes,
        takes: (instead) => {
          if (parsed === statement) statement.instead = instead;
          return statement.instead === instead ? undefined : preparedOtherwise();
        },
        columns: describes ? undefined : namesIn(portal.description ?? statement.description),
        write: (permit, run) => {
          portal.begun = true;
          if (parsed === statement) replaceParse(bytes, parsedAt, statement);
          this.#dispatch.send(permit, bytes, [...units, { kind: 'execute', run, portal }]);
        },
      },
    );
    return understood;
  }

  sync(bytes: Buffer): void {
    this.#flushPrelude();
    this.#dispatch.housekeeping([bytes], [{ kind: 'sync', period: this.#period }]);
    this.#period += 1;
    if (this.#named) this.#unsettled = true;
    this.#named = false;
  }

  flush(bytes: Buffer): void {
    this.#flushPrelude();
    this.#dispatch.housekeeping([bytes], []);
  }

  /** Sends on what was collected. */
  #flushPrelude(): void {
    const { parsed, parsedAt, bytes, units } = this.#takePrelude();
    if (parsed === undefined) {
      if (bytes.length > 0) this.#dispatch.housekeeping(bytes, units);
      return;
    }
    this.#dispatch.run(
      { meaning: { understood: parsed.understood }, text: parsed.text },
      {
        simple: false,
        prepareOnly: true,
        analysesOnly: true,
        parameterTypes: parsed.parameterTypes,
        takes: (instead) => {
          parsed.instead = instead;
          return undefined;
        },
        period: this.#period,
        columns: undefined,
        write: (permit, run) => {
          replaceParse(bytes, parsedAt, parsed);
          this.#dispatch.send(permit, bytes, units);
          run.ended = true;
          run.reply.end({ status: 'ok' });
        },
      },
    );
  }

  #collect(bytes: Buffer, unit: Unit): void {
    const prelude = this.#prelude;
    prelude.bytes.push(bytes);
    prelude.units.push(unit);
    prelude.size += bytes.length;
    // A client that binds and binds and never executes must not fill our memory.
    if (prelude.size > maxPreludeBytes || prelude.units.length > maxPreludeUnits) this.#flushPrelude();
  }

  #takePrelude(): Prelude {
    const prelude = this.#prelude;
    this.#prelude = emptyPrelude();
    return prelude;
  }

  #unknown(what: 'portal' | 'prepared statement', name: string): void {
    const advice =
      what === 'portal'
        ? 'use FETCH for cursors that were declared in SQL'
        : 'prepare it with a Parse message, or use EXECUTE';
    this.#refuse(
      '',
      new Refusal('UNSUPPORTED', `${what} ${JSON.stringify(name)} is not known to the gateway`, { advice }),
    );
  }

  #refuse(text: string, refusal: Refusal): void {
    this.#flushPrelude();
    this.#dispatch.refuseUnread(text, refusal, false, this.#period);
  }
}

function replaceParse(bytes: Buffer[], at: number, { name, instead, parameterTypes }: Statement): undefined {
  if (instead !== undefined) bytes[at] = parseMessage(name, instead, parameterTypes);
}

function preparedOtherwise(): Refusal {
  return new Refusal('UNSUPPORTED', 'it would be sent in another form now than when it was prepared', {
    advice: 'prepare it again: what you may see, the schema or the search_path has changed',
  });
}

function namesIn(description: Buffer | undefined): readonly string[] | undefined {
  if (description === undefined) return undefined;
  return parseRowDescription(description, 0, description.length).map(({ name }) => name);
}

function emptyPrelude(): Prelude {
  return { bytes: [], units: [], size: 0, parsed: undefined, parsedAt: 0 };
}

/** Two executions are the same command only if the values mean the same: types and result formats are part of an approval. */
function scopeOf(statement: Statement, portal: Portal): string {
  return `types=${statement.parameterTypes.join(',')};formats=${portal.formats.join(',')};results=${portal.resultFormats.join(',')};${statement.scope ?? ''}`;
}
