import { ConfigError } from '../../model/errors.ts';

/** One step of a path. `deep` steps match at any depth below, the others one level down. */
export type Step =
  | { readonly kind: 'name'; readonly name: string; readonly deep: boolean }
  | { readonly kind: 'index'; readonly index: number; readonly deep: boolean }
  | { readonly kind: 'any'; readonly deep: boolean };

const longestPath = 1024;
const mostSteps = 64;

/**
 * As much of JSONPath (RFC 9535) as names values by their place: `$.customers[*].ssn`, `$..email`, `$['a b'][0]`, `$.data.*.card`.
 * A bare name stands for that member wherever it is: `ssn` is `$..ssn`. Slices, filters, unions, functions and negative indexes
 * are not places, and refused. Throws ConfigError.
 */
export function parseJsonPath(text: string): readonly Step[] {
  if (text.length > longestPath) throw wrong(text, 'is longer than 1024 characters');
  if (bare.test(text)) return [{ kind: 'name', name: text, deep: true }];
  if (!text.startsWith('$')) throw wrong(text, 'starts with $');
  const steps: Step[] = [];
  for (let at = 1; at < text.length; ) {
    const dots = text.startsWith('..', at) ? 2 : text[at] === '.' ? 1 : 0;
    const deep = dots === 2;
    at += dots;
    if (text[at] === '[' && dots !== 1) {
      const [step, next] = bracket(text, at, deep);
      steps.push(step);
      at = next;
    } else if (dots > 0 && text[at] === '*') {
      steps.push({ kind: 'any', deep });
      at += 1;
    } else {
      member.lastIndex = at;
      const name = dots > 0 ? member.exec(text)?.[0] : undefined;
      if (name === undefined) throw wrong(text, `has something unexpected at character ${at + 1}`);
      steps.push({ kind: 'name', name, deep });
      at += name.length;
    }
    if (steps.length > mostSteps) throw wrong(text, 'has more than 64 steps');
  }
  return steps;
}

// Member names without quotes; wider than RFC 9535 by the hyphen, which is common in names and means nothing else here.
const bare = /^[\p{L}\p{N}_-]+$/u;
const member = /[\p{L}\p{N}_-]+/uy;
const position = /\[(0|[1-9]\d{0,8})\]/y;
const quoted = /\[(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]/uy;

function bracket(text: string, at: number, deep: boolean): readonly [Step, number] {
  if (text.startsWith('[*]', at)) return [{ kind: 'any', deep }, at + 3];
  position.lastIndex = at;
  const index = position.exec(text);
  if (index !== null) return [{ kind: 'index', index: Number(index[1]), deep }, position.lastIndex];
  quoted.lastIndex = at;
  const name = quoted.exec(text);
  if (name === null) throw wrong(text, `has something unexpected at character ${at + 1}`);
  return [{ kind: 'name', name: unescaped(text, name[1] ?? name[2] ?? ''), deep }, quoted.lastIndex];
}

/** Escapes as in JSON, and `\'`. */
function unescaped(path: string, quotedName: string): string {
  const json = quotedName.replace(/\\'|"|\\"/g, (found) => (found === "\\'" ? "'" : '\\"'));
  try {
    return JSON.parse(`"${json}"`) as string;
  } catch {
    throw wrong(path, 'has a name that cannot be read');
  }
}

/** How a path is written in reports: one spelling for equal paths, and no positions. */
export function writtenPath(steps: readonly Step[]): string {
  let text = '$';
  for (const step of steps) {
    if (step.deep) text += '..';
    if (step.kind !== 'name') text += '[*]';
    else if (/^[\p{L}_][\p{L}\p{N}_]*$/u.test(step.name)) text += step.deep ? step.name : `.${step.name}`;
    else text += `[${JSON.stringify(step.name)}]`;
  }
  return text;
}

function wrong(path: string, what: string): ConfigError {
  return new ConfigError(
    `path ${JSON.stringify(path.slice(0, 200))} ${what}; written like $.customers[*].ssn, $..email, $['a b'][0]`,
  );
}
