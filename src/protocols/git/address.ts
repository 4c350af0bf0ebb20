/** Where a git server is: an origin, and what stands before every repository's path. */
export interface GitAddress {
  readonly scheme: 'http' | 'https';
  /** Lower case; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** As `Host` names it: the port only where it is not the scheme's own. */
  readonly authority: string;
  /** `/scm`; empty for none. Never ends in a slash. */
  readonly basePath: string;
}

/** Reads `https://code.example:8443/scm`. A message says what is wrong with it otherwise. */
export function parseGitAddress(value: string): GitAddress | string {
  const url = URL.parse(value);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    return 'expected an address such as https://code.example or https://code.example/scm';
  }
  if (url.username !== '' || url.password !== '') return 'cannot hold a user or password: use credential';
  const written = /^[a-z]+:\/\/[^/?#]*([^?#]*)$/i.exec(value)?.[1];
  if (written === undefined) return 'cannot have a query or a fragment';
  const basePath = written.replace(/\/$/, '');
  if (!/^(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._~+-]+)*$/.test(basePath)) {
    return 'its path must be plain: parts of letters, digits and -._~+ between single slashes';
  }
  const scheme = url.protocol === 'https:' ? 'https' : 'http';
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port === '' ? (scheme === 'https' ? 443 : 80) : Number(url.port);
  return { scheme, host, port, authority: url.host.toLowerCase(), basePath };
}
