import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isNode, LineCounter, parseDocument } from 'yaml';
import type { ApprovalRequest } from '../model/approval.ts';
import type { Classified } from '../model/command.ts';
import type { Decision } from '../model/decision.ts';
import { ConfigError } from '../model/errors.ts';
import type { Caller, Principal } from '../model/principal.ts';
import type { Target } from '../model/target.ts';
import { type CaseFile, caseFileSchema, classifiedOf, type PolicyCase, principalOf, targetOf } from './case.ts';
import { readPolicyFolder } from './folder.ts';
import { openPolicies, type Policies } from './port.ts';
import type { PolicyFile } from './text.ts';

export interface CaseResult {
  readonly file: string;
  readonly line: number;
  readonly name: string;
  /** What came out instead; absent when the case holds. */
  readonly problem?: string;
}

export interface CaseOptions {
  /** Turns a case's `text` into what its target's protocol would make of it. Without it such cases fail. */
  readonly classify?: (text: string, target: Target) => Classified | Promise<Classified>;
}

/**
 * Runs the cases in `tests/*.yaml` of a policy folder against the policies in it and in `tests/*.cedar`: a folder that only forbids
 * needs something to permit in its tests.
 * Throws ConfigError when the policies or a case file are not valid.
 */
export async function testPolicies(dir: string, options: CaseOptions = {}): Promise<readonly CaseResult[]> {
  const files = await readCases(dir);
  const classifications = new WeakMap<Target, readonly string[]>();
  const classificationsOf = (target: Target): readonly string[] => classifications.get(target) ?? [];
  const policies = await openPolicies({
    dir,
    read: () => policiesUnderTest(dir),
    classificationsOf,
    log: () => {},
    watch: false,
  });
  try {
    const results: CaseResult[] = [];
    for (const { file, content, lines } of files) {
      const people = new Map(
        Object.entries(content.principals).map(([name, written]) => [name, principalOf(name, written)]),
      );
      const targets = new Map<string, Target>();
      for (const [name, written] of Object.entries(content.targets)) {
        const target = targetOf(name, written);
        targets.set(name, target);
        classifications.set(target, written.classifications);
      }
      for (const [i, one] of content.cases.entries()) {
        const problem = await runCase(policies, one, { people, targets, ...options });
        results.push({ file, line: lines[i] ?? 1, name: one.name, ...(problem === undefined ? {} : { problem }) });
      }
    }
    return results;
  } finally {
    await policies.close();
  }
}

async function policiesUnderTest(dir: string): Promise<readonly PolicyFile[]> {
  const policies = await readPolicyFolder(dir);
  const hasTests = (await readdir(dir)).includes('tests');
  return hasTests ? [...policies, ...(await readPolicyFolder(join(dir, 'tests'), 'tests/'))] : policies;
}

interface World extends CaseOptions {
  readonly people: ReadonlyMap<string, Principal>;
  readonly targets: ReadonlyMap<string, Target>;
}

async function runCase(policies: Policies, one: PolicyCase, world: World): Promise<string | undefined> {
  const principal = world.people.get(one.principal);
  const target = one.target === undefined ? undefined : world.targets.get(one.target);
  if (principal === undefined) return `there is no principal ${one.principal}`;
  if (one.target !== undefined && target === undefined) return `there is no target ${one.target}`;
  const caller: Caller = { principal, proof: { kind: 'oidc', id: 'test', expiresAt: 0 } };
  let decision: Decision;
  if (one.ask === 'review' || one.ask === 'configure') decision = policies.decideAdmin(caller, one.ask);
  else if (target === undefined) return 'target is missing';
  else if (one.ask === 'connect') decision = policies.decideConnect(caller, target);
  else if (one.request !== undefined) {
    const requester = world.people.get(one.request.requester);
    if (requester === undefined) return `there is no principal ${one.request.requester}`;
    decision = policies.decideApprove(caller, requestOf(one.request, requester, target), target);
  } else {
    const classified =
      one.command === undefined ? await world.classify?.(one.text ?? '', target) : classifiedOf(one.command);
    if (classified === undefined) return 'this case has a text, and there is nothing here that classifies it';
    decision = policies.decideCommand(caller, target, classified, one.grants);
  }
  return difference(one.expect, decision);
}

