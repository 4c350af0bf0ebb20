/** Classes of bytes (RFC 9110 §5.6.2, §5.5; RFC 9112 §3.2). Indexed by byte. */

const tokenPunctuation = "!#$%&'*+-.^_`|~";

/** Characters of a token: 1, upper-case letters 2, all others 0. */
export const tokenClass: Uint8Array = table((code) => {
  const character = String.fromCharCode(code);
  if (/[A-Z]/.test(character)) return 2;
  return /[a-z0-9]/.test(character) || tokenPunctuation.includes(character) ? 1 : 0;
});

/** Characters of a field value: blanks, visible ASCII, and bytes above it. No other control characters. */
export const valueClass: Uint8Array = table((code) => (code === 9 || (code >= 32 && code !== 127) ? 1 : 0));

/** Characters of a request target: visible ASCII without `#`. */
export const targetClass: Uint8Array = table((code) => (code > 32 && code < 127 && code !== 35 ? 1 : 0));

export const cr = 13;
export const lf = 10;
export const space = 32;
export const tab = 9;
export const colon = 58;

export function isToken(text: string): boolean {
  return text.length > 0 && consistsOf(tokenClass, text);
}

export function isFieldValue(text: string): boolean {
  return consistsOf(valueClass, text);
}

export function isTarget(text: string): boolean {
  return text.length > 0 && consistsOf(targetClass, text);
}

/** Characters above 255 are in no class: as latin1 they would be cut to another byte, a line break even. */
function consistsOf(characters: Uint8Array, text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code > 255 || characters[code] === 0) return false;
  }
  return true;
}

function table(of: (code: number) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => of(code));
}
