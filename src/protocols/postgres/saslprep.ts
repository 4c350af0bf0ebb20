/**
 * Prepares a password as PostgreSQL does (SASLprep, RFC 4013): other spaces become spaces, invisible characters go, the
 * rest is normalised (NFKC). Like PostgreSQL, a password that SASLprep forbids is used as it is. The checks for mixed
 * writing directions and unassigned code points are left out: they only forbid.
 */
export function preparePassword(password: string): string {
  if (/^[\x20-\x7e]*$/.test(password)) return password;
  const prepared = password
    .replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu, ' ') // RFC 3454, table C.1.2
    .replace(/\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/gu, '') // table B.1
    .normalize('NFKC');
  return prepared === '' || forbidden.test(prepared) ? password : prepared;
}

// RFC 3454, tables C.2 to C.9: control, private use, non-characters, surrogates, and characters that change how text is shown.
const forbidden =
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: code points one by one, not shown characters
  /[\p{Cc}\p{Co}\p{Cs}\p{Noncharacter_Code_Point}\u0340\u0341\u06dd\u070f\u180e\u200c-\u200f\u2028-\u202e\u2060-\u2063\u206a-\u206f\u2ff0-\u2ffb\ufeff\ufff9-\ufffd\u{1d173}-\u{1d17a}\u{e0001}\u{e0020}-\u{e007f}]/u;
