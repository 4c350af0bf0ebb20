import type { Gateway, Inspection, Line } from '../../gateway/protocol.ts';
import type { Classified } from '../../model/command.ts';
import type { MaskMethod } from '../../model/decision.ts';
import { ConfigError } from '../../model/errors.ts';
import type { Target } from '../../model/target.ts';
import { type BodyRules, bodyRules } from '../../web/bodies/rules.ts';
import type { RequestHead } from '../../web/message.ts';
import { readHost } from '../../web/upstream/addresses.ts';
import { openUpstream, type Upstream } from '../../web/upstream/upstream.ts';
import { classifyRequest, dependsOnHead, type KnownBody, type Rules } from './classify/classify.ts';
import { classifyMessage } from './classify/message.ts';
import { openRules } from './classify/rules.ts';
import { type Credentials, openCredentials } from './credentials/credentials.ts';
import { createInjector, type Injector } from './credentials/injector.ts';
import { SessionEnd } from './session-end.ts';
import { type ClassifiedField, type HttpSettings, parseClassifiedField } from './settings.ts';

/** Requests without a body that mean the same as one before: their meaning, and so their decision, is remembered. */
const mostMeanings = 2000;

/** One configured target: what its settings make of requests and replies, and the way to it. */
export class HttpTarget {
  readonly settings: HttpSettings;
  readonly rules: Rules;
  readonly upstream: Upstream;
  readonly #target: Target<HttpSettings>;
  readonly #classified: readonly (ClassifiedField & { readonly classification: string })[];
  readonly #bodyRules = new Map<string, BodyRules>();
  /** By the meaning itself: those that are remembered are asked about again and again. */
  readonly #rulesOf = new WeakMap<Classified, BodyRules>();
  readonly #meanings = new Map<string, Classified>();
  readonly #injector: Injector;
  readonly #ends = new WeakMap<Line, SessionEnd>();
  readonly #credentials = new WeakMap<Line, Credentials | Promise<Credentials>>();

