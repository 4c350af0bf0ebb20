import type { Action, Classified, Resource } from '../../../model/command.ts';
import { Refusal } from '../../../model/errors.ts';
import type { RequestHead } from '../../../web/message.ts';
import { accessOf, actionsOf, checkMethod, sortActions } from './actions.ts';
import { awsMeaning } from './aws.ts';
import { carryBody, type KnownBody } from './body.ts';
import { Carried } from './carried.ts';
import { carryForm } from './form.ts';
import { graphqlMeaning, isGraphqlPath } from './graphql.ts';
import { checkOverrides, mayOverride } from './override.ts';
import { type PathRules, readPath } from './path.ts';
import { refusePresigned } from './presigned.ts';
import type { Route, Routes } from './routes.ts';
import { s3Meaning } from './s3.ts';

export type { KnownBody } from './body.ts';

/** More are nobody's honest query. */
const mostParameters = 1000;

/** What a target's settings make of its requests; see `openRules`. */
export interface Rules {
  readonly paths: PathRules;
  /** Undefined where the target has no OpenAPI document. Templates as callers see paths. */
  readonly routes: Routes | undefined;
  /** Paths that take GraphQL. */
  readonly graphql: readonly string[];
  /** The AWS service that the target is; S3's paths are `/bucket/key`. */
  readonly aws: string | undefined;
  readonly messages: 'recorded' | 'commands';
}

/**
 * What a request means: verb, actions, route and whatever its query and body say. `path` is what follows `/<target>`, with its query,
 * exactly as it will go upstream behind the address. Throws Refusal UNPARSABLE where servers could read the request differently,
 * UNSUPPORTED for what is never passed on.
 */
export function classifyRequest(request: RequestHead, path: string, body: KnownBody, rules: Rules): Classified {
  const { method, fields } = request;
  checkMethod(method);
  const mark = path.indexOf('?');
  const query = mark < 0 ? '' : path.slice(mark + 1);
  checkQuery(query);
  const readings = readPath(mark < 0 ? path : path.slice(0, mark), rules.paths);

  const carried = new Carried();
  carryForm(query, 'query', carried);
  carryBody(body, fields, carried);
  checkOverrides(method, query, fields, carried);
  const routed = route(method, readings, rules.routes);
  if (routed.finding !== undefined) carried.found(routed.finding);
  const meaning = special({ request, query, readings, body, rules, carried });
  const actions = sortActions(meaning.actions ?? routed.actions);
  const access = accessOf(actions);
  const paths = routed.ids.map((id): Resource => ({ type: 'Path', id, access }));
  return {
    verb: meaning.verb ?? method,
    actions,
    resources: [...paths, ...(meaning.objects ?? [])],
    facts: {
      statements: meaning.statements ?? 1,
      hasWhere: false,
      functions: [],
      verbs: [method, ...(meaning.verbs ?? [])],
      findings: carried.findings,
      fields: carried.fields,
      values: carried.values,
    },
  };
}

/** Whether a request without a body means what it means by its method and path alone. */
export function dependsOnHead({ fields, upgrade }: RequestHead, rules: Rules): boolean {
  return upgrade !== undefined || rules.aws !== undefined || mayOverride(fields);
}

interface Special {
  readonly verb?: string;
  readonly verbs?: readonly string[];
  readonly actions?: readonly Action[];
  readonly objects?: readonly Resource[];
  readonly statements?: number;
}

interface Looked {
  readonly request: RequestHead;
  readonly query: string;
  readonly readings: readonly string[];
  readonly body: KnownBody;
  readonly rules: Rules;
  readonly carried: Carried;
}

/** What a method at a path does not say. */
function special({ request, query, readings, body, rules, carried }: Looked): Special {
  const { method, fields, upgrade } = request;
  const isGraphql = isGraphqlPath(readings, rules.graphql);
  if (upgrade !== undefined) return upgraded(upgrade, isGraphql, rules);
  if (isGraphql && method !== 'OPTIONS') return graphqlMeaning(method, query, fields, body, carried);
  if (rules.aws !== undefined) {
    refusePresigned(request.target);
    if (rules.aws !== 's3') return awsMeaning(rules.aws, fields, carried) ?? {};
    return s3Meaning({ method, readings, query, fields, body, rules: rules.paths });
  }
  return {};
}

/** What flows after an upgrade is not known beforehand: it can be anything that the target does. */
function upgraded(upgrade: string, isGraphql: boolean, rules: Rules): Special {
  if (upgrade !== 'websocket')
    throw new Refusal('UNSUPPORTED', `an upgrade to ${JSON.stringify(upgrade.slice(0, 50))} is not passed on`, {
      advice: 'use HTTP or WebSocket',
    });
  if (isGraphql && rules.messages !== 'commands')
    throw new Refusal('UNSUPPORTED', 'GraphQL over WebSocket is not taken at this target', {
      advice: 'use POST; or its operator sets messages: commands',
    });
  // With commands each message is decided on by itself.
  return {
    verb: 'WEBSOCKET',
    verbs: ['WEBSOCKET'],
    actions: rules.messages === 'commands' ? ['read'] : ['read', 'write'],
  };
}

function checkQuery(query: string): void {
  if (query.split(/[&;]/, mostParameters + 1).length > mostParameters) {
    throw new Refusal('LIMIT_EXCEEDED', `the query has more than ${mostParameters} parameters`, {
      advice: 'put them into the body',
    });
  }
  if (!query.includes('#') && !/%(?![0-9A-Fa-f]{2})/.test(query)) return;
  throw new Refusal('UNPARSABLE', 'the query has a % that begins no percent-encoding, or a fragment', {
    advice: 'write %25 for a percent sign, %23 for #',
  });
}

interface Routed {
  readonly ids: readonly string[];
  readonly actions: readonly Action[];
  readonly finding?: string;
}

/**
 * The route templates of a path, or the path itself where it has none, and what the method does there. Readings that lead to two
 * templates are refused; a reading that leads to none is asked about by itself, beside the template of the others.
 */
function route(method: string, readings: readonly string[], routes: Routes | undefined): Routed {
  const usual = actionsOf(method);
  if (routes === undefined) return { ids: readings, actions: usual };
  const found = new Set<Route>();
  const strangers = new Set<string>();
  for (const reading of readings) {
    const exact = routes.match(reading);
    if (exact === undefined) strangers.add(reading);
    // Many servers take `/a/` and `/a` for the same.
    const match = exact ?? routes.match(reading.endsWith('/') ? reading.slice(0, -1) : `${reading}/`);
    if (match !== undefined) found.add(match);
  }
  const [only, other] = found;
  if (only !== undefined && other !== undefined) {
    throw new Refusal('UNPARSABLE', `the path could be ${only.template} as well as ${other.template}`, {
      advice: 'write it without percent-encodings, parameters and repeated slashes',
    });
  }
  const ids = [...(only === undefined ? [] : [only.template]), ...strangers];
  if (only === undefined) return { ids, actions: usual, finding: 'route.unknown' };
  const listed = method === 'HEAD' && !only.operations.has('HEAD') ? 'GET' : method;
  const claimed = only.operations.get(listed) ?? undefined;
  if (!only.operations.has(listed) && method !== 'OPTIONS') return { ids, actions: usual, finding: 'method.unlisted' };
  if (strangers.size > 0) return { ids, actions: [...usual, ...(claimed ?? [])], finding: 'route.unknown' };
  return { ids, actions: claimed ?? usual };
}
