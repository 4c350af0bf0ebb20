import { createHash } from 'node:crypto';
import { type Cell, csvLine } from './csv.ts';
import { jsonText } from './json.ts';
import type { Population } from './populations.ts';
import { Draw, type Drawn } from './sampling.ts';
import { type FileTotals, mostFileBytes, type Sink, type SinkFile, writeText } from './sink.ts';
import type { Row, Tables } from './tables.ts';

/** What a list adds up to. `sha256` is over all of its files, one behind the other. */
export interface ControlTotals {
  readonly rows: number;
  readonly firstSeq: number | null;
  readonly lastSeq: number | null;
  readonly sumOfSeq: number;
  readonly sha256: string;
}

export interface Written {
  readonly totals: ControlTotals;
  readonly columns: readonly string[];
  readonly files: readonly (FileTotals & { readonly name: string; readonly rows: number })[];
}

/** Lines of CSV into one file, or several where it would grow too large, each with the head. */
export class CsvWriter {
  readonly #sink: Sink;
  readonly #name: string;
  readonly #head: string;
  readonly #sha256 = createHash('sha256');
  readonly #files: (FileTotals & { name: string; rows: number })[] = [];
  #file: SinkFile | undefined;
  #pending = '';
  #bytes = 0;
  #rows = 0;
  #fileRows = 0;
  #first: number | null = null;
  #last: number | null = null;
  #sum = 0;

  /** `name` without its ending. */
  constructor(sink: Sink, name: string, columns: readonly string[]) {
    this.#sink = sink;
    this.#name = name;
    this.#head = csvLine(columns);
    this.#begin();
  }

  row(cells: readonly Cell[]): void {
    this.#pending += csvLine(cells);
    this.#rows++;
    this.#fileRows++;
    const seq = cells[0];
    if (typeof seq === 'number') {
      this.#first = this.#first === null ? seq : Math.min(this.#first, seq);
      this.#last = this.#last === null ? seq : Math.max(this.#last, seq);
      this.#sum += seq;
    }
    if (this.#pending.length < 64 * 1024) return;
    this.#flush();
    if (this.#bytes < mostFileBytes - 1024 * 1024) return;
    this.#finish();
    this.#begin();
  }

  end(): Omit<Written, 'columns'> {
    this.#flush();
    this.#finish();
    const totals = {
      rows: this.#rows,
      firstSeq: this.#first,
      lastSeq: this.#last,
      sumOfSeq: this.#sum,
      sha256: this.#sha256.digest('hex'),
    };
    return { totals, files: this.#files };
  }

  #begin(): void {
    const part = this.#files.length + 1;
    const name = part === 1 ? `${this.#name}.csv` : `${this.#name}.${part}.csv`;
    this.#files.push({ name, rows: 0, bytes: 0, sha256: '' });
    this.#file = this.#sink.file(name);
    this.#bytes = 0;
    this.#fileRows = 0;
    this.#pending = this.#head;
  }

  #flush(): void {
    const bytes = Buffer.from(this.#pending);
    this.#pending = '';
    this.#bytes += bytes.length;
    this.#sha256.update(bytes);
    this.#file?.write(bytes);
  }

  #finish(): void {
    const totals = (this.#file as SinkFile).end();
    Object.assign(this.#files.at(-1) as object, totals, { rows: this.#fileRows });
  }
}

export interface Sampled {
  readonly population: Population;
  readonly drawn: readonly Drawn<Row>[];
}

/** Writes a population with the query that made it and what it adds up to, and draws from it as it passes. */
export function writePopulation(
  tables: Tables,
  population: Population,
  options: { readonly from: string; readonly seed: string; readonly samples: number },
  sink: Sink,
): Sampled & Written {
  const { name, title, events, sql } = population;
  const { from, seed, samples } = options;
  const statement = tables.db.prepare(sql);
  statement.setAllowUnknownNamedParameters(true);
  const columns = statement.columns().map((column) => column.name);
  statement.setReturnArrays(true);
  const writer = new CsvWriter(sink, `populations/${name}`, columns);
  const draw = new Draw<Row>(seed, name, samples);
  for (const row of statement.iterate({ from }) as unknown as Iterable<Cell[]>) {
    writer.row(row);
    draw.add(String(row[0] === 0 ? row[1] : row[0]), () =>
      Object.fromEntries(columns.map((key, i) => [key, row[i] ?? null])),
    );
  }
  const written = writer.end();
  const spec = {
    population: name,
    title,
    madeOf: events,
    query: sql.replaceAll(/\s+/g, ' ').trim(),
    parameters: { from },
  };
  writeText(sink, `populations/${name}.spec.json`, jsonText({ ...spec, columns, ...written }));
  return { population, drawn: draw.drawn, columns, ...written };
}
