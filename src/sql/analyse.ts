import type { Classified } from '../model/command.ts';
import { Refusal } from '../model/errors.ts';
import { type Catalog, emptyCatalog, namesFrom } from './catalog.ts';
import { combine, describeStatement, type StatementInfo } from './classify.ts';
import { type Exposure, type ExposureOptions, exposureOf } from './exposure.ts';
import { Generations } from './generations.ts';
import type { Hidden } from './hidden.ts';
import type { Names } from './names.ts';
import { parse, parseLimits, type Statement } from './parse.ts';
import { shapeOf } from './shape.ts';
import { shapeSafe } from './shape-safe.ts';

/** What is known about a text. One object for all texts of an equal, safe shape: never mutate. */
export interface Analysis {
  readonly classified: Classified;
  /** None for an empty text. */
  readonly statements: readonly StatementInfo[];
  /** Some statement may change the catalog: look at it again when the command has run. */
  readonly changesCatalog: boolean;
  /**
   * Whether it may be run for a caller from whom these classifications are hidden. Cached for each catalog version and set of
   * classifications, unless `created` names are given.
   */
  exposure(catalog: Catalog, hidden: Hidden, options?: ExposureOptions): Exposure;
}

export interface Analyser {
  /** Throws Refusal UNPARSABLE, UNSUPPORTED or LIMIT_EXCEEDED, and nothing else; the same for the same text. */
  analyse(text: string): Analysis;
  /** As `parse`; what was analysed just before is not parsed again. */
  statements(text: string): readonly Statement[];
}

export interface AnalyserOptions {
  /** What names mean in the classification. Make a new analyser for a new catalog. */
  readonly catalog?: Catalog;
  readonly maxStatementBytes?: number;
  /** Bound of each of the two caches, in characters of their keys; memory is a small multiple of it. */
  readonly cacheSize?: number;
}

/** Analyses statements with two bounded caches: by exact text, and by shape where no literal matters. `loadParser` comes first. */
export function createAnalyser(options: AnalyserOptions = {}): Analyser {
  const limits = { maxBytes: options.maxStatementBytes ?? parseLimits.maxBytes };
  const names = namesFrom(options.catalog ?? emptyCatalog);
  const cacheSize = options.cacheSize ?? 4 << 20;
  const parseText = rememberingLast((text) => parse(text, limits));
  const texts = new Generations<Analysis | Refusal>(cacheSize);
  const shapes = new Generations<Analysis>(cacheSize);

  return {
    statements: parseText,
    analyse(text) {
      const known = texts.get(text);
      if (known !== undefined) return orThrow(known);
      const key = shapeOf(text)?.key;
      const similar = key === undefined ? undefined : shapes.get(key);
      if (similar !== undefined && text.length <= limits.maxBytes) return similar;
      const made = outcome(text, parseText, names);
      if (key !== undefined && made instanceof TextAnalysis && made.shapeSafe) shapes.set(key, made, key.length);
      else texts.set(text, made, text.length);
      return orThrow(made);
    },
  };
}

/** The same text is parsed to be classified and, just after that, to be looked into. */
function rememberingLast(parseText: ParseText): ParseText {
  let last: { readonly text: string; readonly statements: readonly Statement[] } | undefined;
  return (text) => {
    if (last?.text !== text) last = { text, statements: parseText(text) };
    return last.statements;
  };
}

type ParseText = (text: string) => readonly Statement[];

function outcome(text: string, parseText: ParseText, names: Names): TextAnalysis | Refusal {
  try {
    return new TextAnalysis(text, parseText, names);
  } catch (error) {
    if (error instanceof Refusal) return error;
    // The parser bounds the depth of what it returns, so this is a statement that is odd in a way nobody has thought of.
    return new Refusal('UNPARSABLE', 'the statement is too complex to be understood', {
      advice: 'simplify it or split it',
    });
  }
}

/** A cached refusal is thrown afresh: its stack would tell of another call. */
function orThrow(known: Analysis | Refusal): Analysis {
  if (known instanceof Refusal) throw new Refusal(known.kind, known.message, known.details);
  return known;
}

class TextAnalysis implements Analysis {
  readonly classified: Classified;
  readonly statements: readonly StatementInfo[];
  readonly changesCatalog: boolean;
  readonly shapeSafe: boolean;
  /** Kept instead of the syntax tree, which is some twenty times as large; parsed again for each new catalog version. */
  readonly #text: string;
  readonly #parse: ParseText;
  readonly #exposures = new Map<string, Exposure>();
  #last:
    | { readonly catalog: Catalog; readonly hidden: Hidden; readonly prepared: boolean; readonly exposure: Exposure }
    | undefined;

  constructor(text: string, parseText: ParseText, names: Names) {
    const parsed = parseText(text);
    this.statements = parsed.map((statement) => describeStatement(statement, names));
    const forbidden = this.statements.find((statement) => statement.forbidden !== undefined);
    if (forbidden?.forbidden !== undefined) {
      throw new Refusal('UNSUPPORTED', `${forbidden.verb}: ${forbidden.forbidden}`, { advice: 'leave it as it is' });
    }
    this.classified = combine(this.statements);
    this.changesCatalog = this.statements.some((statement) => statement.changesCatalog);
    this.shapeSafe = shapeSafe(parsed);
    this.#text = text;
    this.#parse = parseText;
  }

  exposure(catalog: Catalog, hidden: Hidden, options: ExposureOptions = {}): Exposure {
    const prepared = options.preparedChecked === true;
    if (options.created !== undefined && options.created.size > 0) return this.#inspect(catalog, hidden, options);
    const last = this.#last;
    if (last !== undefined && last.catalog === catalog && last.hidden === hidden && last.prepared === prepared)
      return last.exposure;
    const key = `${catalog.version}\n${prepared}\n${hidden.key}`;
    let exposure = this.#exposures.get(key);
    if (exposure === undefined) {
      exposure = this.#inspect(catalog, hidden, options);
      if (this.#exposures.size >= maxExposures) this.#exposures.clear();
      this.#exposures.set(key, exposure);
    }
    this.#last = { catalog, hidden, prepared, exposure };
    return exposure;
  }

  #inspect(catalog: Catalog, hidden: Hidden, options: ExposureOptions): Exposure {
    return exposureOf(this.#parse(this.#text), catalog, hidden, options);
  }
}

const maxExposures = 16;
