import { randomBytes } from 'node:crypto';
import { PeerError } from '../../../model/errors.ts';
import {
  bind,
  close,
  execute,
  parse,
  parseDataRow,
  parseReadyForQuery,
  parseReport,
  Server,
  type ServerReport,
  sync,
  type TransactionStatus,
} from '../codec.ts';

/** What came of asking a server for the tree of a statement. */
export type Analysed =
  | {
      readonly kind: 'tree';
      readonly tree: string;
      /** Where unqualified names are looked up in this session: its search_path as the server has it. */
      readonly schemas: readonly string[];
      /** Before them comes what is temporary. */
      readonly temporary: boolean;
    }
  /** It is no statement that the server takes: the client is told so. */
  | { readonly kind: 'failed'; readonly report: ServerReport }
  /** The session is in the middle of a pipeline, in which nothing can be asked. */
  | { readonly kind: 'piped' }
  /** The server does not say. */
  | { readonly kind: 'lost' };

/** A conversation of the gateway's own, in a session: its messages, and what takes the answers. It ends with ReadyForQuery. */
export interface Aside {
  readonly bytes: Buffer;
  /** A message of the server other than news. True with the last one. Throws PeerError for one that is not due. */
  message(type: number, buffer: Buffer, start: number, end: number): boolean;
  notice(report: ServerReport): void;
  /** No answer will come. */
  lost(): void;
}

/**
 * The settings are local to the transaction: where none is open they end with the Sync, where one is open `restore` puts them back, and
 * an error undoes them with everything else. The old values come as a row, since nothing in the session may remember them.
 */
const switchOn = `select pg_catalog.current_setting('client_min_messages'), pg_catalog.current_setting('debug_pretty_print'), \
pg_catalog.current_setting('debug_print_rewritten'), pg_catalog.set_config('debug_pretty_print', 'off', true), \
pg_catalog.set_config('client_min_messages', 'log', true), pg_catalog.set_config('debug_print_rewritten', 'on', true), \
pg_catalog.array_to_json(pg_catalog.current_schemas(true))`;

const settings: readonly string[] = ['client_min_messages', 'debug_pretty_print', 'debug_print_rewritten'];

const restoring = (values: readonly string[]) =>
  `select ${settings.map((name, i) => `pg_catalog.set_config('${name}', '${values[i]}', true)`).join(', ')}`;

/** Texts that the gateway itself runs in sessions; nothing of a caller is in them. */
export function isOurs(text: string): boolean {
  return (
    text === switchOn || /^select (?:pg_catalog\.set_config\('[a-z_]+', '[a-z0-9]+', true\)(?:, )?){3}$/.test(text)
  );
}

/**
 * Has the server analyse a statement, without planning or running it, and print what it understood. Names are ours and last as long as
 * the conversation, so that the client's own, named or not, stay what they are.
 */
export class Ask implements Aside {
  readonly bytes: Buffer;
  readonly #done: (analysed: Analysed, status: TransactionStatus, restore: Aside | undefined) => void;
  readonly #due: number[];
  #old: readonly string[] = [];
  #schemas: readonly string[] = [];
  #trees: string[] = [];
  #analysing = false;
  #failure: ServerReport | undefined;
  /** It was not the statement that failed, but a step of ours. */
  #unable = false;

  /** `done` gets what puts the settings back, where something has to: to be sent before anything else. */
  constructor(
    text: string,
    parameterTypes: readonly number[],
    done: (analysed: Analysed, status: TransactionStatus, restore: Aside | undefined) => void,
  ) {
    const [own, asked] = [uniqueName(), uniqueName()];
    this.#done = done;
    this.bytes = Buffer.concat([
      ...running(own, switchOn),
      parse(asked, text, parameterTypes),
      close('statement', asked),
      sync,
    ]);
    this.#due = [...answers, Server.ParseComplete, Server.CloseComplete, Server.ReadyForQuery];
  }

