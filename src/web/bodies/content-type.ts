/** A `Content-Type` (RFC 9110 section 8.3.1): type and subtype, in lower case, and parameters. */
export interface ContentType {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Undefined for what is none, or is ambiguous: several types, the same parameter twice. */
export function parseContentType(value: string): ContentType | undefined {
  const head = /^[ \t]*([!#$%&'*+.^_`|~\w-]+\/[!#$%&'*+.^_`|~\w-]+)[ \t]*(?=;|$)/.exec(value);
  if (head === null) return undefined;
  const parameters = new Map<string, string>();
  for (let at = head[0].length; at < value.length; ) {
    parameter.lastIndex = at;
    const found = parameter.exec(value);
    if (found === null) return undefined;
    at = parameter.lastIndex;
    const name = found[1]?.toLowerCase();
    if (name === undefined) continue;
    if (parameters.has(name)) return undefined;
    parameters.set(name, found[3] === undefined ? found[2]! : found[3].replace(/\\(.)/g, '$1'));
  }
  return { type: head[1]!.toLowerCase(), parameters };
}

/** An empty one is allowed (`text/html;`). */
const parameter = /;[ \t]*(?:([!#$%&'*+.^_`|~\w-]+)=([!#$%&'*+.^_`|~\w-]+|"((?:[^"\\]|\\.)*)"))?[ \t]*(?=;|$)/y;

/** Character sets in which ASCII is ASCII and nothing else is: detectors can read them. */
export function readableCharset(charset: string | undefined): boolean {
  return charset === undefined || readable.test(charset.toLowerCase());
}

const readable = /^(?:utf-?8|(?:us-)?ascii|iso[-_]?8859-\d{1,2}|latin-?\d{1,2}|windows-125\d|cp125\d)$/;
