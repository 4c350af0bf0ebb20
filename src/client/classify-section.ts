/** One line of a `classify:` section. */
interface Entry {
  readonly field: string;
  readonly classification: string;
  readonly confidence: number;
  readonly reasons: readonly string[];
}

/**
 * The `classify:` section of a target with these entries, as YAML, each with its reasons in a comment. Names may be anybody's: read
 * again it holds exactly the entries, and nothing in it can drive a terminal. Empty where there are none.
 */
export function classifySection(entries: readonly Entry[]): string {
  if (entries.length === 0) return '';
  return `classify:\n${entries
    .map(
      ({ field, classification, confidence, reasons }) =>
        `  ${scalar(field)}: ${scalar(classification)} # ${confidence.toFixed(2)}: ${escaped(reasons.join('; '))}\n`,
    )
    .join('')}`;
}

/** Plain where it can be nothing but a string; otherwise double quoted (YAML 1.2 §7.3.1). */
function scalar(text: string): string {
  return /^[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)+$/.test(text) ? text : `"${escaped(text)}"`;
}

// Letters, digits and what is printable in ASCII, but for the quote and the escape; not letters that show as nothing.
const harmless = /^[ !#-[\]-~\p{L}\p{N}]$/u;
const invisible = /\p{Default_Ignorable_Code_Point}/u;

function escaped(text: string): string {
  let written = '';
  for (const character of text) {
    if (harmless.test(character) && !invisible.test(character)) written += character;
    else if (character === '"' || character === '\\') written += `\\${character}`;
    else {
      const code = character.codePointAt(0) ?? 0;
      const hex = code.toString(16);
      written +=
        code < 0x100
          ? `\\x${hex.padStart(2, '0')}`
          : code < 0x10000
            ? `\\u${hex.padStart(4, '0')}`
            : `\\U${hex.padStart(8, '0')}`;
    }
  }
  return written;
}
