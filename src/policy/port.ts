import type { Explanation, PolicySource } from '../gateway/admin.ts';
import type { PolicyPort } from '../gateway/ports.ts';
import type { ApprovalRequest } from '../model/approval.ts';
import type { Classified } from '../model/command.ts';
import type { Decision } from '../model/decision.ts';
import { ConfigError } from '../model/errors.ts';
import type { Caller, Principal } from '../model/principal.ts';
import type { Target } from '../model/target.ts';
import { type CompiledPolicies, policyVersion } from './compile.ts';
import { DecisionCache } from './decision-cache.ts';
import { type Cedar, Engine } from './engine.ts';
import { approvalSlice, gatewaySlice, principalSlice, targetSlice } from './entities.ts';
import {
  denial,
  type Evaluation,
  engineRule,
  evaluateCommand,
  evaluateSingle,
  type Rules,
  rulesOf,
} from './evaluate.ts';
import { readPolicyFolder } from './folder.ts';
import { compileIsolated } from './isolate.ts';
import { type Scene, sceneOf } from './scene.ts';
import { describeProblem, type PolicyFile } from './text.ts';
import { watchFolder } from './watch.ts';

export interface PolicyOptions {
  /** Holds `*.cedar`. */
  readonly dir: string;
  /** Which classifications a target's configuration knows; `reveal` is decided for each. Constant as long as the target object is. */
  readonly classificationsOf: (target: Target) => readonly string[];
  /** Runs before a version comes into force; when it rejects, the version does not. */
  readonly onActivated?: (activation: Activation) => void | Promise<void>;
  /** Runs when new policies were found and not accepted. */
  readonly onRejected?: (rejection: Rejection) => void | Promise<void>;
  readonly log: (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, string | number>) => void;
  /** Follow changes of the folder; on unless false. */
  readonly watch?: boolean;
  /** Where policies come from instead of `dir`; policy tests put permits of their own beside them. */
  readonly read?: () => Promise<readonly PolicyFile[]>;
  /** Where engines come from; for tests of their death. */
  readonly load?: () => Cedar;
}

export interface Activation {
  readonly version: string;
  /** The version before; absent at start. */
  readonly previous?: string;
  readonly files: readonly string[];
  readonly rules: readonly string[];
}

export interface Rejection {
  readonly version: string;
  /** `file:line: message`. */
  readonly problems: readonly string[];
}

/** Policy as the gateway uses it, and the half of `PoliciesAdmin` that needs no protocol. */
export interface Policies extends PolicyPort {
  list(): { readonly version: string; readonly policies: readonly PolicySource[] };
  /** What would be decided, and by which policies; a fresh decision, not the cached one. Never throws. */
  explain(question: {
    principal: Principal;
    target: Target;
    classified: Classified;
    grants?: readonly string[];
  }): Explanation;
  /** Reads the folder again (SIGHUP). Throws ConfigError, and leaves the old policies in force, when the new ones are not valid. */
  reload(): Promise<{ readonly version: string }>;
  close(): Promise<void>;
}

/** Loads the policies of a folder and keeps following it. Throws ConfigError with `file:line: message` per problem. */
export async function openPolicies(options: PolicyOptions): Promise<Policies> {
  const port = new FolderPolicies(options);
  await port.reload();
  port.follow();
  return port;
}

class FolderPolicies implements Policies {
  readonly #options: PolicyOptions;
  readonly #engine: Engine;
  #rules: Rules | undefined;
  #cache = new DecisionCache();
  #reloading: Promise<unknown> = Promise.resolve();
  #stopWatching: () => void = () => {};

  constructor(options: PolicyOptions) {
    this.#options = options;
    this.#engine = new Engine(options.load);
  }

  get version(): string {
    return this.#inForce.policies.version;
  }

  decideCommand({ principal }: Caller, target: Target, command: Classified, grants: readonly string[] = []): Decision {
    try {
      const place = this.#cache.place(principal, target, () => this.#scene(principal, target));
      if (grants.length > 0) return evaluateCommand(this.#inForce, place.scene, command, grants).decision;
      const known = place.decisions.get(command);
      if (known !== undefined) return known;
      const { decision } = evaluateCommand(this.#inForce, place.scene, command, grants);
      this.#cache.keep(place, command, decision);
      return decision;
    } catch (error) {
      return this.#failed(error).decision;
    }
  }

  decideConnect({ principal }: Caller, target: Target): Decision {
    return this.#single(principal, () => {
      const resource = targetSlice(target);
      const context = { target: { __entity: resource[0].uid }, protocol: target.protocol };
      return { action: 'connect', resource, context, about: `connecting to ${target.name}` };
    });
  }

