import { createHash } from 'node:crypto';
import type { DetailedError, ValidationError } from '@cedar-policy/cedar-wasm/nodejs';
import type { PolicySource } from '../gateway/admin.ts';
import type { MaskMethod } from '../model/decision.ts';
import { type Distinctions, distinctions } from './distinctions.ts';
import type { Cedar } from './engine.ts';
import { schemaText } from './schema.ts';
import { lineAt, type PolicyFile, type PolicySpan, type Problem, scanPolicies, textLimits } from './text.ts';

/** One policy, checked, with what its annotations ask for. */
export interface CompiledPolicy extends PolicySource {
  readonly line: number;
  /** Of `@approvers`; empty for all other policies. */
  readonly approvers: readonly string[];
  /** Of `@mask`. */
  readonly mask?: MaskMethod;
  readonly advice?: string;
}

export interface CompiledPolicies {
  readonly version: string;
  /** In the order of files, then of lines. */
  readonly policies: readonly CompiledPolicy[];
  readonly distinctions: Distinctions;
}

export type Compilation = { readonly compiled: CompiledPolicies } | { readonly problems: readonly Problem[] };

/** 16 hex digits of SHA-256 over file names and texts, in the order of names. */
export function policyVersion(files: readonly PolicyFile[]): string {
  const hash = createHash('sha256');
  const sorted = [...files].sort((a, b) => (a.file < b.file ? -1 : 1));
  for (const { file, text } of sorted) hash.update(JSON.stringify([file, text]));
  return hash.digest('hex').slice(0, 16);
}

/**
 * Checks policy files against the schema and reads their annotations. Pure, but may end the Cedar instance it runs on:
 * call it through `isolate.ts`.
 */
export function compilePolicies(cedar: Cedar, files: readonly PolicyFile[]): Compilation {
  const sorted = [...files].sort((a, b) => (a.file < b.file ? -1 : 1));
  const problems: Problem[] = [];
  const policies: CompiledPolicy[] = [];
  const asts: unknown[] = [];
  const tooMany = tooMuch(sorted);
  if (tooMany !== undefined) return { problems: [{ file: '.', line: 1, message: tooMany }] };
  for (const file of sorted) {
    const { spans, problems: found } = scanPolicies(file);
    problems.push(...found);
    if (found.length > 0) continue;
    for (const span of spans) {
      const result = compileOne(cedar, file, span);
      problems.push(...result.problems);
      if (result.policy !== undefined) policies.push(result.policy);
      if (result.ast !== undefined) asts.push(result.ast);
    }
    if (policies.length > textLimits.policies)
      return { problems: [{ file: file.file, line: 1, message: `more than ${textLimits.policies} policies` }] };
  }
  problems.push(...duplicates(policies));
  if (problems.length > 0) return { problems };
  return { compiled: { version: policyVersion(sorted), policies, distinctions: distinctions(asts) } };
}

function tooMuch(files: readonly PolicyFile[]): string | undefined {
  const bytes = files.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  if (bytes > textLimits.folderBytes) return `the policies are larger than ${textLimits.folderBytes} bytes together`;
  return files.length > textLimits.files ? `more than ${textLimits.files} policy files` : undefined;
}

interface One {
  readonly problems: readonly Problem[];
  readonly policy?: CompiledPolicy;
  readonly ast?: unknown;
}

function compileOne(cedar: Cedar, { file, text }: PolicyFile, { start, end }: PolicySpan): One {
  const policyText = text.slice(start, end);
  const at = (offset: number): number => lineAt(text, start + offset);
  const found = validate(cedar, policyText);
  const json = found.length === 0 ? cedar.policyToJson(policyText) : undefined;
  if (json?.type !== 'success') {
    const errors = found.length > 0 ? found : [{ message: 'is not a policy', offset: 0 }];
    return { problems: errors.map(({ message, offset }) => ({ file, line: at(offset), message })) };
  }
  const { effect, annotations: written = {}, action } = json.json;
  const annotations = Object.fromEntries(Object.entries(written).map(([name, value]) => [name, value ?? '']));
  const complaints = annotationProblems(
    effect,
    annotations,
    JSON.stringify(action),
    JSON.stringify(json.json.conditions),
  );
  const line = at(0);
  if (complaints.length > 0) return { problems: complaints.map((message) => ({ file, line, message })) };
  const policy: CompiledPolicy = {
    id: annotations.id ?? '',
    file,
    line,
    text: policyText,
    effect,
    annotations,
    approvers: groupsOf(annotations.approvers),
    ...(annotations.mask === undefined ? {} : { mask: annotations.mask as MaskMethod }),
    ...(annotations.advice === undefined ? {} : { advice: annotations.advice }),
  };
  return { problems: [], policy, ast: json.json };
}

