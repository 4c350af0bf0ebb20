import { createHash } from 'node:crypto';
import type { Obligations } from '../../../model/decision.ts';
import { Refusal } from '../../../model/errors.ts';
import type { Hidden } from '../../../sql/hidden.ts';
import type { SessionNames } from '../meanings.ts';
import type { Understood } from '../understand.ts';
import type { Analysed } from './ask.ts';
import { type Certificate, certify } from './certificate.ts';
import { formOf, maskKey } from './mask-form.ts';
import type { MaskRead, Rewritten } from './rewritten.ts';
import type { Surroundings } from './surroundings.ts';
import { isList, isNode, readTree, UnknownTree } from './tree.ts';

/** What is sent to the server for a command that could not be masked as it stands. */
export type Sending =
  | { readonly kind: 'instead'; readonly text: string; readonly certificate: Certificate; readonly json: string }
  /** The server does not take the statement: the client hears that, in the server's words. */
  | { readonly kind: 'failed'; readonly text?: undefined; readonly analysed: Analysed & { kind: 'failed' } };

/** Has the server analyse a text in the session. Does not reject. */
export type Analyse = (text: string, parameterTypes: readonly number[]) => Promise<Analysed>;

export interface Certifiable {
  readonly understood: Pick<Understood, 'rewritten'>;
  readonly text: string;
  readonly parameterTypes: readonly number[];
  readonly created: ReadonlySet<string>;
  readonly temporary: ReadonlySet<string>;
  /** What names mean in this session; undefined where the server has to be asked. */
  readonly names: SessionNames | undefined;
  /** The server has said. */
  learned(schemas: readonly string[], temporary: boolean): SessionNames;
  readonly analyse: Analyse;
}

/** What it must know of the target; a TargetState does. */
export interface CertifierTarget {
  /** What a certificate is checked against; undefined where statements are not rewritten. */
  surroundings(hidden: Hidden): Surroundings | undefined;
  /** How masks look in the server's trees, by the statement that asks for one. */
  readonly maskForms: Map<string, string>;
  /** Statements that were certified for somebody. */
  readonly certified: WeakSet<object>;
  /** The schema may not be what it was. */
  stale(): void;
}

const maxCertificates = 64;

/** Rewrites a command and has the server certify the result: at once where it was certified before under the same circumstances. */
export class Certifier {
  readonly #target: CertifierTarget;
  readonly #serverMajor: number;

  constructor(target: CertifierTarget, serverMajor: number) {
    this.#target = target;
    this.#serverMajor = serverMajor;
  }

  /** `why`: the reason why the command cannot be masked as it stands; it remains where the server does not give its tree. */
  decide(asked: Certifiable, obligations: Obligations, why: Refusal): Sending | Refusal | Promise<Sending | Refusal> {
    if (asked.understood.rewritten === undefined) return why;
    return asked.names === undefined
      ? this.#asking(asked, obligations, why)
      : this.#rewriting(asked, obligations, asked.names, why);
  }

