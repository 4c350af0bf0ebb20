import { createHash, randomUUID } from 'node:crypto';
import { PeerError, Refusal } from '../../model/errors.ts';
import { Names, type Portal, type Statement } from './prepared.ts';
import type { TargetState } from './target-state.ts';
import { resolveExecute, type Understood } from './understand.ts';
import type { Run } from './units.ts';

/** What a text means in this session, and what of that is not in the text. */
export interface Meaning {
  readonly understood: Understood;
  /** What else the meaning depends on; part of an approval. */
  readonly scope?: string;
}

/** What unqualified names mean in a session. */
export interface SessionNames {
  /** Equal where they mean the same. */
  readonly key: string;
  /** Where they are looked up, in this order. */
  readonly schemas: readonly string[];
}

/** The server's configuration may change the search_path behind everybody's back: asked again after this, ms. */
const namesLastMs = 15_000;
/** Prepared statements and portals a client may keep open. */
const maxNames = 20_000;
const maxHeldBytes = 64 * 1024 * 1024;

/** What texts and names mean in one session: prepared statements, portals, and relations that only this session knows yet. */
export class Meanings {
  readonly statements = new Names<Statement>();
  readonly portals = new Names<Portal>();
  /** Relations that this session made. */
  readonly created = new Set<string>();
  /** Those of them that are temporary, and no others of their name. */
  readonly temporary = new Set<string>();
  /** Names of those that are not temporary. */
  readonly #kept = new Set<string>();
  /** SQL cursors that this session declared. */
  readonly #cursors = new Set<string>();
  /** SQL-level PREPARE: name → what it runs. */
  readonly #prepared = new Map<string, { readonly understood: Understood; readonly text: string }>();
  readonly #target: TargetState;
  #changedSchema = false;
  /** At least what is held of texts and values; counted anew when it seems too much. */
  #held = 0;
  #names: (SessionNames & { readonly at: number }) | undefined;
  readonly #now: () => number;
  /** Commands on their way that may change it. */
  #changing = 0;
  /** It has changed in a way that the end of the transaction may take back. */
  #revocable = false;
  /** What unqualified names depend on: how the session began, and every statement since that may have changed search_path. */
  #path: string;

  constructor(target: TargetState, searchPath: string | undefined, now: () => number = Date.now) {
    this.#target = target;
    this.#path = searchPath ?? '';
    this.#now = now;
  }

