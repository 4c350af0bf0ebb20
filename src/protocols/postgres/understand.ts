import type { Classified } from '../../model/command.ts';
import type { Obligations } from '../../model/decision.ts';
import { Refusal } from '../../model/errors.ts';
import type { Analyser, Analysis } from '../../sql/analyse.ts';
import type { Catalog } from '../../sql/catalog.ts';
import { type Hidden, hide } from '../../sql/hidden.ts';
import type { Names, Rewrites } from './certify/rewrites.ts';
import type { Rewritten } from './certify/rewritten.ts';

/** What the session must know of a statement text. Shared between equal shapes: never mutate. */
export interface Understood {
  readonly classified: Classified;
  /** Brings rows in by COPY FROM STDIN: the client's next messages are data. */
  readonly copyIn: boolean;
  /** Brings data out by COPY TO STDOUT. */
  readonly copyOut: boolean;
  /** Changes the schema, so that what is known of it is stale afterwards. */
  readonly changesSchema: boolean;
  /** Changes settings: unqualified names, or values such as dates, may mean something else afterwards. */
  readonly changesSettings: boolean;
  /** Relations that it makes, which the catalog does not know yet; and which of them are temporary. */
  readonly creates: readonly string[];
  readonly createsTemporary: readonly string[];
  /** Names classified or derived relations, for some caller: its rows need a description, its errors may quote values. */
  readonly touches: boolean;
  /** It cannot be masked as it stands for somebody who may see nothing classified; perhaps only because the schema is not what it was. */
  readonly doubtful: boolean;
  /** SQL-level PREPARE and EXECUTE: names that this text defines or runs. */
  readonly prepares: readonly string[];
  readonly executes: readonly string[];
  /** SQL cursors that it declares, and those that it fetches from, moves or closes. */
  readonly declares: readonly string[];
  readonly fetches: readonly string[];
  /** Prepared statements that it makes the server forget (DEALLOCATE, DISCARD ALL). */
  readonly deallocates: readonly string[];
  readonly deallocatesAll: boolean;
  /** Whether the reply can be masked as decided; `created`: relations this session made that the catalog does not know. */
  maskable(obligations: Obligations, created: ReadonlySet<string>): Refusal | undefined;
  /**
   * How it is sent instead where it is not maskable as it stands; absent where nothing is rewritten. `text`: of this shape, the one
   * that was sent.
   */
  rewritten?(text: string, obligations: Obligations, names: Names): Rewritten | Refusal;
  /** It may change what names mean in the session from here on. */
  readonly unsettles: boolean;
  /** It may run code that nobody reviewed, which may change that too; unless the server certifies otherwise. */
  readonly runsUnknown: boolean;
  /** It may take back such a change inside a transaction. */
  readonly takesBack: boolean;
}

/** Stands for a text that was not understood, which is refused before anybody decides on it. */
export const unread: Understood = {
  classified: {
    verb: 'UNREAD',
    actions: ['administer'],
    resources: [],
    facts: { statements: 0, hasWhere: false, functions: [], verbs: [] },
  },
  copyIn: false,
  copyOut: false,
  changesSchema: false,
  changesSettings: false,
  creates: [],
  createsTemporary: [],
  touches: false,
  doubtful: false,
  prepares: [],
  executes: [],
  declares: [],
  fetches: [],
  deallocates: [],
  deallocatesAll: false,
  unsettles: true,
  runsUnknown: true,
  takesBack: true,
  maskable: () => undefined,
};

const none: ReadonlySet<string> = new Set();

/** Statement texts of one version of a target's schema. */
export class Understanding {
  readonly #analyser: Analyser;
  readonly #catalog: Catalog;
  readonly #everything: Hidden;
  readonly #understood = new WeakMap<Analysis, Understood>();
  /** Decisions are cached and share their obligations, so what they hide is worked out once. */
  readonly #hidden = new WeakMap<Obligations, Hidden>();

  readonly #rewrites: Rewrites | undefined;
  #withCode: ReadonlySet<string> | undefined;

  /** `rewrites`: for targets whose statements are rewritten where they cannot be masked as they stand. */
  constructor(analyser: Analyser, catalog: Catalog, rewrites?: Rewrites) {
    this.#analyser = analyser;
    this.#rewrites = rewrites;
    this.#catalog = catalog;
    this.#everything = hide(catalog.classifications);
  }

  /** Throws Refusal UNPARSABLE, UNSUPPORTED or LIMIT_EXCEEDED. */
  of(text: string): Understood {
    const analysis = this.#analyser.analyse(text);
    let understood = this.#understood.get(analysis);
    if (understood === undefined) {
      understood = this.#make(analysis);
      this.#understood.set(analysis, understood);
    }
    return understood;
  }

