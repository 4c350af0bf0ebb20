import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ApprovalRequest } from '../model/approval.ts';
import type { Classified } from '../model/command.ts';
import type { Caller, Principal } from '../model/principal.ts';
import type { Target } from '../model/target.ts';
import { checkPolicies } from './check.ts';
import { type Cedar, loadCedar } from './engine.ts';
import { type Activation, openPolicies, type Policies, type PolicyOptions, type Rejection } from './port.ts';

const permitReads = '@id("reads") permit (principal, action == Action::"read", resource);\n';
const forbidReads = '@id("no-reads") @advice("not now") forbid (principal, action == Action::"read", resource);\n';
const invalid = '@id("x")\npermit (principal, action == Action::"read", resource) when { principal.nosuch };\n';

const principal: Principal = {
  id: 'test:a',
  kind: 'agent',
  issuer: 'test',
  subject: 'a',
  name: 'A',
  groups: ['g'],
  claims: {},
};
const caller: Caller = { principal, proof: { kind: 'oidc', id: 'p', expiresAt: 0 } };
const target: Target = { name: 'orders', protocol: 'postgres', labels: {}, holdMs: 0, settings: {} };
const select: Classified = {
  verb: 'SELECT',
  actions: ['read'],
  resources: [{ type: 'Table', id: 'public.t', access: 'read' }],
  facts: { statements: 1, hasWhere: true, functions: [], verbs: ['SELECT'] },
};

let dir: string;
let open: Policies[];
let logged: string[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'policies-'));
  open = [];
  logged = [];
});
afterEach(async () => {
  await Promise.all(open.map((policies) => policies.close()));
  await rm(dir, { recursive: true, force: true });
});

const write = (file: string, text: string): Promise<void> => writeFile(join(dir, file), text);

async function opened(options: Partial<PolicyOptions> = {}): Promise<Policies> {
  const log: PolicyOptions['log'] = (level, message) => logged.push(`${level} ${message}`);
  const policies = await openPolicies({ dir, classificationsOf: () => ['pii'], log, watch: false, ...options });
  open.push(policies);
  return policies;
}

describe('policies at start', () => {
  it('fail with file, line and message when they are not valid', async () => {
    await write('a.cedar', `${permitReads}${invalid}`);
    await expect(opened()).rejects.toMatchObject({
      name: 'ConfigError',
      message: expect.stringMatching(/^a\.cedar:3: attribute `nosuch`/),
    });
    expect(await checkPolicies(dir)).toEqual([expect.stringMatching(/^a\.cedar:3: /)]);
  });

  it('fail when the folder is not there', async () => {
    await expect(opened({ dir: join(dir, 'none') })).rejects.toMatchObject({
      name: 'ConfigError',
      message: expect.stringContaining('ENOENT'),
    });
    expect(await checkPolicies(join(dir, 'none'))).toHaveLength(1);
  });

  it('fail when a file is not text', async () => {
    await writeFile(join(dir, 'a.cedar'), Buffer.from([0xff, 0xfe, 0x00]));
    await expect(opened()).rejects.toThrow('a.cedar:1: policies: not UTF-8');
  });

  it('deny everything when there are none', async () => {
    const policies = await opened();
    expect(policies.decideCommand(caller, target, select)).toMatchObject({
      outcome: 'deny',
      rule: 'default-deny',
      policyVersion: policies.version,
    });
    expect(policies.decideConnect(caller, target)).toMatchObject({ outcome: 'deny', rule: 'default-deny' });
    expect(policies.decideAdmin(caller, 'review')).toMatchObject({ outcome: 'deny', rule: 'default-deny' });
  });

  it('fail when their activation cannot be recorded', async () => {
    await write('a.cedar', permitReads);
    await expect(opened({ onActivated: () => Promise.reject(new Error('log is full')) })).rejects.toThrow(
      'log is full',
    );
  });
});

