import type { ApprovalRequest } from '../model/approval.ts';

/** A request as an approver may see it: every string is harmless on a terminal and a page, and shows what hides in it. */
export interface Presented {
  readonly id: string;
  readonly digest: string;
  readonly requester: string;
  readonly target: string;
  readonly verb: string;
  readonly rule: string;
  readonly approvers: readonly string[];
  readonly resources: readonly string[];
  /** The command. Where `cut` is not 0, a marker in its middle says how much is missing, and the digest of all of it. */
  readonly text: string;
  readonly parameters?: readonly string[];
  /** What the command would do: commits, a diff, a blast radius. Shortened by itself; not counted in `cut`. */
  readonly preview?: string;
  /** Characters of text, parameters and resources that are not shown. */
  readonly cut: number;
  /** What should make the reader look twice. */
  readonly warnings: readonly string[];
}

export interface PresentLimits {
  /** Characters of the command, of which half come from its end. */
  readonly text: number;
  /** Characters of each parameter and each resource. */
  readonly item: number;
  /** Parameters and resources, of each. */
  readonly items: number;
  /** Characters of the preview. */
  readonly preview: number;
}

const defaultLimits: PresentLimits = { text: 8_000, item: 500, items: 50, preview: 64_000 };

/**
 * Makes a request fit for an approver's eyes. What was asked for comes from an agent, and so perhaps from whoever talks to the agent:
 * control characters, terminal escapes, direction overrides, invisible letters and odd spaces appear as ⟦U+202E⟧, long blank stretches as their
 * length; ⟦ and ⟧ themselves are written that way too, so that no text can forge a marker. Nothing is cut without saying how much.
 */
export function presented(request: ApprovalRequest, limits: PresentLimits = defaultLimits): Presented {
  const text = shorten(request.text, limits.text, request.digest, visible, '\n');
  const resources = shortenAll(request.resources, limits, request.digest);
  const parameters = request.parameters && shortenAll(request.parameters, limits, request.digest);
  const cut = text.cut + resources.cut + (parameters?.cut ?? 0);
  const { id, name, kind, owner } = request.requester;
  return {
    id: request.id,
    digest: request.digest,
    requester: visibleLine(`${name} (${kind} ${id}${owner === undefined ? '' : `, owned by ${owner}`})`),
    target: visibleLine(request.target),
    verb: visibleLine(request.verb),
    rule: visibleLine(request.rule),
    approvers: request.approvers.map(visibleLine),
    resources: resources.shown,
    text: text.shown,
    ...(parameters === undefined ? {} : { parameters: parameters.shown }),
    ...(request.preview === undefined
      ? {}
      : { preview: shorten(request.preview, limits.preview, request.digest, visible, '\n').shown }),
    cut,
    warnings: warnings(request, cut),
  };
}

/** The same as plain text, a line for each fact, for terminals, logs and API answers. */
export function present(request: ApprovalRequest, limits?: PresentLimits): string {
  const shown = presented(request, limits);
  const lines = [
    `request    ${shown.id}`,
    `who        ${shown.requester}`,
    `target     ${shown.target}`,
    `rule       ${shown.rule}, asks for ${shown.approvers.join(' and ')}`,
    ...shown.resources.map((resource) => `touches    ${resource}`),
    ...shown.text.split('\n').map((line, index) => `${index === 0 ? shown.verb.padEnd(10) : '          '} ${line}`),
    ...(shown.parameters ?? []).map((value, index) => `${`$${index + 1}`.padEnd(10)} ${value}`),
    ...(shown.preview ?? '')
      .split('\n')
      .flatMap((line, index) => (index === 0 && line === '' ? [] : [`           ${line}`])),
    ...shown.warnings.map((warning) => `careful    ${warning}`),
    `digest     ${shown.digest}`,
  ];
  return lines.join('\n');
}

