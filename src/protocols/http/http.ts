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
import { HttpExchange, type HttpWay } from './exchange.ts';
import { binding } from './fields.ts';
import { type Asked, forwarding } from './forward.ts';
import { HeldBodies } from './held-bodies.ts';
import { preview } from './preview.ts';
import { refuseHttp } from './refusals.ts';
import { replay } from './replay.ts';
import { bodyless, type RequestBody, readRequestBody, readWhole, wholeLength } from './request-body.ts';
import { type HttpSettings, httpSettings } from './settings.ts';
import { HttpTarget } from './target.ts';

/** HTTP/1.1, HTTP/2, WebSocket, server-sent events and gRPC to targets that speak them. See README.md in this folder. */
export function createHttp(): WebProtocol<HttpSettings> {
  const targets = new OpenedTargets((target: Target<HttpSettings>) => new HttpTarget(target));
  const room = new HeldBodies();
  return {
    name: 'http',
    prefix: '',
    challenge: 'Bearer',
    settings: httpSettings,
    hosts: (target) => target.settings.hosts,
    refuse: refuseHttp,
    credential: ({ fields }) => signedToken(fields),
    request(call, route, gateway) {
      const target = targets.of(route.line.target as Target<HttpSettings>, gateway);
      // Most requests have no body, and nothing to wait for then.
      if (call.body.length === 0)
        return send(
          { call, route, target, ...meaningOf(call.request, route.path, bodyless(call.body), target, gateway) },
          gateway,
        );
      return sendWithBody(call, route, target, gateway, room);
    },
    inspect: (target, gateway) => inspect(targets.of(target, gateway), gateway),
    async classify(target, text, gateway) {
      return classifyText(text, targets.of(target, gateway));
    },
    replay,
  };
}

async function sendWithBody(
  call: ServerCall,
  route: Route,
  target: HttpTarget,
  gateway: Gateway,
  room: HeldBodies,
): Promise<void> {
  using used = new DisposableStack();
  const { line, path } = route;
  const body = await readRequestBody(call.request, call.body, target.settings.inspectBytes);
  let meant = meaningOf(call.request, path, body, target, gateway);
  // A yes is bound to all of a request. Only where one is needed is a long body worth keeping.
  if (
    body.known === 'too large' &&
    meant.misunderstood === undefined &&
    line.decide(meant.classified).outcome === 'hold'
  ) {
    try {
      used.defer(room.take(line.session.principal.id, wholeLength(body)));
      meant = { ...meant, body: await readWhole(body) };
    } catch (error) {
      // A refusal like any other: it is recorded before anybody reads it.
      meant = { ...meant, misunderstood: refusalOf(error) };
    }
  }
  await send({ call, route, target, ...meant }, gateway);
}

/** A request and what it means. */
interface Understood extends Asked {
  /** Why it does not mean anything that could be sent. */
  readonly misunderstood: Refusal | undefined;
}

/** One request, to the end of its answer. */
function send(asked: Understood, gateway: Gateway): Promise<void> {
  let way: HttpWay | Promise<HttpWay> | Refusal;
  try {
    way = forwarding(asked, gateway);
  } catch (error) {
    way = refusalOf(error);
  }
  return way instanceof Promise ? way.catch(refusalOf).then((found) => run(asked, found)) : run(asked, way);
}

function run(
  { call, route, body, classified, target, misunderstood }: Understood,
  way: HttpWay | Refusal,
): Promise<void> {
  const { request } = call;
  const { line, path, base } = route;
  const command: Command = {
    classified,
    text: `${request.method} ${path}`,
    ...(body.parameter === undefined ? {} : { parameters: [body.parameter] }),
    get scope() {
      return binding(request.fields);
    },
    get preview() {
      return preview(request.fields, body);
    },
  };
  const prefer = field(request.fields, 'prefer');
  const exchange = new HttpExchange(
    {
      call,
      command,
      refusal: misunderstood ?? (way instanceof Refusal ? way : undefined),
      ends: target.endOf(line),
      statusPath: (id) => statusPath(base, id),
      maskable: ({ masks }) => (target.canBeRenamed(classified, masks) ? renamed() : undefined),
      way: way instanceof Refusal ? nowhere(way) : way,
    },
    prefer !== undefined && /(?:^|,)\s*respond-async\s*(?:[,;]|$)/i.test(prefer),
  );
  void line.run(exchange);
  return exchange.finished;
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
function nowhere(refusal: Refusal): HttpWay {
  const never = () => {
    throw refusal;
  };
  return {
    send: never,
    showInterim: never,
    show: never,
    coder: never,
    showSwitched: never,
    relay: never,
    detail: () => ({}),
  };
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
  { limits }: Gateway,
): Pick<Understood, 'body' | 'classified' | 'misunderstood'> {
  try {
    if (path.length > limits.commandBytes) throw new Refusal('LIMIT_EXCEEDED', 'the path is too long');
    return { body, classified: target.classified(request, path, body.known), misunderstood: undefined };
  } catch (error) {
    if (error instanceof Refusal) return { body, classified: notUnderstood, misunderstood: error };
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