describe('the version', () => {
  it('is 16 hex digits and depends on every name and text, not on other files', async () => {
    await write('a.cedar', permitReads);
    const first = (await opened()).version;
    expect(first).toMatch(/^[0-9a-f]{16}$/);
    await write('README.md', 'nothing');
    expect((await opened()).version).toBe(first);
    await write('b.cedar', '// a comment');
    const second = (await opened()).version;
    await write('b.cedar', '// a commenu');
    const third = (await opened()).version;
    expect(new Set([first, second, third]).size).toBe(3);
  });
});

describe('decisions', () => {
  it('carry version, rule and masks, and are the same object for the same command', async () => {
    await write('a.cedar', permitReads);
    const policies = await opened();
    const decision = policies.decideCommand(caller, target, select);
    expect(decision).toEqual({
      outcome: 'allow',
      rule: 'reads',
      rules: ['reads'],
      policyVersion: policies.version,
      obligations: { masks: { pii: 'redact' } },
    });
    expect(policies.decideCommand(caller, target, select)).toBe(decision);
    expect(policies.decideCommand({ ...caller, principal: { ...principal } }, target, select)).toBe(decision);
  });

  it('are not shared between principals, targets or commands', async () => {
    await write(
      'a.cedar',
      `${permitReads}@id("b") forbid (principal == Principal::"test:b", action, resource);
      @id("c") forbid (principal in Group::"c", action, resource); @id("d") forbid (principal, action in Action::"command", resource in Target::"other");
      @id("e") forbid (principal, action, resource) when { principal.hasTag("k") };`,
    );
    const policies = await opened();
    const decide = (change: Partial<Principal>, where: Target = target, what = select): string =>
      policies.decideCommand({ ...caller, principal: { ...principal, ...change } }, where, what).rule;
    for (let round = 0; round < 2; round++) {
      expect(decide({})).toBe('reads');
      expect(decide({ id: 'test:b' })).toBe('b');
      expect(decide({ groups: ['g', 'c'] })).toBe('c');
      expect(decide({ claims: { k: 'v' } })).toBe('e');
      expect(decide({}, { ...target, name: 'other' })).toBe('d');
      expect(decide({}, target, { ...select, actions: ['read', 'write'] })).toBe('default-deny');
      expect(decide({})).toBe('reads');
    }
  });

  it('never take a yes from the cache, nor put one there', async () => {
    await write(
      'a.cedar',
      `${permitReads}@id("h") @approvers("dba") forbid (principal, action == Action::"read", resource) unless { context.grants.contains("dba") };`,
    );
    const policies = await opened();
    for (let round = 0; round < 2; round++) {
      expect(policies.decideCommand(caller, target, select)).toMatchObject({ outcome: 'hold', approvers: ['dba'] });
      expect(policies.decideCommand(caller, target, select, ['dba'])).toMatchObject({ outcome: 'allow' });
      expect(policies.decideCommand(caller, target, select, ['other'])).toMatchObject({ outcome: 'hold' });
    }
  });

  it('about a request of a target that is gone are a no', async () => {
    await write('a.cedar', '@id("all") permit (principal, action, resource);');
    const policies = await opened();
    const requester = { id: 'test:b', name: 'B', kind: 'agent' };
    const request = {
      id: 'r',
      requester,
      target: 'orders',
      verb: 'DROP',
      rule: 'x',
      approvers: ['dba'],
    } as unknown as ApprovalRequest;
    expect(policies.decideApprove(caller, request, target)).toMatchObject({ outcome: 'allow', rule: 'all' });
    expect(policies.decideApprove(caller, request, undefined)).toMatchObject({ outcome: 'deny' });
  });
});

describe('explain', () => {
  it('names the policies that applied, with advice, and the masks', async () => {
    await write(
      'a.cedar',
      `${permitReads}@id("m") @mask("partial") permit (principal, action == Action::"reveal", resource);`,
    );
    const policies = await opened();
    expect(policies.explain({ principal, target, classified: select })).toMatchObject({
      decision: { outcome: 'allow' },
      resources: ['read Table public.t'],
      because: [
        { id: 'reads', effect: 'permit' },
        { id: 'm', effect: 'permit' },
      ],
      masks: { pii: 'partial' },
    });
    await write('b.cedar', forbidReads);
    await policies.reload();
    expect(policies.explain({ principal, target, classified: select })).toMatchObject({
      decision: { outcome: 'deny', reason: 'no-reads forbids read of public.t on orders', advice: 'not now' },
      because: [{ id: 'no-reads', effect: 'forbid', advice: 'not now' }],
      masks: {},
    });
    expect(policies.list().policies).toMatchObject([
      { id: 'reads', file: 'a.cedar', effect: 'permit' },
      { id: 'm', file: 'a.cedar', annotations: { id: 'm', mask: 'partial' } },
      { id: 'no-reads', file: 'b.cedar', effect: 'forbid', text: forbidReads.trim() },
    ]);
  });
});

