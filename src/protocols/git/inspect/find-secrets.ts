import { assignedSecretAt, secretName } from './assigned-secret.ts';
import { type SecretFormat, secretFormats } from './secret-formats.ts';

/** Something that looks like a credential, in offsets of the text that was searched. */
export interface FoundSecret {
  readonly rule: string;
  readonly start: number;
  readonly end: number;
}

export interface SecretSearch {
  /** Ascending, none overlapping another. Time is linear in the text, whatever it is. */
  find(text: string, entropy: boolean): readonly FoundSecret[];
}

/** The longest that a secret and what has to stand around it can be, in characters: neighbouring windows overlap by as much. */
export const longestSecret = 8192;

const pem = '-----BEGIN ';
const putty = 'PuTTY-User-Key-File-';
const url = '://';

/**
 * Makes a search. One pass over the text looks for the literal beginnings of all formats, one more for names of secrets; only where
 * one stands is a format tried. Texts are latin1: one character a byte.
 */
export function createSecretSearch(formats: readonly SecretFormat[] = secretFormats): SecretSearch {
  const byPrefix = new Map<string, SecretFormat[]>();
  for (const format of formats) {
    for (const prefix of format.prefixes) byPrefix.set(prefix, [...(byPrefix.get(prefix) ?? []), format]);
  }
  const prefixes = [...byPrefix.keys(), pem, putty, url].sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
  // A shorter beginning counts where a longer one stands too: `sk-` in `sk-ant-`.
  const shorter = new Map(prefixes.map((long) => [long, prefixes.filter((short) => long.startsWith(short))]));
  const beginning = new RegExp(prefixes.map((prefix) => prefix.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')).join('|'), 'g');

  function known(text: string, found: FoundSecret[]): void {
    beginning.lastIndex = 0;
    for (let match = beginning.exec(text); match !== null; match = beginning.exec(text)) {
      const at = match.index;
      const hit = first(shorter.get(match[0])!, (prefix) => lookAt(text, at, prefix));
      if (hit !== undefined) found.push(hit);
      beginning.lastIndex = hit !== undefined && hit.end > at ? hit.end : at + 1;
    }
  }

  function lookAt(text: string, at: number, prefix: string): FoundSecret | undefined {
    if (prefix === pem) return privateKeyAt(text, at);
    if (prefix === putty) return puttyKeyAt(text, at);
    if (prefix === url) return urlPasswordAt(text, at);
    return first(byPrefix.get(prefix)!, (format) => formatAt(format, text, at));
  }

  return {
    find(text, entropy) {
      const found: FoundSecret[] = [];
      known(text, found);
      if (!entropy) return found;
      const specific = found.length;
      secretName.lastIndex = 0;
      for (let match = secretName.exec(text); match !== null; match = secretName.exec(text)) {
        const hit = assignedSecretAt(text, match.index, match.index + match[0].length);
        if (hit === undefined) continue;
        secretName.lastIndex = Math.max(hit.end, match.index + match[0].length);
        found.push(hit);
      }
      return found.length === specific ? found : withoutOverlaps(found, specific);
    },
  };
}

/** What the formats found wins over what a name suggested. */
function withoutOverlaps(found: readonly FoundSecret[], specific: number): FoundSecret[] {
  const firm = found.slice(0, specific);
  let at = 0;
  const rest = found.slice(specific).filter(({ start, end }) => {
    while (at < firm.length && firm[at]!.end <= start) at += 1;
    return at === firm.length || firm[at]!.start >= end;
  });
  return [...firm, ...rest].sort((a, b) => a.start - b.start);
}

function first<Item, Result>(items: readonly Item[], look: (item: Item) => Result | undefined): Result | undefined {
  for (const item of items) {
    const result = look(item);
    if (result !== undefined) return result;
  }
  return undefined;
}

function formatAt(format: SecretFormat, text: string, at: number): FoundSecret | undefined {
  if (format.within !== true && at > 0 && alphanumeric(text.charCodeAt(at - 1))) return undefined;
  format.format.lastIndex = at;
  const match = format.format.exec(text);
  if (match === null) return undefined;
  const secret = match[1] ?? match[0];
  if (format.accept?.(secret) === false) return undefined;
  const start = at + match[0].lastIndexOf(secret);
  return { rule: format.rule, start, end: start + secret.length };
}

function alphanumeric(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
}

const pemHeader = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/y;

/** A PEM private key (RFC 7468 and its relatives), also as a string literal over several lines. A header alone is none. */
function privateKeyAt(text: string, at: number): FoundSecret | undefined {
  pemHeader.lastIndex = at;
  const header = pemHeader.exec(text);
  if (header === null) return undefined;
  const body = at + header[0].length;
  if (!base64Within(text, body, Math.min(text.length, body + 400))) return undefined;
  const window = text.slice(body, body + 7000);
  const close = window.indexOf('-----END ');
  const content = close < 0 ? window.slice(0, 400) : window.slice(0, close);
  return { rule: 'private-key', start: at, end: body + content.length };
}

/** Whether there is a run of 32 base64 characters, of some variety. */
function base64Within(text: string, from: number, to: number): boolean {
  let start = from;
  for (let at = from; at < to; at++) {
    const code = text.charCodeAt(at);
    if (!alphanumeric(code) && code !== 0x2b && code !== 0x2f && code !== 0x3d) start = at + 1;
    else if (at - start === 31 && new Set(text.slice(start, at + 1)).size >= 12) return true;
  }
  return false;
}

const privateLines = 'Private-Lines: ';

function puttyKeyAt(text: string, at: number): FoundSecret | undefined {
  const window = text.slice(at, at + 1600);
  const lines = window.indexOf(privateLines);
  if (lines < 0) return undefined;
  const body = at + lines + privateLines.length;
  if (!base64Within(text, body, Math.min(text.length, body + 100))) return undefined;
  const end = /^[A-Za-z0-9+/=\r\n ]{0,4000}/.exec(text.slice(body, body + 4000))![0].length;
  return { rule: 'private-key', start: at, end: body + end };
}

const urlPassword = /:\/\/([^\s:@/?#"'`<>]{0,128}):([^\s@/"'`<>{}]{3,256})@([A-Za-z0-9[][A-Za-z0-9.:-]{0,80})/y;
const mereWord =
  /^(?:pass(?:word|wd|phrase)?|pwd|pw|secret|token|key|user(?:name)?|admin|root|postgres|mysql|guest|test|example|change[-_]?me|x+|\*+|\.+|[$%].*|[A-Z_]+|[a-z]{1,6}|[\d.]+)$/i;

/** `scheme://user:password@host`, where the password is more than a stand-in. */
function urlPasswordAt(text: string, at: number): FoundSecret | undefined {
  urlPassword.lastIndex = at;
  const match = urlPassword.exec(text);
  if (match === null) return undefined;
  const [, user, password, host] = match;
  if (mereWord.test(password!) || password === user || /\$[({]|%[({s]/.test(password!)) return undefined;
  if (/(?:^|\.)example(?:\.|$)|^host(?:name)?(?:[.:]|$)/.test(host!)) return undefined;
  const start = at + 4 + user!.length;
  return { rule: 'url-password', start, end: start + password!.length };
}
