import { hash } from 'node:crypto';
import type { Action, Classified, Command, Facts, Resource } from '../../model/command.ts';
import type { FetchRequest } from './fetch-request.ts';
import type { Push, RefUpdate, UpdateKind } from './push.ts';

/** Resources of one fetch, and lines of one text: beyond these a digest stands for the rest. */
const maxResources = 32;
const maxLines = 1000;

export function facts(verb: string, more: Partial<Facts> = {}): Facts {
  return { statements: 1, hasWhere: false, functions: [], verbs: [verb], ...more };
}

export function repositoryResource(id: string, access: Resource['access']): Resource {
  return { type: 'Repository', id, access };
}

function refResource(repository: string, ref: string, access: Resource['access']): Resource {
  return { type: 'Ref', id: `${repository}:${ref}`, access };
}

/**
 * Reading refs of a repository, or where there are none the repository itself: what decides on what a caller gets to know. A ref
 * lies in its repository for policy, so a rule about the repository is one about its refs.
 */
export function readOf(repository: string, refs: readonly string[]): Classified {
  return {
    verb: 'FETCH',
    actions: ['read'],
    resources:
      refs.length === 0
        ? [repositoryResource(repository, 'read')]
        : refs.map((ref) => refResource(repository, ref, 'read')),
    facts: facts('FETCH'),
  };
}

/** `what` tells which of the questions about refs it is, in git's words. */
export function listCommand(repository: string, what: string): Command {
  return {
    classified: {
      verb: 'LIST',
      actions: ['read'],
      resources: [repositoryResource(repository, 'read')],
      facts: facts('LIST', { values: [`service=${what}`] }),
    },
    text: `list refs of ${repository} (${what})`,
  };
}

/** What a fetch asks for, as its caller may be told: each object by a ref it was shown, or by nothing but its id. */
export interface Wanted {
  readonly id: string | undefined;
  readonly ref: string | undefined;
}

/**
 * What is approved is what is wanted and how much of it: what the client has already (its haves) changes only how much is sent,
 * and differs from one try to the next.
 */
export function fetchCommand(repository: string, request: FetchRequest, wanted: readonly Wanted[]): Command {
  const refs = [...new Set(wanted.flatMap(({ ref }) => ref ?? []))].sort();
  const loose = wanted.flatMap(({ id, ref }) => (ref === undefined && id !== undefined ? [id] : [])).sort();
  const bounds = [
    ...(request.deepen === undefined ? [] : [`depth=${request.deepen}`]),
    ...(request.deepenSince === undefined ? [] : [`shallow-since=${request.deepenSince}`]),
    ...request.deepenNot.map((name) => `shallow-exclude=${name}`),
    ...(request.words.has('deepen-relative') ? ['deepen-relative=true'] : []),
    ...(request.filter === undefined ? [] : [`filter=${request.filter}`]),
  ];
  const lines = wanted
    .map(({ id, ref }) => [id, ref].filter((word) => word !== undefined).join(' '))
    .sort()
    .map((line) => `want ${line}`);
  const resources: Resource[] = [
    ...(refs.length === 0 ? [repositoryResource(repository, 'read')] : []),
    ...refs.slice(0, maxResources).map((ref) => refResource(repository, ref, 'read')),
    ...loose
      .slice(0, maxResources)
      .map((id): Resource => ({ type: 'Object', id: `${repository}@${id}`, access: 'read' })),
  ];
  return {
    classified: {
      verb: 'FETCH',
      actions: ['read'],
      resources,
      facts: facts('FETCH', {
        fields: [...new Set(bounds.map((bound) => bound.slice(0, bound.indexOf('='))))],
        values: bounds.slice(0, 100),
        findings: loose.length > 0 ? ['want.unadvertised'] : [],
      }),
    },
    text: [`fetch ${repository}`, ...shortened(lines), ...bounds].join('\n'),
    scope: repository,
  };
}

