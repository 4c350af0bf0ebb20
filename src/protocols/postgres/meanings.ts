import { createHash } from 'node:crypto';
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

/** Prepared statements and portals a client may keep open. */
const maxNames = 20_000;

/** What texts and names mean in one session: prepared statements, portals, and relations that only this session knows yet. */
export class Meanings {
  readonly statements = new Names<Statement>();
  readonly portals = new Names<Portal>();
  /** Relations that this session made. */
  readonly created = new Set<string>();
  /** SQL-level PREPARE: name → what it runs. */
  readonly #prepared = new Map<string, { readonly understood: Understood; readonly text: string }>();
  readonly #target: TargetState;
  #changedSchema = false;
  /** What unqualified names depend on: how the session began, and every statement since that may have changed search_path. */
  #path: string;

  constructor(target: TargetState, searchPath: string | undefined) {
    this.#target = target;
    this.#path = searchPath ?? '';
  }

  of(text: string): Meaning | Refusal {
    try {
      return resolveExecute(
        this.#target.understand(text),
        (name) => this.#prepared.get(name) ?? this.statements.get(name),
      );
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
    if (statement.version === this.#target.version) return { understood: statement.understood, ...scope };
    return this.of(statement.text);
  }

  propose(statement: Statement, period: number): void {
    this.#limit();
    this.statements.propose(statement.name, statement, period);
  }

  proposePortal(portal: Portal, period: number): void {
    this.#limit();
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
    if (run.status !== 'ok') return;
    if (understood.changesSearchPath) this.#path = createHash('sha256').update(`${this.#path}\0${text}`).digest('hex');
    for (const name of understood.creates) this.created.add(name);
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
    if (!this.#changedSchema) return;
    this.#changedSchema = false;
    this.#target.stale();
  }

  /** A pipeline failed: what it proposed and was not confirmed never happened. */
  failed(period: number): void {
    this.statements.fail(period);
    this.portals.fail(period);
  }

  #limit(): void {
    if (this.statements.size + this.portals.size > maxNames) {
      throw new PeerError('CLIENT_PROTOCOL', `more than ${maxNames} prepared statements and portals are open`);
    }
  }
}
