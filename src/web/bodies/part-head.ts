/** The head of one part of a multipart body (RFC 2046 section 5.1). */
export interface PartHead {
  /** The `name` of its Content-Disposition (RFC 7578 section 4.2). */
  readonly name: string | undefined;
  /** The only field of that name, in lower case. */
  field(name: string): string | undefined;
  /** Its bytes, a copy, without the fields of these names. */
  without(names: ReadonlySet<string>): Buffer;
}

/** `bytes`: up to and with the empty line. Undefined where a line is no field, is folded, or a field of importance comes twice. */
export function parsePartHead(bytes: Buffer): PartHead | undefined {
  const lines = bytes.toString('latin1').split(/(?<=\n)/);
  const fields = new Map<string, string>();
  const kept: { readonly name: string; readonly line: string }[] = [];
  for (const line of lines) {
    const text = line.replace(/\r?\n$/, '');
    if (text === '') {
      kept.push({ name: '', line });
      continue;
    }
    const parts = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([^\r\0]*?)[ \t]*$/.exec(text);
    if (parts === null) return undefined;
    const name = parts[1]!.toLowerCase();
    if (fields.has(name)) return undefined;
    fields.set(name, parts[2]!);
    kept.push({ name, line });
  }
  return {
    name: dispositionName(fields.get('content-disposition')),
    field: (name) => fields.get(name),
    without: (names) =>
      Buffer.from(
        kept
          .filter(({ name }) => !names.has(name))
          .map(({ line }) => line)
          .join(''),
        'latin1',
      ),
  };
}

function dispositionName(disposition: string | undefined): string | undefined {
  if (disposition === undefined) return undefined;
  const name = /;\s*name\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/i.exec(disposition);
  const text = name?.[1]?.replace(/\\(.)/g, '$1') ?? name?.[2];
  return text === undefined ? undefined : Buffer.from(text, 'latin1').toString();
}
