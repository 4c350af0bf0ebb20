import type { CompiledRule } from './rules.ts';

/** The last name of a rule's path, and how it looks where it names something in text that is no JSON of its own. */
export interface RuleWord {
  readonly rule: CompiledRule;
  readonly bytes: Buffer;
  /** Over latin1 text around the name. Nothing in it can run for long. */
  readonly named: RegExp;
}

/** `"ssn":`, `\"ssn\":`, `&quot;ssn&quot;:`, `{ssn:`, `<ssn>`. One a name: the first rule with it. */
export function ruleWords(rules: readonly CompiledRule[]): readonly RuleWord[] {
  const byWord = new Map<string, CompiledRule>();
  for (const rule of rules) {
    if (rule.word !== undefined && rule.word !== '' && !byWord.has(rule.word)) byWord.set(rule.word, rule);
  }
  return [...byWord].map(([word, rule]) => {
    const bytes = Buffer.from(word);
    const text = bytes.toString('latin1').replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
    const quoted = String.raw`${mark}${text}${mark}\s{0,16}[:=]`;
    const bare = String.raw`[{,]\s{0,16}${text}\s{0,16}:`;
    return { rule, bytes, named: new RegExp(String.raw`${quoted}|${bare}|<${text}[\s/>]`) };
  });
}

const mark = String.raw`(?:\\{0,8}["'\`]|&quot;|&#34;|&#x22;)`;
