import { readFileSync } from 'node:fs';
import { type Document, isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import { type Action, actions } from '../../../model/command.ts';
import { ConfigError } from '../../../model/errors.ts';
import type { HttpAddress } from '../settings.ts';
import { sortActions } from './actions.ts';
import { Routes } from './routes.ts';

const largest = 32 * 1024 * 1024;
const mostPaths = 5000;
const methods = ['get', 'head', 'options', 'post', 'put', 'patch', 'delete'] as const;

type Path = readonly (string | number)[];

/** Reads a target's OpenAPI document. Throws ConfigError with everything that is wrong with it: `file:line: path: what`. */
export function loadRoutes(file: string, address: HttpAddress, ignoreCase = false): Routes {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`${file}:1: openapi: cannot be read: ${reason}`, { cause: error });
  }
  return readRoutes(text, file, address, ignoreCase);
}

/** As loadRoutes, from text (YAML, or JSON, which is YAML too). */
export function readRoutes(text: string, file: string, address: HttpAddress, ignoreCase = false): Routes {
  if (text.length > largest) throw new ConfigError(`${file}:1: openapi: larger than ${largest} bytes`);
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, stringKeys: true });
  const broken = [...document.errors, ...document.warnings].map(
    (error) => `${file}:${Math.max(1, counter.linePos(error.pos[0]).line)}: openapi: ${error.message.trim()}`,
  );
  if (broken.length > 0) throw new ConfigError(broken.slice(0, 20).join('\n'));
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 1000 });
  } catch (error) {
    throw new ConfigError(`${file}:1: openapi: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  const reader = new Reader(value, address, ignoreCase);
  reader.read();
  if (reader.problems.length > 0) {
    const lines = reader.problems.map(
      ({ path, message }) => `${file}:${lineOf(document, counter, path)}: ${shown(path)}: ${message}`,
    );
    throw new ConfigError(lines.slice(0, 50).join('\n'));
  }
  return reader.routes;
}

class Reader {
  readonly problems: { readonly path: Path; readonly message: string }[] = [];
  readonly routes: Routes;
  readonly #root: unknown;
  readonly #address: HttpAddress;

  constructor(root: unknown, address: HttpAddress, ignoreCase: boolean) {
    this.#root = root;
    this.#address = address;
    this.routes = new Routes(ignoreCase);
  }

  read(): void {
    const root = this.#root;
    if (!isRecord(root)) {
      this.#complain([], 'is not an OpenAPI document');
      return;
    }
    if (typeof root.openapi !== 'string' || !/^3\.[01]\.\d+/.test(root.openapi)) {
      const given = JSON.stringify(root.openapi ?? root.swagger ?? null);
      this.#complain(['openapi'], `expected OpenAPI 3.0 or 3.1, got ${given}`);
      return;
    }
    const paths = isRecord(root.paths) ? Object.entries(root.paths).filter(([key]) => !key.startsWith('x-')) : [];
    if (paths.length > mostPaths) {
      this.#complain(['paths'], `has more than ${mostPaths} paths`);
      return;
    }
    // Without servers, paths begin where the address ends.
    const bases = this.#bases(root.servers, ['servers']) ?? [this.#address.basePath];
    for (const [template, given] of paths) {
      const path = ['paths', template];
      const item = this.#resolved(given, path);
      if (!this.#isTemplate(template, path) || !isRecord(item)) continue;
      this.#add(template, item, this.#bases(item.servers, [...path, 'servers']) ?? bases, path);
    }
    if (this.routes.size === 0 && this.problems.length === 0)
      this.#complain(['paths'], 'names no path that this target has');
  }

  #add(template: string, item: Readonly<Record<string, unknown>>, bases: readonly string[], path: Path): void {
    const operations = new Map<string, readonly Action[] | null>();
    const general = this.#claim(item, path);
    for (const method of methods) {
      const operation = item[method];
      if (isRecord(operation))
        operations.set(method.toUpperCase(), this.#claim(operation, [...path, method]) ?? general);
    }
    let reachable = false;
    for (const base of bases) {
      const whole = base + template;
      const { basePath } = this.#address;
      if (!whole.startsWith(`${basePath}/`)) continue;
      reachable = true;
      const route = { template: whole.slice(basePath.length), operations };
      const clash = this.routes.add(route);
      if (clash !== undefined)
        this.#complain(
          path,
          `is ambiguous with ${clash.template}: some path could be either, and neither is more concrete`,
        );
    }
    if (!reachable)
      this.#complain(
        path,
        `cannot be reached: its servers (${bases.join(', ')}) are not below the address's path ${this.#address.basePath}`,
      );
  }

  /** `x-sallyport-action: read`, or a list. */
  #claim(given: Readonly<Record<string, unknown>>, path: Path): readonly Action[] | null {
    const claimed = given['x-sallyport-action'];
    if (claimed === undefined) return null;
    const list = Array.isArray(claimed) ? claimed : [claimed];
    const known = list.filter((entry): entry is Action => (actions as readonly unknown[]).includes(entry));
    if (known.length === list.length && known.length > 0) return sortActions(known);
    this.#complain([...path, 'x-sallyport-action'], `expected one or more of ${actions.join(', ')}`);
    return null;
  }

  /** A path item, followed through local references. */
  #resolved(given: unknown, path: Path): unknown {
    let item = given;
    for (let steps = 0; steps < 10; steps++) {
      if (!isRecord(item)) {
        this.#complain(path, 'expected a map');
        return undefined;
      }
      if (item.$ref === undefined) return item;
      const found = typeof item.$ref === 'string' ? this.#pointed(item.$ref) : undefined;
      if (found === undefined) {
        this.#complain([...path, '$ref'], 'leads nowhere in this document; other documents are not read');
        return undefined;
      }
      item = found;
    }
    this.#complain([...path, '$ref'], 'leads round in a circle');
    return undefined;
  }

  /** JSON Pointer (RFC 6901) into the document. */
  #pointed(reference: string): unknown {
    if (!reference.startsWith('#/')) return undefined;
    let at: unknown = this.#root;
    for (const part of reference.slice(2).split('/')) {
      const key = unescaped(part);
      if (key === undefined || !isRecord(at) || !Object.hasOwn(at, key)) return undefined;
      at = at[key];
    }
    return at;
  }

  /** The paths of a list of servers; only those at our address where some are. Undefined where there is no list. */
  #bases(servers: unknown, path: Path): readonly string[] | undefined {
    if (servers === undefined) return undefined;
    if (!Array.isArray(servers) || servers.length === 0) return undefined;
    const found: { readonly base: string; readonly ours: boolean }[] = [];
    for (const [index, server] of servers.entries()) {
      const url = isRecord(server) && typeof server.url === 'string' ? server.url : undefined;
      const base = url === undefined ? undefined : this.#base(url, isRecord(server) ? server.variables : undefined);
      if (base === undefined) this.#complain([...path, index, 'url'], 'expected a URL whose variables have defaults');
      else found.push(base);
    }
    const ours = found.filter((base) => base.ours);
    return [...new Set((ours.length > 0 ? ours : found).map(({ base }) => base))];
  }

  #base(url: string, variables: unknown): { base: string; ours: boolean } | undefined {
    const filled = url.replaceAll(/\{([^{}]*)\}/g, (whole, name: string) => {
      const variable = isRecord(variables) ? variables[name] : undefined;
      const value = isRecord(variable) ? variable.default : undefined;
      return typeof value === 'string' ? value : whole;
    });
    const { scheme, authority } = this.#address;
    const parsed = URL.parse(filled, `${scheme}://${authority}/`);
    if (parsed === null || filled.includes('{') || parsed.search !== '' || parsed.hash !== '') return undefined;
    return { base: parsed.pathname.replace(/\/+$/, ''), ours: parsed.host === authority };
  }

  #isTemplate(template: string, path: Path): boolean {
    const before = this.problems.length;
    if (!template.startsWith('/')) this.#complain(path, 'a path begins with a slash');
    const names = [...template.matchAll(/\{([^{}]*)\}/g)].map(([, name]) => name);
    const literals = template.replaceAll(/\{[A-Za-z0-9._~-]+\}/g, '');
    if (new Set(names).size < names.length) this.#complain(path, 'names a parameter twice');
    else if (/[{}]/.test(literals))
      this.#complain(path, 'has a parameter that is not {name}: one stands for one segment or a part of it');
    else if (/\}\{/.test(template)) this.#complain(path, 'has two parameters with nothing between them');
    else if (!/^[A-Za-z0-9._~!$&'()*+,=:@/-]*$/.test(literals))
      this.#complain(path, 'has characters that no plain path has');
    else if (/\/\//.test(template) || template.split('/').some((segment) => /^\.+$/.test(segment)))
      this.#complain(path, 'has empty segments or segments of dots');
    return this.problems.length === before;
  }

  #complain(path: Path, message: string): void {
    this.problems.push({ path, message });
  }
}

function unescaped(part: string): string | undefined {
  try {
    return decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shown(path: Path): string {
  return path.length === 0 ? 'openapi' : path.join('.');
}

/** The line of the deepest key of `path` that the document has. */
function lineOf(document: Document, counter: LineCounter, path: Path): number {
  let offset = 0;
  for (const [index, part] of path.entries()) {
    const parent: unknown = index === 0 ? document.contents : document.getIn(path.slice(0, index), true);
    if (isMap(parent)) {
      const pair = parent.items.find(({ key }) => isScalar(key) && key.value === part);
      if (!isScalar(pair?.key)) break;
      offset = pair.key.range?.[0] ?? offset;
    } else {
      const item: unknown = document.getIn(path.slice(0, index + 1), true);
      if (isScalar(item) || isMap(item)) offset = item.range?.[0] ?? offset;
    }
  }
  return Math.max(1, counter.linePos(offset).line);
}