  /** What unqualified names mean when everything is done that is on its way; undefined where the server has to be asked. */
  names(busy: boolean): SessionNames | undefined {
    if (this.#changing > 0 || (this.#revocable && busy)) return undefined;
    const known = this.#names;
    return known === undefined || this.#now() - known.at > namesLastMs ? undefined : known;
  }

  /** The server has said, after everything before, where it looks names up: schemas in order, and whether some are this session's alone. */
  learned(schemas: readonly string[], temporary: boolean): SessionNames {
    const own = temporary || this.created.size > 0 || this.#changedSchema;
    const key = JSON.stringify(own ? [schemas, randomUUID()] : schemas);
    this.#names = { key, schemas, at: this.#now() };
    return this.#names;
  }

  /** Names may mean something else from now on. */
  forgetNames(): void {
    this.#names = undefined;
  }

  /** A command that may change what names mean is on its way; `changed` follows, whatever becomes of it. */
  changing(): void {
    this.#changing += 1;
  }

  /** `ran`: it did, or may have. The end of the transaction may take back what it changed. */
  changed(ran: boolean): void {
    this.#changing -= 1;
    if (!ran) return;
    this.#names = undefined;
    this.#revocable = true;
  }

  of(text: string): Meaning | Refusal {
    try {
      const understood = this.#target.understand(text);
      for (const name of understood.fetches) this.#checkCursor(name, understood);
      return resolveExecute(understood, (name) => this.#prepared.get(name) ?? this.statements.get(name));
    } catch (error) {
      if (error instanceof Refusal) return error;
      throw error;
    }
  }

  /** Part of every approval: after another search_path the same text is another command. A rolled-back change counts too, to be safe. */
  get path(): string {
    return this.#path;
  }

  /** What a statement that was prepared earlier means now: the schema may have changed since. */
  now(statement: Statement): Meaning | Refusal {
    const scope = statement.scope === undefined ? {} : { scope: statement.scope };
    const fixed = statement.version === this.#target.version && statement.understood.executes.length === 0;
    if (fixed && statement.understood.fetches.length === 0) return { understood: statement.understood, ...scope };
    return this.of(statement.text);
  }

  propose(statement: Statement, period: number): void {
    this.#limit(statement.text.length);
    this.statements.propose(statement.name, statement, period);
  }

  proposePortal(portal: Portal, period: number): void {
    this.#limit(sizeOf(portal));
    this.portals.propose(portal.name, portal, period);
  }

  confirm(statement: Statement): void {
    this.statements.confirm(statement.name, statement);
    this.#prepared.delete(statement.name); // One name, one statement: the server would have refused a second one.
  }

  /** A command has run. */
  done(understood: Understood, text: string, run: Run): void {
    if (understood.changesSchema) {
      this.#changedSchema = true;
      this.#target.stale();
    }
    if (understood.changesSettings) this.#path = createHash('sha256').update(`${this.#path}\0${text}`).digest('hex');
    if (understood.takesBack && this.#revocable) this.#names = undefined;
    if (run.status !== 'ok') {
      this.#doubt(understood);
      return;
    }
    for (const name of understood.creates) {
      this.created.add(name);
      if (!understood.createsTemporary.includes(name)) this.temporary.delete(name);
      else if (!this.#kept.has(name)) this.temporary.add(name);
      if (!understood.createsTemporary.includes(name)) this.#kept.add(name);
    }
    for (const name of understood.declares) this.#cursors.add(name);
    for (const name of understood.prepares) {
      this.#prepared.set(name, { understood, text });
      this.statements.forget(name);
    }
    for (const name of understood.deallocates) {
      this.#prepared.delete(name);
      this.statements.forget(name);
    }
    if (understood.deallocatesAll) {
      this.#prepared.clear();
      this.statements.forgetAll();
    }
  }

  /** Portals end with their transaction, and what it changed shows to others. */
  transactionEnded(): void {
    this.portals.forgetAll();
    if (this.#revocable) this.#names = undefined;
    this.#revocable = false;
    if (!this.#changedSchema) return;
    this.#changedSchema = false;
    this.#target.stale();
  }

  /** A pipeline failed: what it proposed and was not confirmed never happened. */
  failed(period: number): void {
    this.statements.fail(period);
    this.portals.fail(period);
  }

  /** A text of several statements failed somewhere: what it prepared or forgot before that is not known, so neither name is used any more. */
  #doubt(understood: Understood): void {
    if (understood.classified.facts.statements < 2) return;
    for (const name of [...understood.prepares, ...understood.deallocates]) {
      this.#prepared.delete(name);
      this.statements.forget(name);
    }
    if (!understood.deallocatesAll) return;
    this.#prepared.clear();
    this.statements.forgetAll();
  }

  /** FETCH runs a bound portal as well as a cursor, so it is for cursors that this session declared in SQL, and for nothing else. */
  #checkCursor(name: string, { declares }: Understood): void {
    const declared = declares.includes(name) || this.#cursors.has(name);
    if (declared && this.portals.get(name) === undefined) return;
    throw new Refusal('UNSUPPORTED', `${JSON.stringify(name)} is no cursor that this session declared`, {
      advice: 'DECLARE it first; a portal is executed with Execute',
    });
  }

  #limit(bytes: number): void {
    this.#held += bytes;
    if (this.#held > maxHeldBytes)
      this.#held = this.statements.sum(({ text }) => text.length) + this.portals.sum(sizeOf);
    if (this.#held > maxHeldBytes) {
      throw new PeerError('CLIENT_PROTOCOL', `prepared statements and portals hold more than ${maxHeldBytes} bytes`);
    }
    if (this.statements.size + this.portals.size > maxNames) {
      throw new PeerError('CLIENT_PROTOCOL', `more than ${maxNames} prepared statements and portals are open`);
    }
  }
}

function sizeOf({ parameters }: Portal): number {
  return parameters.reduce((sum, value) => sum + (value?.length ?? 0), 64);
}
