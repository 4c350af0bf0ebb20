import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Bound, digest } from './digest.ts';

const base: Bound = {
  principal: 'github:repo:shop',
  target: 'orders',
  protocol: 'postgres',
  text: 'delete from orders where id = $1',
  parameters: ['1'],
  scope: 'db=shop path=public',
  policyVersion: '0123456789abcdef',
};

const { parameters: _, ...withoutParameters } = base;
const { scope: __, ...withoutScope } = base;

const changed: Readonly<Record<string, Bound>> = {
  'another principal': { ...base, principal: 'github:repo:shop2' },
  'another target': { ...base, target: 'orders-eu' },
  'another protocol': { ...base, protocol: 'mysql' },
  'another text': { ...base, text: 'delete from orders where id = $1 or true' },
  'a space at the end of the text': { ...base, text: `${base.text} ` },
  'another case': { ...base, text: base.text.toUpperCase() },
  'a look-alike letter': { ...base, text: base.text.replace('o', 'о') },
  'a NUL at the end': { ...base, text: `${base.text}\0` },
  'another bind value': { ...base, parameters: ['2'] },
  'null in place of a value': { ...base, parameters: [null] },
  'the word null in place of a value': { ...base, parameters: ['null'] },
  'an empty value': { ...base, parameters: [''] },
  'no values': { ...base, parameters: [] },
  'one more value': { ...base, parameters: ['1', ''] },
  'one more null': { ...base, parameters: ['1', null] },
  'no parameters at all': withoutParameters,
  'another scope': { ...base, scope: 'db=shop path=evil,public' },
  'an empty scope': { ...base, scope: '' },
  'no scope': withoutScope,
  'another policy version': { ...base, policyVersion: '0123456789abcdee' },
  'a byte moved from target to principal': { ...base, principal: `${base.principal}o`, target: 'rders' },
  'a byte moved from text to protocol': { ...base, protocol: 'postgresd', text: base.text.slice(1) },
  'text and scope swapped': { ...base, text: base.scope as string, scope: base.text },
  'a lone surrogate': { ...base, text: `${base.text}\ud800` },
  'another lone surrogate': { ...base, text: `${base.text}\ud801` },
  'the replacement character': { ...base, text: `${base.text}\ufffd` },
};

describe('the digest of a command', () => {
  it('is 64 hex digits and the same for the same command', () => {
    expect(digest(base)).toMatch(/^[0-9a-f]{64}$/);
    expect(digest({ ...base, parameters: ['1'] })).toBe(digest(base));
  });

  it('does not change between versions of the gateway, or open requests would be lost', () => {
    expect(digest(base)).toBe('46188b6096ff60e9e93efb7bfc3970f8c14378053d9fffae7167c2b85c984a8b');
  });

  it('is another one for every change there is', () => {
    const all = Object.values({ base, ...changed }).map(digest);
    expect(new Set(all).size).toBe(all.length);
  });

  it('never meets the digest of another command', () => {
    const text = fc.string({ unit: 'binary', maxLength: 4 });
    const bound = fc.record(
      {
        principal: text,
        target: text,
        protocol: text,
        text,
        policyVersion: text,
        scope: text,
        parameters: fc.array(fc.option(text), { maxLength: 3 }),
      },
      { requiredKeys: ['principal', 'target', 'protocol', 'text', 'policyVersion'] },
    );
    const seen = new Map<string, string>();
    fc.assert(
      fc.property(bound, (each) => {
        const { principal, target, protocol, text, parameters, scope, policyVersion } = each;
        const whole = JSON.stringify([
          principal,
          target,
          protocol,
          text,
          parameters ?? 'absent',
          scope ?? { absent: true },
          policyVersion,
        ]);
        const before = seen.get(digest(each));
        seen.set(digest(each), whole);
        return before === undefined || before === whole;
      }),
      { numRuns: 2_000 },
    );
  });

  it('keeps parameters apart however a text is cut into them', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 8 }), fc.nat(7), fc.nat(7), (text, a, b) => {
        const cut = (at: number) => ({ ...base, parameters: [text.slice(0, at), text.slice(at)] });
        const [first, second] = [Math.min(a, text.length), Math.min(b, text.length)];
        return first === second || digest(cut(first)) !== digest(cut(second));
      }),
    );
  });
});