function requestOf(
  written: NonNullable<PolicyCase['request']>,
  { id, name, kind, owner }: Principal,
  target: Target,
): ApprovalRequest {
  const requester = { id, name, kind, ...(owner === undefined ? {} : { owner }) };
  const { rule, approvers } = written;
  return {
    id: 'request',
    digest: '',
    state: 'open',
    sessionId: '',
    requester,
    target: target.name,
    verb: '',
    text: '',
    resources: [],
    rule,
    policyVersion: '',
    approvers,
    createdAt: 0,
    expiresAt: 0,
    decisions: [],
  };
}

/** Compares only what the case speaks of. */
function difference(expected: PolicyCase['expect'], decision: Decision): string | undefined {
  const { outcome, rule } = decision;
  const got = outcome === 'deny' ? `deny by ${rule} (${decision.reason})` : `${outcome} by ${rule}`;
  if (outcome !== expected.outcome) return `expected ${expected.outcome}, got ${got}`;
  if (expected.rule !== undefined && rule !== expected.rule) return `expected the rule ${expected.rule}, got ${got}`;
  if (expected.advice !== undefined && decision.advice !== expected.advice)
    return `expected other advice, got ${decision.advice ?? 'none'}`;
  if (expected.approvers !== undefined) {
    const approvers = decision.outcome === 'hold' ? [...decision.approvers].sort().join(', ') : 'none';
    if (approvers !== [...expected.approvers].sort().join(', '))
      return `expected approvers ${expected.approvers.join(', ')}, got ${approvers}`;
  }
  for (const [classification, method] of Object.entries(expected.masks ?? {})) {
    const shown = decision.outcome === 'deny' ? 'no reply' : (decision.obligations.masks[classification] ?? 'redact');
    if (shown !== method) return `expected ${classification} to be masked by ${method}, got ${shown}`;
  }
  return undefined;
}

interface ReadCases {
  readonly file: string;
  readonly content: CaseFile;
  /** The line of each case. */
  readonly lines: readonly number[];
}

async function readCases(dir: string): Promise<readonly ReadCases[]> {
  const names = await readdir(join(dir, 'tests')).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new ConfigError(`${join(dir, 'tests')}:1: the folder cannot be read: ${error.code ?? 'unknown error'}`);
  });
  const files = names.filter((name) => /\.ya?ml$/.test(name)).sort();
  return Promise.all(
    files.map(async (name) => parseCases(join('tests', name), await readFile(join(dir, 'tests', name), 'utf8'))),
  );
}

/** Throws ConfigError with `file:line: where: message` per problem. */
function parseCases(file: string, text: string): ReadCases {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter });
  const lineOf = (path: readonly PropertyKey[]): number => {
    for (let length = path.length; length >= 0; length--) {
      const node: unknown = document.getIn(path.slice(0, length) as (string | number)[], true);
      if (isNode(node) && node.range) return counter.linePos(node.range[0]).line;
    }
    return 1;
  };
  const [broken] = document.errors;
  if (broken !== undefined)
    throw new ConfigError(`${file}:${counter.linePos(broken.pos[0]).line}: ${broken.message.split('\n')[0]}`);
  const parsed = caseFileSchema.safeParse(document.toJS());
  if (!parsed.success) {
    throw new ConfigError(
      parsed.error.issues
        .map(({ path, message }) => `${file}:${lineOf(path)}: ${path.join('.')}: ${message}`)
        .join('\n'),
    );
  }
  return { file, content: parsed.data, lines: parsed.data.cases.map((_, i) => lineOf(['cases', i])) };
}