  message(type: number, buffer: Buffer, start: number, end: number): boolean {
    if (type === Server.ErrorResponse && this.#failure === undefined && this.#due.length > 1) {
      this.#failure = parseReport(buffer, start, end);
      this.#unable = this.#due.length > 3 && !passing.has(this.#failure.sqlstate);
      this.#due.splice(0, this.#due.length - 1);
      return false;
    }
    take(this.#due, type);
    if (type === Server.DataRow) {
      const row = parseDataRow(buffer, start, end);
      this.#old = wordsIn(row);
      this.#schemas = schemasIn(row.at(-1));
    }
    // From here on the settings hold, and what is printed is of the statement.
    if (this.#due.length === 3) this.#analysing = true;
    if (this.#due.length < 3) this.#analysing = false;
    if (this.#due.length > 0) return false;
    const status = parseReadyForQuery(buffer, start, end);
    const restore = status === 'T' && this.#failure === undefined ? new Restore(restoring(this.#old)) : undefined;
    this.#done(this.#analysed(), status, restore);
    return true;
  }

  notice({ fields }: ServerReport): void {
    if (!this.#analysing || fields.get('M') !== 'rewritten parse tree:' || fields.get('R') !== 'elog_node_display')
      return;
    this.#trees.push(fields.get('D') ?? '');
  }

  lost(): void {
    this.#done({ kind: 'lost' }, 'I', undefined);
  }

  #analysed(): Analysed {
    if (this.#unable) return { kind: 'lost' };
    if (this.#failure !== undefined) return { kind: 'failed', report: this.#failure };
    const [tree, ...more] = this.#trees;
    return tree === undefined || more.length > 0
      ? { kind: 'lost' }
      : {
          kind: 'tree',
          tree,
          schemas: this.#schemas.filter((name) => !isTemporary(name)),
          temporary: this.#schemas.some(isTemporary),
        };
  }
}

class Restore implements Aside {
  readonly bytes: Buffer;
  readonly #due: number[] = [...answers, Server.ReadyForQuery];

  constructor(text: string) {
    this.bytes = Buffer.concat([...running(uniqueName(), text), sync]);
  }

  message(type: number): boolean {
    take(this.#due, type);
    return this.#due.length === 0;
  }

  notice(): void {}
  lost(): void {}
}

/** Errors that any statement would have had here: a failed transaction, a cancelled statement. */
const passing: ReadonlySet<string> = new Set(['25P02', '57014']);

/** What `running` is answered with. */
const answers: readonly number[] = [
  Server.ParseComplete,
  Server.BindComplete,
  Server.DataRow,
  Server.CommandComplete,
  Server.CloseComplete,
  Server.CloseComplete,
];

function running(name: string, text: string): readonly Buffer[] {
  return [
    parse(name, text),
    bind({ portal: name, statement: name }),
    execute(name),
    close('portal', name),
    close('statement', name),
  ];
}

function uniqueName(): string {
  return `sallyport ${randomBytes(12).toString('hex')}`;
}

function take(due: number[], type: number): void {
  if (due.shift() !== type)
    throw new PeerError(
      'UPSTREAM_PROTOCOL',
      'the server answers the gateway’s own question with something that is no answer',
    );
}

function schemasIn(value: Buffer | null | undefined): readonly string[] {
  let names: unknown;
  try {
    names = JSON.parse(value?.toString('utf8') ?? '');
  } catch {
    // Refused below.
  }
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string'))
    throw new PeerError('UPSTREAM_PROTOCOL', 'the server has a search_path that is not understood');
  return names as readonly string[];
}

function isTemporary(schema: string): boolean {
  return schema.startsWith('pg_temp_');
}

function wordsIn(row: readonly (Buffer | null)[]): readonly string[] {
  const words = row.slice(0, settings.length).map((value) => value?.toString('latin1') ?? '');
  if (words.length !== settings.length || !words.every((word) => /^[a-z0-9]+$/.test(word)))
    throw new PeerError('UPSTREAM_PROTOCOL', 'the server has settings that are not understood');
  return words;
}
