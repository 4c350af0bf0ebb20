import type { ApprovalRequest } from '../model/approval.ts';
import type { Resource } from '../model/command.ts';
import type { Principal } from '../model/principal.ts';
import type { Target } from '../model/target.ts';
import type { Entity, EntityRef } from './question.ts';

/** An entity with all that is above it: what a question about it must carry. The entity itself comes first. */
export type Slice = readonly [Entity, ...Entity[]];

/** Beyond this a principal is refused: its description is part of every question. */
export const principalLimits = { groups: 1000, claims: 200, characters: 100_000 } as const;

/**
 * `matters` tells which groups some policy speaks of; the others change no answer and are left out. A claim is a tag with its
 * text; a claim that is a list is one tag `claim:element` per element, whose text is `true`. Throws RangeError when there is too much of it.
 */
export function principalSlice(principal: Principal, matters: (group: string) => boolean): Slice {
  const { kind, issuer, subject, owner, groups, claims } = principal;
  const tags = claimTags(claims);
  if (groups.length > principalLimits.groups || Object.keys(tags).length > principalLimits.claims) {
    throw new RangeError('the principal has too many groups or claims');
  }
  const size = [principal.id, subject, ...groups, ...Object.entries(tags).flat()].reduce(
    (sum, text) => sum + text.length,
    0,
  );
  if (size > principalLimits.characters) throw new RangeError('the principal has too many groups or claims');
  return [
    {
      uid: { type: 'Principal', id: principal.id },
      attrs: { id: principal.id, kind, issuer, subject, ...(owner === undefined ? {} : { owner }) },
      parents: [...new Set(groups)].filter(matters).map((id) => ({ type: 'Group', id })),
      tags,
    },
  ];
}

function claimTags(claims: Principal['claims']): Record<string, string> {
  const tags = new Map<string, string>();
  const lists: string[] = [];
  for (const [claim, value] of Object.entries(claims)) {
    if (typeof value === 'object') lists.push(...value.map((element) => `${claim}:${element}`));
    else tags.set(claim, String(value));
  }
  for (const tag of lists) {
    // An element is chosen outside; it must not be able to pass for another claim.
    if (tags.has(tag) && tags.get(tag) !== 'true') throw new RangeError(`the claim ${tag} is ambiguous`);
    tags.set(tag, 'true');
  }
  return Object.fromEntries(tags);
}

export function targetSlice({ name, protocol, labels }: Target): Slice {
  return [{ uid: { type: 'Target', id: name }, attrs: { name, protocol }, parents: [], tags: { ...labels } }];
}

/**
 * The id of everything inside a target is `<target>/<id>`. Tables and functions lie in the schema that their id begins with,
 * columns in the table theirs begins with, refs in the repository before their last colon.
 */
export function resourceSlice({ type, id }: Resource, target: Slice): Slice {
  const [{ uid }] = target;
  const entity = (
    kind: string,
    name: string,
    attrs: Record<string, string>,
    parents: readonly EntityRef[],
  ): Entity => ({
    uid: { type: kind, id: `${uid.id}/${name}` },
    attrs: { name, ...attrs },
    parents,
  });
  const schema = (name: string): Entity => entity('Schema', name, {}, [uid]);
  const table = (name: string): Slice => {
    const within = schema(allButLast(name));
    return [entity('Table', name, { schema: within.attrs.name as string }, [within.uid]), within, ...target];
  };
  switch (type) {
    case 'Table':
      return table(id);
    case 'Column': {
      const within = table(allButLast(id));
      return [entity('Column', id, { table: within[0].attrs.name as string }, [within[0].uid]), ...within];
    }
    case 'Function': {
      const within = schema(allButLast(id));
      return [entity('Function', id, {}, [within.uid]), within, ...target];
    }
    case 'Ref': {
      const colon = id.lastIndexOf(':');
      const within = entity('Repository', id.slice(0, Math.max(0, colon)), {}, [uid]);
      const attrs = { repository: within.attrs.name as string, ref: id.slice(colon + 1) };
      return [entity('Ref', id, attrs, [within.uid]), within, ...target];
    }
    default:
      return [entity(type, id, {}, [uid]), ...target];
  }
}

/** `public.customers` of `public.customers.ssn`; dots inside double quotes do not count. Empty when there is only one part. */
function allButLast(name: string): string {
  let quoted = false;
  let dot = -1;
  for (let i = 0; i < name.length; i++) {
    if (name[i] === '"') quoted = !quoted;
    else if (name[i] === '.' && !quoted) dot = i;
  }
  return dot < 0 ? '' : name.slice(0, dot);
}

/** `pii.ssn` lies in `pii`. */
export function classificationSlice(classification: string): Slice {
  const parts = classification.split('.').slice(0, 16);
  const names = [
    classification,
    ...parts
      .slice(0, -1)
      .map((_, i) => parts.slice(0, i + 1).join('.'))
      .reverse(),
  ];
  const ref = (id: string): EntityRef => ({ type: 'Classification', id });
  const entities = names.map((name, i): Entity => {
    const above = names[i + 1];
    return { uid: ref(name), attrs: { name }, parents: above === undefined ? [] : [ref(above)] };
  });
  return entities as unknown as Slice;
}

export function approvalSlice(request: ApprovalRequest, target: Slice): Slice {
  const { requester, rule, verb, approvers } = request;
  const owner = requester.owner === undefined ? {} : { requesterOwner: requester.owner };
  const attrs = { rule, verb, requester: requester.id, requesterKind: requester.kind, ...owner, approvers };
  return [{ uid: { type: 'ApprovalRequest', id: request.id }, attrs, parents: [target[0].uid] }, ...target];
}

export const gatewaySlice: Slice = [{ uid: { type: 'Gateway', id: 'gateway' }, attrs: {}, parents: [] }];
