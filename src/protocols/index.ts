import type { Protocol } from '../gateway/protocol.ts';
import { createPostgres } from './postgres/postgres.ts';

/** Every protocol that Sallyport speaks. Adding one is its folder and a line here. */
export function createProtocols(): readonly Protocol[] {
  return [createPostgres()] as readonly Protocol[];
}
