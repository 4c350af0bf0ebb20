import type { Fields } from '../../../web/message.ts';

/** The head of a request on its way to the target, as far as credentials concern it. */
export interface OutgoingHead {
  readonly method: string;
  /** Path and query as they are sent. */
  readonly target: string;
  /** As `Host` will be sent. */
  readonly authority: string;
  readonly fields: Fields;
}

/** How servers that go by CGI's rules see a field's name: `X_Api.Key` and `X-Api-Key` are one (RFC 3875 §4.1.18). */
export function foldedName(name: string): string {
  return isFolded(name) ? name : name.toLowerCase().replaceAll(/[^a-z0-9]/g, '-');
}

/** Nearly every name is: this is asked for each field of each request. */
function isFolded(name: string): boolean {
  for (let index = 0; index < name.length; index++) {
    const code = name.charCodeAt(index);
    if (!(code === 45 || (code >= 97 && code <= 122) || (code >= 48 && code <= 57))) return false;
  }
  return true;
}
