import { z } from 'zod';
import { frame, listenSchema, targetFrame } from './schema.ts';

/** What a configuration has to know of each protocol, by its name. */
export type ProtocolSchemas = ReadonlyMap<string, { readonly settings: z.ZodType; readonly listens: string }>;

export function protocolSchemas(
  protocols: Iterable<{ readonly name: string; readonly settings: z.ZodType; readonly listens?: string }>,
): ProtocolSchemas {
  return new Map([...protocols].map(({ name, settings, listens = name }) => [name, { settings, listens }]));
}

/** The keys of `listen:` besides `api`. */
export function listenKeys(schemas: ProtocolSchemas): readonly string[] {
  return [...new Set([...schemas.values()].map(({ listens }) => listens))];
}

/** The part of JSON Schema that zod writes and that is read here. */
export interface Schema {
  readonly [keyword: string]: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly description?: string;
  readonly path?: boolean;
}

const options = { io: 'input', unrepresentable: 'any', reused: 'inline' } as const;

/** JSON Schema (2020-12) of sallyport.yaml, for editors. */
export function configJsonSchema(schemas: ProtocolSchemas): Schema {
  const base = jsonSchema(frame);
  const targets = [...schemas].map(([protocol, { settings }]) => targetSchema(protocol, settings));
  return {
    ...base,
    title: 'sallyport.yaml',
    required: ['listen', ...(Array.isArray(base.required) ? base.required : [])],
    properties: {
      ...base.properties,
      listen: jsonSchema(listenSchema(listenKeys(schemas))),
      targets: { ...base.properties?.targets, additionalProperties: { oneOf: targets } },
    },
  };
}

/** The JSON Schema of one target that speaks `protocol`. */
export function targetSchema(protocol: string, settings: z.ZodType): Schema {
  const own = jsonSchema(targetFrame);
  const theirs = jsonSchema(settings);
  return {
    ...theirs,
    properties: {
      ...own.properties,
      protocol: { const: protocol, description: 'the protocol that the target speaks' },
      ...theirs.properties,
    },
    required: ['protocol', 'labels', ...(Array.isArray(theirs.required) ? theirs.required : [])],
  };
}

export function jsonSchema(schema: z.ZodType): Schema {
  return z.toJSONSchema(schema, options) as Schema;
}

/** Every key of the configuration, as documented: `listen.api`, `targets.*.labels`, `issuers[].name`. Sorted. */
export function configKeys(schemas: ProtocolSchemas): string[] {
  const keys = new Set<string>();
  collect(configJsonSchema(schemas), '', keys);
  return [...keys].sort();
}

function collect(schema: Schema, prefix: string, keys: Set<string>): void {
  for (const [key, child] of Object.entries(schema.properties ?? {})) {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    keys.add(path);
    collect(child, path, keys);
  }
  if (typeof schema.additionalProperties === 'object') collect(schema.additionalProperties, `${prefix}.*`, keys);
  if (schema.items !== undefined) collect(schema.items, `${prefix}[]`, keys);
  for (const branch of branches(schema)) collect(branch, prefix, keys);
}

/** The alternatives of a schema, and theirs. */
export function branches(schema: Schema): readonly Schema[] {
  const own = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])];
  return own.flatMap((branch) => [branch, ...branches(branch)]);
}

/** The keys that a map at `path` may have. */
export function knownKeys(schema: Schema, path: readonly PropertyKey[]): string[] {
  return [...new Set(at([schema], path).flatMap((found) => Object.keys(found.properties ?? {})))];
}

function at(schemas: readonly Schema[], path: readonly PropertyKey[]): readonly Schema[] {
  const all = schemas.flatMap((schema) => [schema, ...branches(schema)]);
  const [part, ...rest] = path;
  if (part === undefined) return all;
  const next = all.flatMap((schema): Schema | readonly Schema[] => {
    if (typeof part === 'number') return schema.items ?? [];
    const named = Object.hasOwn(schema.properties ?? {}, String(part)) ? schema.properties?.[String(part)] : undefined;
    return named ?? (typeof schema.additionalProperties === 'object' ? schema.additionalProperties : []);
  });
  return at(next, rest);
}

/** A copy of `value` in which every string that the schema marks as a path went through `resolve`. */
export function resolvePaths(schema: Schema, value: unknown, resolve: (path: string) => string): unknown {
  const all = [schema, ...branches(schema)];
  if (typeof value === 'string') return all.some(({ path }) => path === true) ? resolve(value) : value;
  if (Array.isArray(value)) {
    const items = all.flatMap((found): readonly Schema[] => (found.items === undefined ? [] : [found.items]));
    return value.map((item) => resolvePaths({ anyOf: items }, item, resolve));
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [key, resolvePaths({ anyOf: at([schema], [key]) }, child, resolve)]),
  );
}