  decideApprove({ principal }: Caller, request: ApprovalRequest, target: Target | undefined): Decision {
    if (target === undefined) return this.#deny(`the target ${request.target} is not configured any more`);
    return this.#single(principal, () => {
      const within = targetSlice(target);
      const resource = approvalSlice(request, within);
      return {
        action: 'approve',
        resource,
        context: { target: { __entity: within[0].uid } },
        about: `answering request ${request.id}`,
      };
    });
  }

  decideAdmin({ principal }: Caller, action: 'review' | 'configure'): Decision {
    return this.#single(principal, () => ({
      action,
      resource: gatewaySlice,
      context: {},
      about: `${action} of the gateway`,
    }));
  }

  list(): { readonly version: string; readonly policies: readonly PolicySource[] } {
    const policies = this.#inForce.policies.policies.map(({ id, file, text, effect, annotations }) => ({
      id,
      file,
      text,
      effect,
      annotations,
    }));
    return { version: this.version, policies };
  }

  explain(question: {
    principal: Principal;
    target: Target;
    classified: Classified;
    grants?: readonly string[];
  }): Explanation {
    const { principal, target, classified, grants = [] } = question;
    let evaluation: Evaluation;
    try {
      evaluation = evaluateCommand(this.#inForce, this.#scene(principal, target), classified, grants);
    } catch (error) {
      evaluation = this.#failed(error);
    }
    const { decision, because } = evaluation;
    return {
      decision,
      verb: classified.verb,
      actions: classified.actions,
      resources: classified.resources.map(({ access, type, id }) => `${access} ${type} ${id}`),
      because: because.map(({ id, effect, advice }) => ({ id, effect, ...(advice === undefined ? {} : { advice }) })),
      masks: decision.outcome === 'deny' ? {} : decision.obligations.masks,
    };
  }

  /** One after the other, so that the last text read is the one in force. */
  reload(): Promise<{ readonly version: string }> {
    const next = this.#reloading.then(() => this.#load());
    this.#reloading = next.catch(() => undefined);
    return next;
  }

  follow(): void {
    if (this.#options.watch === false) return;
    const { dir, log } = this.#options;
    this.#stopWatching = watchFolder(dir, {
      // What is wrong with the new policies has been logged and handed to onRejected.
      changed: () => void this.reload().catch(() => undefined),
      failed: (error) =>
        log('error', 'changes of the policy folder are not noticed any more; reload by SIGHUP', {
          error: error.message,
        }),
    });
  }

  async close(): Promise<void> {
    this.#stopWatching();
    await this.#reloading;
  }

  get #inForce(): Rules {
    if (this.#rules === undefined) throw new Error('no policies are in force');
    return this.#rules;
  }

  async #load(): Promise<{ readonly version: string }> {
    const { dir, log } = this.#options;
    let files: readonly PolicyFile[];
    try {
      files = await (this.#options.read ?? (() => readPolicyFolder(dir)))();
    } catch (error) {
      await this.#reject('unreadable', [(error as Error).message]);
      throw error;
    }
    const version = policyVersion(files);
    if (version === this.#rules?.policies.version) return { version };
    const compilation = await compileIsolated(files);
    if ('problems' in compilation) {
      const problems = compilation.problems.map(describeProblem);
      await this.#reject(version, problems);
      throw new ConfigError(problems.join('\n'));
    }
    await this.#activate(compilation.compiled, files);
    log('info', 'policies are in force', { version, rules: compilation.compiled.policies.length });
    return { version };
  }

  async #activate(compiled: CompiledPolicies, files: readonly PolicyFile[]): Promise<void> {
    const { version } = compiled;
    let putInForce: () => void;
    try {
      putInForce = this.#engine.prepare(compiled);
    } catch (error) {
      const problem = `${this.#options.dir}:1: the policy engine does not take these policies: ${(error as Error).message}`;
      await this.#reject(version, [problem]);
      throw new ConfigError(problem);
    }
    const previous = this.#rules === undefined ? {} : { previous: this.#rules.policies.version };
    const rules = compiled.policies.map(({ id }) => id);
    await this.#options.onActivated?.({ version, ...previous, files: files.map(({ file }) => file), rules });
    putInForce();
    this.#rules = rulesOf(compiled, (question) => this.#engine.ask(question));
    this.#cache = new DecisionCache();
  }

  async #reject(version: string, problems: readonly string[]): Promise<void> {
    const { log, onRejected } = this.#options;
    const kept = this.#rules === undefined ? 'there are none in force' : 'the old ones stay in force';
    log('error', `the policies are not valid, ${kept}`, { version, problems: problems.join('\n') });
    await onRejected?.({ version, problems });
  }

  #scene(principal: Principal, target: Target): Scene {
    return sceneOf(principal, target, this.#options.classificationsOf(target), this.#inForce.policies.distinctions);
  }

  #single(principal: Principal, make: () => Omit<Parameters<typeof evaluateSingle>[1], 'principal'>): Decision {
    try {
      const { groups } = this.#inForce.policies.distinctions;
      return evaluateSingle(this.#inForce, {
        ...make(),
        principal: principalSlice(principal, (group) => groups.has(group)),
      }).decision;
    } catch (error) {
      return this.#failed(error).decision;
    }
  }

  /** Whatever goes wrong inside is a no. Its cause is for the operator; the caller learns nothing of our insides. */
  #failed(error: unknown): Evaluation {
    const cause = error instanceof Error ? error.message : String(error);
    this.#options.log('error', 'a policy decision failed and was refused', { cause });
    return {
      because: [],
      decision: this.#deny("the policy engine could not decide this; the operator's log says why"),
    };
  }

  #deny(reason: string): Decision {
    return denial({ rule: engineRule, reason, version: this.#rules?.policies.version ?? '' });
  }
}
