import type { Protocol } from '../gateway/protocol.ts';
import { webFamily } from '../web/front.ts';
import { createGit } from './git/git.ts';
import { createHttp } from './http/http.ts';
import { createPostgres } from './postgres/postgres.ts';

/** Every protocol that Sallyport speaks. Adding one is its folder and a line here. */
export function createProtocols(): readonly Protocol[] {
  return [createPostgres(), ...webFamily([createHttp(), createGit()])] as readonly Protocol[];
}