describe('reload', () => {
  it('puts new policies in force, forgets old decisions, and tells', async () => {
    await write('a.cedar', permitReads);
    const activations: Activation[] = [];
    const policies = await opened({ onActivated: (activation) => void activations.push(activation) });
    const before = policies.decideCommand(caller, target, select);
    await write('b.cedar', forbidReads);
    expect(policies.decideCommand(caller, target, select)).toBe(before);
    const { version } = await policies.reload();
    expect(policies.decideCommand(caller, target, select)).toMatchObject({
      outcome: 'deny',
      rule: 'no-reads',
      policyVersion: version,
    });
    expect(activations).toEqual([
      { version: before.policyVersion, files: ['a.cedar'], rules: ['reads'] },
      { version, previous: before.policyVersion, files: ['a.cedar', 'b.cedar'], rules: ['reads', 'no-reads'] },
    ]);
    await policies.reload();
    expect(activations).toHaveLength(2);
  });

  it('keeps the old policies when the new ones are not valid, and says where', async () => {
    await write('a.cedar', permitReads);
    const rejections: Rejection[] = [];
    const policies = await opened({ onRejected: (rejection) => void rejections.push(rejection) });
    const { version } = policies;
    await write('b.cedar', invalid);
    await expect(policies.reload()).rejects.toMatchObject({
      name: 'ConfigError',
      message: expect.stringMatching(/^b\.cedar:2: /),
    });
    expect(rejections).toEqual([
      { version: expect.stringMatching(/^[0-9a-f]{16}$/), problems: [expect.stringMatching(/^b\.cedar:2: /)] },
    ]);
    expect(policies.version).toBe(version);
    expect(policies.decideCommand(caller, target, { ...select })).toMatchObject({ outcome: 'allow' });
    await rm(dir, { recursive: true });
    await expect(policies.reload()).rejects.toMatchObject({ name: 'ConfigError' });
    expect(policies.decideCommand(caller, target, { ...select })).toMatchObject({
      outcome: 'allow',
      policyVersion: version,
    });
  });

  it('keeps the old policies when the activation cannot be recorded', async () => {
    await write('a.cedar', forbidReads);
    let failing = false;
    const policies = await opened({
      onActivated: () => (failing ? Promise.reject(new Error('log is full')) : undefined),
    });
    const { version } = policies;
    failing = true;
    await write('a.cedar', permitReads);
    await expect(policies.reload()).rejects.toThrow('log is full');
    expect(policies.decideCommand(caller, target, { ...select })).toMatchObject({
      outcome: 'deny',
      rule: 'no-reads',
      policyVersion: version,
    });
    failing = false;
    await policies.reload();
    expect(policies.decideCommand(caller, target, select)).toMatchObject({ outcome: 'allow' });
  });

  it('follows changes of the folder', async () => {
    await write('a.cedar', permitReads);
    const policies = await opened({ watch: true });
    const { version } = policies;
    await write('b.cedar', invalid);
    await vi.waitFor(() => expect(logged.join()).toContain('the old ones stay in force'), 20_000);
    expect(policies.version).toBe(version);
    await write('b.cedar', forbidReads);
    await vi.waitFor(
      () => expect(policies.decideCommand(caller, target, select)).toMatchObject({ rule: 'no-reads' }),
      20_000,
    );
  });

  it('ends with the text that was read last when several reloads run at once', async () => {
    await write('a.cedar', permitReads);
    const policies = await opened();
    await write('a.cedar', invalid);
    const first = policies.reload().catch((error: Error) => error.name);
    await write('a.cedar', forbidReads);
    const [, last] = await Promise.all([first, policies.reload()]);
    expect(policies.version).toBe(last.version);
    expect(policies.decideCommand(caller, target, select)).toMatchObject({ rule: 'no-reads' });
  });
});

