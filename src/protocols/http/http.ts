import type { Gateway, Inspection } from '../../gateway/protocol.ts';
import type { Classified, Command } from '../../model/command.ts';
import { Refusal } from '../../model/errors.ts';
import type { Target } from '../../model/target.ts';
import { field, type RequestHead, type ServerCall } from '../../web/message.ts';
import { OpenedTargets } from '../../web/opened-targets.ts';
import type { Route, WebProtocol } from '../../web/protocol.ts';
import { statusPath } from '../../web/status.ts';
import { classifyRequest } from './classify/classify.ts';
import { signedToken } from './credentials/sigv4/verify.ts';
import { HttpExchange } from './exchange.ts';
import { binding, recordable } from './fields.ts';
import { forwarding } from './forward.ts';
import { refuseHttp } from './refusals.ts';
import { replay } from './replay.ts';
import { type RequestBody, readRequestBody, readWhole } from './request-body.ts';
import { type HttpSettings, httpSettings } from './settings.ts';
import { HttpTarget } from './target.ts';

/** HTTP/1.1, HTTP/2, WebSocket, server-sent events and gRPC to targets that speak them. See README.md in this folder. */
export function createHttp(): WebProtocol<HttpSettings> {
  const targets = new OpenedTargets((target: Target<HttpSettings>) => new HttpTarget(target));
  return {
    name: 'http',
    prefix: '',
    challenge: 'Bearer',
    settings: httpSettings,
    hosts: (target) => target.settings.hosts,
    refuse: refuseHttp,
    credential: ({ fields }) => signedToken(fields),
    async request(call, route, gateway) {
      await answer(call, route, targets.of(route.line.target as Target<HttpSettings>, gateway), gateway);
    },
    inspect: (target, gateway) => inspect(targets.of(target, gateway), gateway),
    async classify(target, text, gateway) {
      return classifyText(text, targets.of(target, gateway));
    },
    replay,
  };
}

/** One request, from its head to the end of its answer. */
async function answer(call: ServerCall, route: Route, target: HttpTarget, gateway: Gateway): Promise<void> {
  const { request } = call;
  const { line, path, base } = route;
  if (path.length > gateway.limits.commandBytes) throw new Refusal('LIMIT_EXCEEDED', 'the path is too long');
  let body = await readRequestBody(request, call.body, target.settings.inspectBytes);
  const { classified, refusal: misunderstood } = meaningOf(request, path, body, target);
  // A yes is bound to all of a request. Only where one is needed is a long body worth keeping.
  const unread = body.known === 'too large';
  if (unread && misunderstood === undefined && line.decide(classified).outcome === 'hold') body = await readWhole(body);
  const command: Command = {
    classified,
    text: `${request.method} ${path}`,
    ...(body.parameter === undefined ? {} : { parameters: [body.parameter] }),
    scope: binding(request.fields),
  };
  const way = await forwarding(call, route, body, classified, target, gateway).catch(refusalOf);
  const refusal = misunderstood ?? (way instanceof Refusal ? way : undefined);
  const exchange = new HttpExchange(
    {
      call,
      command,
      ...(refusal === undefined ? {} : { refusal }),
      ended: line.signal,
      described: {
        text: command.text,
        ...(command.parameters === undefined ? {} : { parameters: command.parameters }),
        fields: recordable(request.fields),
      },
      statusPath: (id) => statusPath(base, id),
      maskable: ({ masks }) => (target.canBeRenamed(classified, masks) ? renamed() : undefined),
      ...(way instanceof Refusal ? nowhere(way) : way),
    },
    /(?:^|,)\s*respond-async\s*(?:[,;]|$)/i.test(field(request.fields, 'prefer') ?? ''),
  );
  void line.run(exchange);
  await exchange.finished;
}

function renamed(): Refusal {
  return new Refusal(
    'MASK_IMPOSSIBLE',
    'a field under an alias cannot be told from another, and some fields of this reply are classified',
    {
      advice: 'ask for fields by their own names, in several requests where one name is needed twice',
    },
  );
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  throw error;
}

/** The way of a request that is refused: it is never gone. */
function nowhere(refusal: Refusal): Awaited<ReturnType<typeof forwarding>> {
  const never = () => {
    throw refusal;
  };
  return { send: never, show: never, coder: never, showSwitched: never, relay: never, detail: () => ({}) };
}

const notUnderstood: Classified = {
  verb: 'UNKNOWN',
  actions: ['administer'],
  resources: [],
  facts: { statements: 1, hasWhere: false, functions: [], verbs: ['UNKNOWN'] },
};

function meaningOf(
  request: RequestHead,
  path: string,
  body: RequestBody,
  target: HttpTarget,
): { readonly classified: Classified; readonly refusal?: Refusal } {
  try {
    return { classified: target.classified(request, path, body.known) };
  } catch (error) {
    if (error instanceof Refusal) return { classified: notUnderstood, refusal: error };
    throw error;
  }
}

/** `POST /v1/orders {"amount":1}` */
function classifyText(text: string, target: HttpTarget): Classified {
  const [, method, path, body] = /^\s*(\S+)\s+(\/\S*)\s*([\s\S]*)$/.exec(text) ?? [];
  if (method === undefined || path === undefined)
    throw new Refusal('UNPARSABLE', 'expected a method and a path, such as: GET /v1/customers?limit=10');
  const fields = body === '' ? [] : ['content-type', 'application/json'];
  const request: RequestHead = { version: '1.1', method, target: path, authority: 'target', fields };
  return classifyRequest(
    request,
    path,
    body === undefined || body === '' ? undefined : Buffer.from(body),
    target.rules,
  );
}

async function inspect(target: HttpTarget, gateway: Gateway): Promise<Inspection> {
  return target.inspect(gateway);
}
