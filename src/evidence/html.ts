/** Markup that is safe as it stands. Text only becomes markup through `html`, which escapes it. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Part = Markup | string | number | null | undefined | readonly Part[];

/** A template whose values are escaped, unless they are markup. */
export function html(strings: TemplateStringsArray, ...values: readonly Part[]): Markup {
  let text = strings[0] ?? '';
  for (let i = 0; i < values.length; i++) text += rendered(values[i]) + (strings[i + 1] ?? '');
  return new Markup(text);
}

function rendered(part: Part): string {
  if (part instanceof Markup) return part.text;
  if (typeof part === 'object' && part !== null) return part.map(rendered).join('');
  return part === null || part === undefined ? '' : escapeHtml(String(part));
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** What cannot be seen, or turns the direction of text, is shown by its code. */
export function escapeHtml(text: string): string {
  return text
    .replace(
      /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu,
      (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
    )
    .replace(/[&<>"']/g, (character) => entities[character] as string);
}