  /** Throws ConfigError for an OpenAPI document that cannot be used. */
  constructor(target: Target<HttpSettings>) {
    const { settings, name } = target;
    const { scheme, host, port } = settings.address;
    const dialled = readHost(host);
    if (dialled === undefined) throw new ConfigError(`targets.${name}.address: ${host} is no host that can be dialled`);
    this.settings = settings;
    this.rules = openRules(settings);
    this.#target = target;
    this.#injector = createInjector(settings.credential?.as, { now: Date.now, fetch });
    this.#classified = Object.entries(settings.classify).flatMap(([written, classification]) => {
      const field = parseClassifiedField(written);
      return field === undefined ? [] : [{ ...field, classification }];
    });
    const { tls, http, internal } = settings;
    this.upstream = openUpstream({ name, scheme, host: dialled, port, http, tls, internal });
  }

  /** Throws what `classifyRequest` throws. */
  classified(request: RequestHead, path: string, body: KnownBody): Classified {
    if (body !== undefined || path.length > 500 || dependsOnHead(request, this.rules))
      return classifyRequest(request, path, body, this.rules);
    const key = `${request.method} ${path}`;
    let meaning = this.#meanings.get(key);
    if (meaning === undefined) {
      meaning = classifyRequest(request, path, body, this.rules);
      if (this.#meanings.size >= mostMeanings) this.#meanings.clear();
      this.#meanings.set(key, meaning);
    }
    return meaning;
  }

  /** What a WebSocket's message means where messages are commands. Throws what `classifyMessage` throws. */
  messageMeaning(path: string, payload: Buffer): Classified {
    return classifyMessage(path, payload.length > this.settings.inspectBytes ? 'too large' : payload, this.rules);
  }

  /** What is classified in the reply to such a request. */
  bodyRulesFor(classified: Classified): BodyRules {
    let rules = this.#rulesOf.get(classified);
    if (rules === undefined) {
      rules = this.#rulesFor(classified);
      this.#rulesOf.set(classified, rules);
    }
    return rules;
  }

  #rulesFor({ verb, resources }: Classified): BodyRules {
    const paths = resources.flatMap(({ type, id }) => (type === 'Path' ? [id] : []));
    const list = this.#classified.filter(
      ({ method, route }) =>
        (method === undefined || methodOf(verb) === method) &&
        (route === undefined || paths.some((path) => covers(route, path))),
    );
    const key = list.map((rule) => this.#classified.indexOf(rule)).join();
    let rules = this.#bodyRules.get(key);
    if (rules === undefined) {
      rules = bodyRules(list);
      if (this.#bodyRules.size >= mostMeanings) this.#bodyRules.clear();
      this.#bodyRules.set(key, rules);
    }
    return rules;
  }

  /** Whether the request lets classified values come under other names than those that they are classified under. */
  canBeRenamed(classified: Classified, masks: Readonly<Record<string, MaskMethod>>): boolean {
    if (classified.facts.findings?.includes('graphql.alias') !== true) return false;
    const { list } = this.bodyRulesFor(classified).applying({ method: (name) => masks[name] ?? 'redact' });
    return list.length > 0;
  }

  endOf(line: Line): SessionEnd {
    let end = this.#ends.get(line);
    if (end === undefined) {
      end = new SessionEnd(line.signal);
      this.#ends.set(line, end);
    }
    return end;
  }

  /** Who the gateway is to the target, fetched once a session; a promise until it is there. Rejects with Refusal UPSTREAM_UNAVAILABLE. */
  credentials(line: Line, gateway: Gateway): Credentials | Promise<Credentials> {
    let opened = this.#credentials.get(line);
    if (opened === undefined) {
      const opening = this.#open(gateway);
      this.#credentials.set(line, opening);
      opening.then(
        (credentials) => this.#credentials.set(line, credentials),
        () => this.#credentials.delete(line), // The next request tries again.
      );
      opened = opening;
    }
    return opened;
  }

  async #open(gateway: Gateway): Promise<Credentials> {
    const { credential } = this.settings;
    const secret = credential === undefined ? {} : await gateway.credential(this.#target);
    return openCredentials(this.settings, secret, this.#injector);
  }

  /** Asks for the root of the target, to see whether it is there. */
  async inspect(gateway: Gateway): Promise<Inspection> {
    const { settings, upstream } = this;
    const housekeeping = await gateway.housekeeping(this.#target);
    const { promise, resolve } = Promise.withResolvers<{ reachable: boolean; warnings: string[] }>();
    const { scheme, authority, basePath } = settings.address;
    const call = upstream.housekeeping(
      housekeeping.permit,
      {
        method: 'HEAD',
        target: `${basePath}/`,
        authority,
        scheme,
        fields: ['user-agent', 'sallyport', 'accept', '*/*'],
        body: { length: 0, pipe: (sink) => sink.end([]), cancel() {} },
      },
      {
        informed() {},
        head: () => resolve({ reachable: true, warnings: [] }),
        data: () => undefined,
        end() {},
        fail: (error) => resolve({ reachable: false, warnings: [error.message] }),
        switched: (_, tunnel) => tunnel.abort(),
      },
    );
    const silent = setTimeout(
      () =>
        resolve({
          reachable: true,
          warnings: [`it has not answered HEAD ${basePath}/ for ${answerMs / 1000} seconds`],
        }),
      answerMs,
    );
    const found = await promise;
    clearTimeout(silent);
    call.cancel();
    housekeeping.end('looked at');
    const routes = this.rules.routes === undefined ? 'paths as sent' : `${this.rules.routes.size} routes`;
    const masks = this.#classified.length === 0 ? 'detectors only' : `${this.#classified.length} classified fields`;
    return { ...found, mode: `${routes}, ${settings.detectors ? masks : `${masks}, detectors off`}` };
  }
}

/** A target that takes longer to say something has been looked at long enough. */
const answerMs = 10_000;

/** What is classified for GET is so for whatever else begins as one. */
function methodOf(verb: string): string {
  return verb === 'HEAD' || verb === 'WEBSOCKET' ? 'GET' : verb;
}

/**
 * `*` stands for one segment, `**` at the end for any rest. Letter case and a slash at the end make no difference: to many servers they make none,
 * and a mask must not be got round by writing a path another way.
 */
function covers(route: string, path: string): boolean {
  const segments = (text: string) =>
    text
      .toLowerCase()
      .replace(/(?<=.)\/$/, '')
      .split('/');
  const wanted = segments(route);
  const given = segments(path);
  for (const [index, segment] of wanted.entries()) {
    if (segment === '**' && index === wanted.length - 1) return true;
    if (given[index] === undefined || (segment !== '*' && segment !== given[index])) return false;
  }
  return wanted.length === given.length;
}