describe('when the engine dies', () => {
  /** Ends an instance the way a bad text does. */
  function kill(instance: Cedar): void {
    const text = `permit (principal, action, resource) when { ${'('.repeat(400)}true${')'.repeat(400)} };`;
    expect(() => instance.checkParsePolicySet({ staticPolicies: text })).toThrow();
    expect(() => instance.checkParsePolicySet({ staticPolicies: 'permit (principal, action, resource);' })).toThrow();
  }

  it('refuses that command, and decides the next one with a new instance', async () => {
    const instances: Cedar[] = [];
    const load = (): Cedar => {
      const instance = loadCedar();
      instances.push(instance);
      return instance;
    };
    await write('a.cedar', permitReads);
    const policies = await opened({ load });
    for (let deaths = 1; deaths <= 3; deaths++) {
      kill(instances.at(-1) as Cedar);
      expect(policies.decideCommand(caller, { ...target }, select)).toMatchObject({
        outcome: 'deny',
        rule: 'policy-engine',
      });
      expect(logged.at(-1)).toBe('error a policy decision failed and was refused');
      expect(policies.decideCommand(caller, { ...target }, select)).toMatchObject({ outcome: 'allow', rule: 'reads' });
      expect(instances).toHaveLength(deaths + 1);
    }
  });

  it('refuses whatever is asked, and never throws, while no instance can be had', async () => {
    await write('a.cedar', '@id("all") permit (principal, action, resource);');
    let broken = false;
    const load = (): Cedar => {
      if (broken) throw new Error('no memory');
      const instance = loadCedar();
      return { ...instance, statefulIsAuthorized: (call) => (broken ? fail() : instance.statefulIsAuthorized(call)) };
    };
    const fail = (): never => {
      throw new Error('memory access out of bounds');
    };
    const policies = await opened({ load });
    expect(policies.decideConnect(caller, target)).toMatchObject({ outcome: 'allow' });
    broken = true;
    const request = {
      id: 'r',
      requester: { id: 'b', name: 'B', kind: 'agent' },
      target: 'orders',
      verb: '',
      rule: '',
      approvers: [],
    };
    for (let round = 0; round < 2; round++) {
      expect(policies.decideConnect(caller, target)).toMatchObject({ outcome: 'deny', rule: 'policy-engine' });
      expect(policies.decideCommand(caller, target, select)).toMatchObject({ outcome: 'deny', rule: 'policy-engine' });
      expect(policies.decideApprove(caller, request as unknown as ApprovalRequest, target)).toMatchObject({
        outcome: 'deny',
      });
      expect(policies.decideAdmin(caller, 'configure')).toMatchObject({ outcome: 'deny' });
      expect(policies.explain({ principal, target, classified: select }).decision).toMatchObject({ outcome: 'deny' });
    }
    broken = false;
    expect(policies.decideCommand(caller, target, select)).toMatchObject({ outcome: 'allow' });
  });

  it('on new policies, keeps the old ones', async () => {
    await write('a.cedar', permitReads);
    let broken = false;
    const load = (): Cedar => {
      const instance = loadCedar();
      return {
        ...instance,
        preparsePolicySet: (id, set) => (broken ? kill(instance) : undefined) ?? instance.preparsePolicySet(id, set),
      };
    };
    const policies = await opened({ load });
    const { version } = policies;
    broken = true;
    await write('b.cedar', forbidReads);
    await expect(policies.reload()).rejects.toMatchObject({ name: 'ConfigError' });
    broken = false;
    expect(policies.decideCommand(caller, target, select)).toMatchObject({ outcome: 'allow', policyVersion: version });
    await policies.reload();
    expect(policies.decideCommand(caller, target, select)).toMatchObject({ outcome: 'deny', rule: 'no-reads' });
  });
});
