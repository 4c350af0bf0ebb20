/**
 * Values that a name calls secret: `password = "…"`, `"apiKey": "…"`, `PGPASSWORD=…`, `<token>…</token>`, `;Pwd=…;`. A name alone
 * proves nothing, so the value has to look random, or the text around has to be a connection string.
 */

/** The names, any case. Global: whoever searches keeps its place. */
export const secretName =
  /pass(?:word|wd|phrase)|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|account[_-]?key|auth[_-]?key|credential/gi;

// From behind the name: the rest of the identifier, what assigns, the value. All bounded.
const assignment =
  /([A-Za-z0-9_.-]{0,30})["'`]?\]?[ \t]{0,8}(?:(?:=>|:=|\?=|===?|=|:)[ \t]{0,8}(?:[a-z]{0,2}"([^"\r\n]{6,256})"|[a-z]{0,2}'([^'\r\n]{6,256})'|`([^`\r\n]{6,256})`|([^\s"'`,;(){}[\]<>&]{6,256})(?=[\s,;&"'<]|$))|>([^<>\s]{6,256})<\/)/y;

/** A name that speaks of something about a secret, not of one. */
const aboutIt =
  /hash|digest|sum|fingerprint|public|url|uri|file|path|name|field|length|size|type|expir|regex|pattern|count|limit|rotation|label|hint|policy|prefix|suffix|header|format|manager|store|provider|version|arn|_?id$|ref$|env$|var$|key_?name|column|placeholder|error|message|selector|class|icon|title|list|index|ttl|param|endpoint|\.(?:[cm]?[jt]sx?|py|go|rs|rb|java|json|md|ya?ml|css|toml)$/i;

const placeholder =
  /example|change[-_ ]?me|placeholder|your[-_ ]|dummy|sample|redacted|x{4}|\*{3}|\.{3}|\$\{|\{\{|\$\(|%\(|<[^>]*>|^[$%@#]|insert[-_]|replace|default|secret|passw|token|api[-_]?key|undefined|1234567|qwert|(.)\1{4}|(?<![a-z0-9])(?:foo|bar|baz|todo|fixme|lorem|null|true|false|none|abcd)|^your|^Eby8vdM02xNO/i;

export interface AssignedSecret {
  readonly rule: 'assigned-secret' | 'connection-string' | 'aws-secret-key';
  readonly start: number;
  readonly end: number;
}

/** What is assigned to the name that stands at `at` and ends at `nameEnd`. */
export function assignedSecretAt(text: string, at: number, nameEnd: number): AssignedSecret | undefined {
  assignment.lastIndex = nameEnd;
  const match = assignment.exec(text);
  if (match === null) return undefined;
  const value = match[2] ?? match[3] ?? match[4] ?? match[5] ?? match[6]!;
  const bare = match[5] !== undefined;
  const start = nameEnd + match[0].lastIndexOf(value);
  const place = { start, end: start + value.length };
  const name = text.slice(Math.max(0, at - 24), nameEnd) + match[1]!;
  if (/aws/i.test(text.slice(Math.max(0, at - 24), nameEnd + 24)) && /^[A-Za-z0-9/+]{40}$/.test(value)) {
    return /EXAMPLEKEY/.test(value) || distinct(value) < 16 ? undefined : { rule: 'aws-secret-key', ...place };
  }
  if (bare && connection(text, at) && !weak(value)) return { rule: 'connection-string', ...place };
  if (aboutIt.test(match[1]!) || /hash|public|example|dummy|fake|mock/i.test(name)) return undefined;
  return random(value, bare) ? { rule: 'assigned-secret', ...place } : undefined;
}

/** Whether the name is a key of a connection string: `Server=…;Password=`, `host=… password=`. */
function connection(text: string, at: number): boolean {
  const before = text.slice(Math.max(0, at - 200), at);
  const line = before.slice(before.lastIndexOf('\n') + 1);
  return /(?:server|data source|host|user id|uid|user|dbname|initial catalog)\s?=[^;\s]+[; ](?:[^\n]{0,150}[; ])?$/i.test(
    line,
  );
}

function weak(value: string): boolean {
  return placeholder.test(value) || distinct(value) < 5 || /^[{<$%]/.test(value);
}

function random(value: string, bare: boolean): boolean {
  if (value.length < (bare ? 12 : 8) || /\s/.test(value) || placeholder.test(value)) return false;
  if (!/[A-Za-z]/.test(value) || !/\d/.test(value)) return false;
  // Addresses, paths, names with a number, uuids, dates, versions, calls, selectors.
  if (
    /:\/\/|^[./~]|^arn:|^urn:|\[[a-z]|^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-|^sha\d+[-:]|\(|\)|=>|\\[dws]|^\d{4}-\d\d/i.test(
      value,
    )
  )
    return false;
  const words = value.split(/[-_.:/ ]+/);
  if (words.every((word) => /^(?:[A-Z]?[a-z]*|[A-Z]+|\d{1,4}|[a-z]{1,12}\d{1,2}|v\d+)$/.test(word))) return false;
  if (identifier(value) || (bare && /^[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)+$/.test(value))) return false;
  const needed = bare || value.length >= 20 ? 3.3 : 2.9;
  if (entropy(value) < needed) return false;
  const kinds = [/[a-z]/, /[A-Z]/, /\d/, /[^A-Za-z0-9]/].filter((kind) => kind.test(value)).length;
  return kinds >= 3 || value.length >= 20;
}

/** Whether letters and digits come in pieces as long as words: `OAuth2Client`. Random ones alternate. */
function identifier(value: string): boolean {
  const pieces = value.match(/[A-Z]*[a-z]+|[A-Z]+|\d+/g) ?? [];
  return /^[A-Za-z0-9_]+$/.test(value) && value.length / pieces.length >= 3.8;
}

/** Shannon entropy of the characters, bits each. */
function entropy(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}

function distinct(text: string): number {
  return new Set(text).size;
}