  /** What names mean is asked first. */
  async #asking(asked: Certifiable, obligations: Obligations, why: Refusal): Promise<Sending | Refusal> {
    const analysed = await asked.analyse('select', []);
    if (analysed.kind === 'failed') return { kind: 'failed', analysed };
    if (analysed.kind !== 'tree') return analysed.kind === 'piped' ? piped() : why;
    return this.#rewriting(asked, obligations, asked.learned(analysed.schemas, analysed.temporary), why);
  }

  #rewriting(
    asked: Certifiable,
    obligations: Obligations,
    { key, schemas }: SessionNames,
    why: Refusal,
  ): Sending | Refusal | Promise<Sending | Refusal> {
    const { text, created, temporary, parameterTypes } = asked;
    const rewritten = asked.understood.rewritten?.(text, obligations, { created, temporary, schemas }) ?? outdated();
    if (rewritten instanceof Refusal) return rewritten;
    const under = parameterTypes.length === 0 ? key : `${parameterTypes.join(',')};${key}`;
    const known = rewritten.certificates.get(under);
    return known === undefined ? this.#certified(asked, rewritten, under, schemas, why) : sending(rewritten, known);
  }

  async #certified(
    asked: Certifiable,
    rewritten: Rewritten,
    under: string,
    schemas: readonly string[],
    why: Refusal,
  ): Promise<Sending | Refusal> {
    const analysed = await asked.analyse(rewritten.analysed, asked.parameterTypes);
    if (analysed.kind === 'failed') return { kind: 'failed', analysed };
    if (analysed.kind !== 'tree') return analysed.kind === 'piped' ? piped() : why;
    if (JSON.stringify(analysed.schemas) !== JSON.stringify(schemas)) {
      asked.learned(analysed.schemas, analysed.temporary);
      return outdated();
    }
    const masks = await this.#masks(asked, rewritten.reads, why);
    if (masks instanceof Refusal) return masks;
    const surroundings = this.#target.surroundings(rewritten.hidden);
    if (surroundings === undefined || surroundings.version !== rewritten.version) return outdated();
    const made = certify(analysed.tree, {
      surroundings,
      serverMajor: this.#serverMajor,
      strangers: asked.created.size > 0,
      masks,
    });
    if (!made.ok) {
      if (made.doubtful) this.#target.stale();
      return new Refusal('MASK_IMPOSSIBLE', `the server’s analysis of it shows that ${made.reason}`, {
        advice: 'use functions, operators and types of PostgreSQL itself, and tables that the gateway knows',
      });
    }
    if (made.certificate.carries > 0 && !rewritten.shown)
      return new Refusal('MASK_IMPOSSIBLE', 'classified columns would go where they cannot be masked', {
        advice: 'leave them out, or select them as plain columns of a statement by itself',
      });
    this.#target.certified.add(asked.understood);
    const { certificates } = rewritten;
    if (certificates.size >= maxCertificates) certificates.clear();
    if (!made.certificate.strangers) certificates.set(under, made.certificate);
    return sending(rewritten, made.certificate);
  }

  /** The forms that the masks have on this server: asked once. */
  async #masks(
    asked: Certifiable,
    reads: readonly MaskRead[],
    why: Refusal,
  ): Promise<ReadonlyMap<string, ReadonlySet<string>> | Refusal> {
    const forms = new Map<string, Set<string>>();
    for (const read of reads) {
      const known = this.#target.maskForms;
      let form = known.get(read.question);
      if (form === undefined) {
        const analysed = await asked.analyse(read.question, []);
        if (analysed.kind !== 'tree') return analysed.kind === 'piped' ? piped() : why;
        form = maskIn(analysed.tree);
        if (form === undefined) return why;
        known.set(read.question, form);
      }
      const key = maskKey(read.relation, read.column);
      const same = forms.get(key);
      if (same === undefined) forms.set(key, new Set([form]));
      else same.add(form);
    }
    return forms;
  }
}

/** The one expression of `SELECT mask FROM table`. */
function maskIn(tree: string): string | undefined {
  try {
    const targets = readTree(tree)[0]?.fields.targetList;
    const [entry, ...more] = isList(targets) ? targets : [];
    const expression = isNode(entry) && more.length === 0 ? entry.fields.expr : undefined;
    return isNode(expression) && expression.kind !== 'VAR' ? formOf(expression) : undefined;
  } catch (error) {
    if (error instanceof UnknownTree) return undefined;
    throw error;
  }
}

function sending({ text }: Rewritten, certificate: Certificate): Sending {
  return { kind: 'instead', text, certificate, json: certificateJson(certificate) };
}

const json = new WeakMap<Certificate, string>();

function certificateJson(certificate: Certificate): string {
  let text = json.get(certificate);
  if (text === undefined) {
    const { relations, functions, serverMajor, tree, catalog } = certificate;
    const schema = createHash('sha256').update(catalog).digest('hex').slice(0, 16);
    text = JSON.stringify({ tree, relations, functions, serverMajor, schema });
    json.set(certificate, text);
  }
  return text;
}

function piped(): Refusal {
  return new Refusal(
    'MASK_IMPOSSIBLE',
    'whether it can be masked has to be asked of the server, which is in the middle of a pipeline',
    { advice: 'send a Sync before it, or run it once by itself first' },
  );
}

function outdated(): Refusal {
  return new Refusal('MASK_IMPOSSIBLE', 'the target’s schema or the search_path has changed meanwhile', {
    advice: 'run the statement again',
  });
}
