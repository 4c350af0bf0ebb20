import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Conditions } from './claims.ts';
import { issuerSchema } from './config.ts';
import type { Issuer } from './issuers.ts';
import { toPrincipal } from './principal.ts';
import { Rejection } from './rejection.ts';
import { requirements } from './sharedIssuers.ts';

interface Case {
  readonly name: string;
  readonly issuer: unknown;
  readonly claims: Record<string, unknown>;
  readonly principal?: Record<string, unknown>;
  /** Part of the reason. */
  readonly rejected?: string;
}

const folder = new URL('testdata/', import.meta.url);

describe.each(readdirSync(folder))('claims of %s', (file) => {
  const cases = JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Case[];
  it.each(cases)('$name', ({ issuer, claims, principal, rejected }) => {
    const config = issuerSchema.parse(issuer);
    const trusted = {
      config,
      requirements: requirements(config.issuer, (config.require ?? {}) as Conditions),
    } as Issuer;
    if (rejected === undefined) {
      expect(principal).toBeDefined();
      expect(toPrincipal(claims, trusted)).toMatchObject(principal!);
      expect(toPrincipal(claims, trusted).claims).toEqual(principal!.claims ?? toPrincipal(claims, trusted).claims);
    } else {
      expect(() => toPrincipal(claims, trusted)).toThrow(Rejection);
      expect(() => toPrincipal(claims, trusted)).toThrow(rejected);
    }
  });
});

it('lets nobody in whose token lacks a claim that the configuration names', () => {
  const [github] = JSON.parse(readFileSync(new URL('github.json', folder), 'utf8')) as [Case];
  const config = issuerSchema.parse(github.issuer);
  const trusted = { config, requirements: requirements(config.issuer, config.require as Conditions) } as Issuer;
  for (const claim of ['repository_owner_id', 'repository_id', 'run_id', 'actor_id', 'event_name']) {
    for (const nothing of [undefined, null, '', []]) {
      expect(() => toPrincipal({ ...github.claims, [claim]: nothing }, trusted), claim).toThrow(Rejection);
    }
  }
});