  functionCall(oid: number): Understood {
    return {
      ...unread,
      classified: {
        verb: 'FUNCTION CALL',
        actions: ['execute'],
        resources: [{ type: 'Function', id: `oid:${oid}`, access: 'execute' }],
        facts: { statements: 1, hasWhere: false, functions: [`oid:${oid}`], verbs: ['FUNCTION CALL'] },
      },
      maskable: (obligations) => {
        if (this.#hiddenBy(obligations).classifications.size === 0) return undefined;
        return new Refusal(
          'MASK_IMPOSSIBLE',
          'a function called by its OID may return anything, and this target has classified columns',
          {
            advice: 'call the function in a SELECT',
          },
        );
      },
    };
  }

  #make(analysis: Analysis): Understood {
    const { statements, classified, changesCatalog } = analysis;
    const named = (kind: string) =>
      statements.flatMap((info) => (info.kind === kind && info.name !== undefined ? [info.name] : []));
    const exposure = analysis.exposure(this.#catalog, this.#everything, { preparedChecked: isExecute(analysis) });
    const rewrites = this.#rewrites;
    const indirect = statements.some(({ kind }) => kind === 'fetch' || kind === 'execute');
    return {
      classified,
      copyIn: statements.some(({ kind }) => kind === 'copyIn'),
      copyOut: statements.some(({ kind }) => kind === 'copyOut'),
      changesSchema: changesCatalog,
      changesSettings: statements.some(
        ({ kind, changesSearchPath, functions }) =>
          changesSearchPath || settingKinds.has(kind) || functions.some((name) => name.endsWith('set_config')),
      ),
      creates: statements.flatMap(({ created }) => created),
      createsTemporary: statements.flatMap(({ created, temporary }) => (temporary ? created : [])),
      touches: this.#catalog.classifications.size > 0 && (!exposure.safe || exposure.touches || indirect),
      doubtful: !exposure.safe,
      prepares: named('prepare'),
      executes: named('execute'),
      declares: named('declare'),
      fetches: [...named('fetch'), ...named('close')],
      deallocates: named('deallocate'),
      deallocatesAll: statements.some(
        ({ kind, name, resetsSettings }) =>
          (kind === 'deallocate' && name === undefined) || (kind === 'discard' && resetsSettings),
      ),
      unsettles:
        changesCatalog ||
        indirect ||
        statements.some((info) => unsettling.has(info.kind) || info.changesSearchPath) ||
        classified.resources.some(({ id, access }) => access === 'write' && this.#runsCode(id)),
      runsUnknown: !exposure.safe,
      takesBack: statements.some(({ kind }) => takingBack.has(kind)),
      maskable: (obligations, created) => this.#maskable(analysis, obligations, created),
      ...(rewrites === undefined
        ? {}
        : {
            rewritten: (text: string, obligations: Obligations, names: Names) =>
              rewrites.of(text, this.#hiddenBy(obligations), obligations.masks, names),
          }),
    };
  }

  /** Whether writing to a relation of this name runs code that nobody reviewed. */
  #runsCode(id: string): boolean {
    this.#withCode ??= new Set(
      this.#catalog.relations.filter(({ code }) => code !== undefined).map(({ name }) => name),
    );
    for (const name of this.#withCode) if (id === name || id.endsWith(`.${name}`)) return true;
    return false;
  }

  #maskable(analysis: Analysis, obligations: Obligations, created: ReadonlySet<string>): Refusal | undefined {
    const hidden = this.#hiddenBy(obligations);
    if (hidden.classifications.size === 0) return undefined;
    // A name that the catalog knows means what the catalog says, whatever this session has made beside it.
    const unknown =
      created.size === 0 ? none : new Set([...created].filter((name) => this.#catalog.named(name).length === 0));
    const exposure = analysis.exposure(this.#catalog, hidden, {
      preparedChecked: isExecute(analysis),
      created: unknown,
    });
    return exposure.safe ? undefined : new Refusal('MASK_IMPOSSIBLE', exposure.reason, { advice: exposure.advice });
  }

  #hiddenBy(obligations: Obligations): Hidden {
    let hidden = this.#hidden.get(obligations);
    if (hidden === undefined) {
      const names = [...this.#catalog.classifications].filter(
        (name) => (obligations.masks[name] ?? 'redact') !== 'reveal',
      );
      hidden = hide(names);
      this.#hidden.set(obligations, hidden);
    }
    return hidden;
  }
}

const unsettling: ReadonlySet<string> = new Set('set reset discard twoPhase do call ddl admin'.split(' '));
const takingBack: ReadonlySet<string> = new Set('commit rollback rollbackTo release twoPhase'.split(' '));

const settingKinds: ReadonlySet<string> = new Set(['set', 'reset', 'discard']);

/** What an EXECUTE runs was checked when it was prepared; not so one inside another statement, which puts its rows somewhere else. */
function isExecute({ statements }: Analysis): boolean {
  return statements.length === 1 && statements[0]?.kind === 'execute';
}

/**
 * `EXECUTE name` is what was prepared under that name. Refuses names that the gateway has not seen prepared, and texts that do
 * more than the one EXECUTE: what the name stands for could change in between.
 */
export function resolveExecute(
  understood: Understood,
  prepared: (name: string) => { readonly understood: Understood; readonly text: string } | undefined,
): { readonly understood: Understood; readonly scope?: string } {
  const [name, ...more] = understood.executes;
  if (name === undefined) return { understood };
  const found = prepared(name);
  if (found === undefined || more.length > 0 || understood.classified.facts.statements > 1) {
    throw new Refusal(
      'UNSUPPORTED',
      `EXECUTE ${name}: the gateway can follow one EXECUTE at a time, of a statement that it saw being prepared`,
      {
        advice: 'send EXECUTE alone, after PREPARE has succeeded; or run the statement itself',
      },
    );
  }
  const { functions } = understood.classified.facts;
  if (functions.length > 0 || understood.classified.resources.some(({ type }) => type === 'Function')) {
    throw new Refusal('UNSUPPORTED', `EXECUTE ${name}: its arguments call functions`, {
      advice: 'give plain values as arguments, or run the statement itself',
    });
  }
  const { rewritten: _, ...asPrepared } = found.understood;
  const meant: Understood = {
    ...asPrepared,
    prepares: [],
    executes: [name],
    touches: understood.touches || found.understood.touches,
    maskable: (obligations, created) =>
      understood.maskable(obligations, created) ?? found.understood.maskable(obligations, created),
  };
  return { understood: meant, scope: `prepared:${found.text}` };
}
