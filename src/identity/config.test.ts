import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { issuerSchema, issuersSchema, signatureAlgorithms, ticketsSchema } from './config.ts';

const full = {
  name: 'corp',
  issuer: 'https://id.corp.example',
  audience: 'sallyport',
  algorithms: ['ES256'],
  require: { team: 'shop' },
  principal: { kind: 'human' },
};

const valid = (settings: object) => issuerSchema.safeParse(settings).success;

describe('an issuer', () => {
  it('is trusted only with a name, an address, an audience and a kind', () => {
    expect(valid(full)).toBe(true);
    for (const key of ['name', 'issuer', 'audience', 'principal'] as const) {
      const { [key]: _, ...rest } = full;
      expect(valid(rest), key).toBe(false);
    }
    expect(valid({ ...full, principal: {} })).toBe(false);
  });

  it('is refused when any key is there but empty, which would ask for nothing', () => {
    const keys = [
      'name',
      'issuer',
      'audience',
      'algorithms',
      'type',
      'jwksUri',
      'ca',
      'require',
      'principal',
      'maxTokenAgeSeconds',
    ];
    for (const key of keys) {
      for (const empty of [null, '', [], {}])
        expect(valid({ ...full, [key]: empty }), `${key}: ${JSON.stringify(empty)}`).toBe(false);
    }
    for (const empty of [null, '', [], {}]) {
      expect(valid({ ...full, require: { team: empty } })).toBe(false);
      expect(valid({ ...full, require: { team: { not: empty } } })).toBe(false);
      expect(valid({ ...full, require: { team: { like: empty } } })).toBe(false);
      expect(valid({ ...full, principal: { kind: empty } })).toBe(false);
      expect(valid({ ...full, principal: { kind: 'human', owner: empty } })).toBe(false);
      expect(valid({ ...full, principal: { kind: 'human', subject: empty } })).toBe(false);
      expect(valid({ ...full, principal: { kind: [{ when: empty, kind: 'human' }] } })).toBe(false);
      expect(valid({ ...full, groups: { rules: [{ when: empty, groups: ['x'] }] } })).toBe(false);
      expect(valid({ ...full, groups: { only: empty } })).toBe(false);
      expect(valid({ ...full, groups: { claims: empty } })).toBe(false);
    }
    expect(valid({ ...full, principal: { kind: [{ kind: 'human' }] } })).toBe(false);
  });

  it('is refused with a key that is misspelt', () => {
    expect(valid({ ...full, requires: { team: 'shop' } })).toBe(false);
    expect(valid({ ...full, principal: { kind: 'ci', Owner: 'corp:{x}' } })).toBe(false);
    expect(valid({ ...full, groups: { claim: 'groups' } })).toBe(false);
  });

  it('can be allowed asymmetric algorithms only', () => {
    expect(signatureAlgorithms.filter((alg) => /^(none|HS)/i.test(alg))).toEqual([]);
    for (const alg of ['none', 'HS256', 'HS512', 'A256KW', 'es256', ''])
      expect(valid({ ...full, algorithms: [alg] })).toBe(false);
    expect(issuerSchema.parse({ ...full, algorithms: undefined }).algorithms).toEqual([
      'RS256',
      'ES256',
      'EdDSA',
      'PS256',
    ]);
  });

  it('is reached over https, or over http without leaving the machine', () => {
    for (const issuer of [
      'http://127.0.0.1:9000',
      'http://localhost:9000/a',
      'http://[::1]:9000',
      'https://id.corp.example/tenant/',
    ]) {
      expect(valid({ ...full, issuer }), issuer).toBe(true);
    }
    const bad = [
      'http://id.corp.example', 'http://127.0.0.1.evil.example', 'http://localhost.evil.example', 'ftp://127.0.0.1', 'file:///etc/passwd',
      'https://user:pw@id.corp.example', 'https://id.corp.example/?x=1', 'https://id.corp.example/#x', 'https://id.corp.example?', 'corp', 'javascript:1',
    ]; // biome-ignore format: a list
    for (const issuer of bad) {
      expect(valid({ ...full, issuer }), issuer).toBe(false);
      expect(valid({ ...full, jwksUri: issuer }), issuer).toBe(false);
    }
  });

  it('may not allow for more than a minute of clock skew', () => {
    expect(valid({ ...full, clockSkewSeconds: 60 })).toBe(true);
    for (const clockSkewSeconds of [61, -1, 1.5, Number.NaN, '30'])
      expect(valid({ ...full, clockSkewSeconds })).toBe(false);
  });

  const shared = [
    ['https://token.actions.githubusercontent.com', 'repository_owner_id'],
    ['https://token.actions.githubusercontent.com/some-enterprise', 'enterprise_id'],
    ['https://gitlab.com', 'project_id'],
    ['https://accounts.google.com', 'hd'],
    ['https://agent.buildkite.com', 'organization_slug'],
  ] as const;
  it.each(shared)('that signs for everybody (%s) needs a condition on whose it is', (issuer, claim) => {
    const base = { ...full, issuer };
    expect(valid({ ...base, require: undefined })).toBe(false);
    expect(valid({ ...base, require: { ref: 'refs/heads/main' } })).toBe(false);
    expect(valid({ ...base, require: { [claim]: { present: true } } })).toBe(false);
    expect(valid({ ...base, require: { [claim]: { not: 'evil' } } })).toBe(false);
    expect(valid({ ...base, require: { [claim]: { like: 'acme*' } } })).toBe(false);
    expect(valid({ ...base, require: { [claim]: '1' } })).toBe(true);
    expect(valid({ ...base, require: { [claim]: ['1', '2'] } })).toBe(true);
  });

  it.each(['{a}{b}', '{a}b{c}', '{', 'a}', '{}', 'x{a', 'text without claim{}'])(
    'refuses the template %j',
    (subject) => {
      expect(valid({ ...full, principal: { kind: 'ci', subject } })).toBe(false);
    },
  );
});

describe('the list of issuers', () => {
  const list = (...issuers: object[]) => issuersSchema.safeParse(issuers).success;
  const second = { ...full, name: 'ci', issuer: 'https://ci.corp.example' };

  it('names each issuer once, so that one caller cannot be two', () => {
    expect(list(full, second)).toBe(true);
    expect(list(full, { ...second, name: 'corp' })).toBe(false);
    expect(list(full, { ...second, issuer: full.issuer })).toBe(false);
  });

  it('knows the issuer of every owner', () => {
    expect(list(full, { ...second, principal: { kind: 'ci', owner: 'corp:{owner}' } })).toBe(true);
    expect(list(full, { ...second, principal: { kind: 'ci', owner: 'crop:{owner}' } })).toBe(false);
    expect(list(full, { ...second, principal: { kind: 'ci', owner: '{owner}' } })).toBe(false);
  });

  it('is described by a JSON Schema', () => {
    expect(JSON.stringify(z.toJSONSchema(issuersSchema, { io: 'input' }))).toContain('maxTokenAgeSeconds');
    expect(JSON.stringify(z.toJSONSchema(ticketsSchema, { io: 'input' }))).toContain('maxTtlMinutes');
  });

  it('survives any JSON', () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => void issuersSchema.safeParse(value)));
  });
});
