import type { HttpSettings } from '../settings.ts';
import type { Rules } from './classify.ts';
import { loadRoutes } from './openapi.ts';

/** Makes a target's settings ready for its requests; reads its OpenAPI document. Throws ConfigError `file:line: path: what`. */
export function openRules(settings: HttpSettings): Rules {
  const { address, openapi, paths, graphql, messages, credential } = settings;
  const as = credential?.as;
  return {
    paths,
    routes: openapi === undefined ? undefined : loadRoutes(openapi, address, paths.ignoreCase),
    graphql,
    aws: typeof as === 'object' && 'aws' in as ? as.aws.service : undefined,
    messages,
  };
}