// Everything that is not plainly visible: controls (but line feed and tab), format characters (bidi, zero width, tags), surrogates, private use,
// unassigned; letters and selectors that show nothing; spaces that are not the space, separators, the blank braille cell; and our brackets.
const hidden = /[^\P{C}\n\t]|\p{Default_Ignorable_Code_Point}|[^\P{Zs} ]|[\u2028\u2029\u2800\u27e6\u27e7]/gu;
// More marks on one letter than any script needs, piled up to cover the lines around it.
const piled = /(?<=\p{M}{3})\p{M}/gu;
const blankLines = /\n(?:[ \t]*\n){3,}/g;
const blanks = /[ \t]{41,}/g;

/** Several lines; line feeds and tabs stay. */
export function visible(text: string): string {
  return text
    .replace(hidden, codePoint)
    .replace(piled, codePoint)
    .replace(blankLines, (run) => `\n⟦${run.split('\n').length - 2} blank lines⟧\n`)
    .replace(blanks, (run) => ` ⟦${run.length} blanks⟧ `);
}

/** One line; line feeds and tabs show as well. */
export function visibleLine(text: string): string {
  return visible(text).replace(/[\n\t]/g, codePoint);
}

function codePoint(character: string): string {
  return `⟦U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}⟧`;
}

interface Shortened {
  readonly shown: string;
  readonly cut: number;
}

/** The beginning and the end of what is longer than `limit`, for the end is where things hide. Counts what the approver sees: code points. */
function shorten(text: string, limit: number, digest: string, show: (text: string) => string, gap: string): Shortened {
  if (text.length <= limit) return { shown: show(text), cut: 0 };
  const half = Math.floor(limit / 2);
  const [from, to] = [boundary(text, half), boundary(text, text.length - half)];
  const cut = characters(text, from, to);
  const marker = `⟦${cut} characters are not shown; a yes is for all of them, SHA-256 ${digest}⟧`;
  return { shown: `${show(text.slice(0, from))}${gap}${marker}${gap}${show(text.slice(to))}`, cut };
}

/** Each on one line: a value with line feeds must not look like further values. */
function shortenAll(
  values: readonly (string | null)[],
  limits: PresentLimits,
  digest: string,
): { shown: readonly string[]; cut: number } {
  const each = values
    .slice(0, limits.items)
    .map((value) =>
      value === null ? { shown: '⟦null⟧', cut: 0 } : shorten(value, limits.item, digest, visibleLine, ' '),
    );
  const shown = each.map((value) => value.shown);
  const inEach = each.reduce((sum, { cut }) => sum + cut, 0);
  const rest = values.slice(limits.items);
  if (rest.length === 0) return { shown, cut: inEach };
  const inRest = rest.reduce((sum, value) => sum + characters(value ?? 'null', 0, (value ?? 'null').length), 0);
  const marker = `⟦${rest.length} more with ${inRest} characters are not shown; a yes is for all of them, SHA-256 ${digest}⟧`;
  return { shown: [...shown, marker], cut: inEach + inRest };
}

/** `at`, or one less where it would cut a surrogate pair in two. */
function boundary(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  const before = text.charCodeAt(at - 1);
  return unit >= 0xdc00 && unit <= 0xdfff && before >= 0xd800 && before <= 0xdbff ? at - 1 : at;
}

function characters(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = from; at < to; at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1) count++;
  return count;
}

// Latin and look-alike letters inside one word.
const mixed =
  /\p{Script=Latin}[\p{M}\d_]*[\p{Script=Cyrillic}\p{Script=Greek}]|[\p{Script=Cyrillic}\p{Script=Greek}][\p{M}\d_]*\p{Script=Latin}/u;

function warnings(request: ApprovalRequest, cut: number): readonly string[] {
  const all = [request.text, ...(request.parameters ?? []), ...request.resources].filter((value) => value !== null);
  const concealed = all.reduce((sum, value) => sum + (value.match(hidden)?.length ?? 0), 0);
  return [
    ...(cut > 0 ? [`${cut} characters are not shown here`] : []),
    ...(concealed > 0
      ? [`${concealed} characters are invisible or change how text appears; they are shown as ⟦U+…⟧`]
      : []),
    ...(all.some((value) => mixed.test(value)) ? ['a word mixes Latin letters with letters that look like them'] : []),
  ];
}