function shortened(lines: readonly string[]): string[] {
  if (lines.length <= maxLines) return [...lines];
  const all = hash('sha256', lines.join('\n'));
  return [...lines.slice(0, maxLines), `and ${lines.length - maxLines} more, all of them SHA-256 ${all}`];
}

/** What an update does to the ref, mildest first. Whatever takes commits out of reach destroys. */
const actionsOf: Readonly<Record<UpdateKind, readonly Action[]>> = {
  create: ['write'],
  fastForward: ['write'],
  tagCreate: ['write'],
  force: ['write', 'destroy'],
  tagMove: ['write', 'destroy'],
  delete: ['destroy'],
  tagDelete: ['destroy'],
};

const kindVerbs: Readonly<Record<UpdateKind, string>> = {
  create: 'CREATE',
  fastForward: 'FAST_FORWARD',
  force: 'FORCE',
  delete: 'DELETE',
  tagCreate: 'TAG_CREATE',
  tagMove: 'TAG_MOVE',
  tagDelete: 'TAG_DELETE',
};

/** One ref update, inspected. */
export interface Part {
  readonly update: RefUpdate;
  readonly kind: UpdateKind;
  /** Words for policy; those about the whole push included. */
  readonly findings: readonly string[];
}

export function partOf(push: Push, { update, kind, findings }: Part): Classified {
  const { repository, options } = push;
  return {
    verb: 'PUSH',
    actions: actionsOf[kind],
    resources: [refResource(repository, update.ref, 'write')],
    facts: facts('PUSH', {
      verbs: ['PUSH', kindVerbs[kind]],
      findings: [...new Set(findings)].sort(),
      fields: options.length > 0 ? ['push-option'] : [],
      values: [`kind=${kind}`, ...options.slice(0, 100).map((option) => `push-option=${option}`)],
    }),
  };
}

const kindWords: Readonly<Record<UpdateKind, string>> = {
  create: 'create',
  fastForward: 'fast-forward',
  force: 'force',
  delete: 'delete',
  tagCreate: 'create tag',
  tagMove: 'move tag',
  tagDelete: 'delete tag',
};

/** The updates that go on together, as one command. A yes is for these refs, from these ids to these, with these options. */
export function pushCommand(push: Push, parts: readonly Part[], preview?: string): Command {
  const classified = parts.map((part) => partOf(push, part));
  const union = <T>(lists: readonly (readonly T[] | undefined)[]): T[] => [
    ...new Set(lists.flatMap((list) => list ?? [])),
  ];
  const actions = union(classified.map((part) => part.actions));
  const order: readonly Action[] = ['write', 'destroy'];
  const findings = union(classified.map((part) => part.facts.findings)).sort();
  return {
    classified: {
      verb: 'PUSH',
      actions: order.filter((action) => actions.includes(action)),
      resources: parts.map(({ update }) => refResource(push.repository, update.ref, 'write')),
      facts: {
        statements: parts.length,
        hasWhere: false,
        functions: [],
        verbs: union(classified.map((part) => part.facts.verbs)),
        findings,
        fields: union(classified.map((part) => part.facts.fields)),
        values: union(classified.map((part) => part.facts.values)),
      },
      parts: classified,
    },
    text: [
      `push to ${push.repository}${push.atomic ? ' (atomic)' : ''}`,
      ...parts.map(
        ({ update, kind }) => `${kindWords[kind]} ${update.ref} ${update.old ?? 'none'} → ${update.new ?? 'none'}`,
      ),
      ...push.options.map((option) => `push option ${JSON.stringify(option)}`),
      ...(findings.length === 0 ? [] : [`found: ${findings.join(', ')}`]),
    ].join('\n'),
    parameters: parts.map(({ update }) => `${update.ref} ${update.old ?? ''} ${update.new ?? ''}`),
    scope: JSON.stringify([push.repository, push.objectFormat, push.atomic, push.options]),
    ...(preview === undefined ? {} : { preview }),
  };
}