/** Parse errors, validation errors and warnings alike: a policy that can never apply is a mistake in a gate. One per message and place. */
function validate(cedar: Cedar, text: string): readonly { message: string; offset: number }[] {
  const answer = cedar.validate({ schema: schemaText, policies: { staticPolicies: { policy: text } } });
  const errors: DetailedError[] =
    answer.type === 'failure'
      ? answer.errors
      : [...answer.validationErrors, ...answer.validationWarnings].map(({ error }: ValidationError) => error);
  const bytes = Buffer.from(text);
  const described = errors.map(({ message, help, sourceLocations }) => ({
    message: `${message}${help === null ? '' : ` (${help})`}`.replace(/for policy `policy`, |with id `policy` /g, ''),
    offset: bytes.subarray(0, sourceLocations?.[0]?.start ?? 0).toString().length,
  }));
  return described.filter(
    (one, i) => described.findIndex((other) => other.message === one.message && other.offset === one.offset) === i,
  );
}

const known = ['id', 'advice', 'approvers', 'mask', 'description', 'control'];
export const maskMethods: readonly MaskMethod[] = ['null', 'redact', 'token', 'digits', 'partial'];

function annotationProblems(
  effect: string,
  annotations: Readonly<Record<string, string>>,
  action: string,
  conditions: string,
): readonly string[] {
  const problems: string[] = [];
  const { id, approvers, mask } = annotations;
  for (const name of Object.keys(annotations)) {
    if (!known.includes(name))
      problems.push(`unknown annotation @${name}; known are ${known.map((n) => `@${n}`).join(' ')}`);
  }
  if (id === undefined) problems.push('a policy needs an @id("…")');
  else if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(id))
    problems.push('an @id is 1–64 letters, digits, dots, dashes and underscores');
  else if (id === 'default-deny' || id === 'policy-engine')
    problems.push(`the @id ${id} is taken by the gateway itself`);
  if (approvers !== undefined) {
    if (effect !== 'forbid')
      problems.push('@approvers belongs on a forbid: the rule that stops the command until they say yes');
    if (groupsOf(approvers).length === 0) problems.push('@approvers names no group');
    if (!conditions.includes('"attr":"grants"')) {
      problems.push(
        'a rule with @approvers must let go when they said yes: add unless { context.grants.contains("…") }',
      );
    }
  }
  if (mask !== undefined) {
    if (!maskMethods.includes(mask as MaskMethod)) problems.push(`@mask is one of ${maskMethods.join(', ')}`);
    if (!/^\{"op":"==","entity":\{"type":"Action","id":"reveal"\}\}$/.test(action))
      problems.push('@mask belongs on a policy for action == Action::"reveal"');
  }
  return problems;
}

/** `@approvers("dba, security")`: one member of each must say yes. */
function groupsOf(approvers: string | undefined): readonly string[] {
  return [...new Set((approvers ?? '').split(',').map((group) => group.trim()))].filter((group) => group !== '');
}

function duplicates(policies: readonly CompiledPolicy[]): readonly Problem[] {
  const first = new Map<string, CompiledPolicy>();
  const problems: Problem[] = [];
  for (const policy of policies) {
    const other = first.get(policy.id);
    if (other === undefined) first.set(policy.id, policy);
    else
      problems.push({
        file: policy.file,
        line: policy.line,
        message: `@id("${policy.id}") is used before, at ${other.file}:${other.line}`,
      });
  }
  return problems;
}
