import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sampleDecision, sampleRequest, sampleTicket } from './store.samples.ts';
import type { Store } from './store.ts';

/** One empty set of data under test. */
export interface StoreUnderTest {
  /** Opens one more instance over the same data, as another node would. */
  open(): Promise<Store>;
  /** How a child process opens the same data: it imports `module` and calls its `exported` with `argument`. */
  readonly inChild: { readonly module: URL; readonly exported: string; readonly argument: unknown };
  /** Removes the data. */
  dispose(): Promise<void>;
}

/** What every adapter of the store port must do; each adapter's test calls this once. */
export function storeContract(adapter: string, create: () => Promise<StoreUnderTest>): void {
  describe(`${adapter} keeps the store's contract`, () => {
    let data: StoreUnderTest;
    let one: Store;
    let two: Store;

    beforeEach(async () => {
      data = await create();
      one = await data.open();
      two = await data.open();
    });
    afterEach(async () => {
      await one.close();
      await two.close();
      await data.dispose();
    });

    /** Each of 100 calls, made at once, half of them on each instance. */
    const raced = <T>(call: (store: Store, index: number) => Promise<T>) =>
      Promise.all(Array.from({ length: 100 }, (_, index) => call(index % 2 === 0 ? one : two, index)));

    const approved = async (changes = {}) => {
      const request = sampleRequest(changes);
      await one.approvals.findOrCreate(request, 99);
      expect(await one.approvals.answer(request.id, 0, sampleDecision(), 'approved')).toBe(true);
      return request;
    };

    describe('approvals', () => {
      it('gives back exactly what was put in, on every instance', async () => {
        const full = sampleRequest();
        const { parameters: _, ...bare } = sampleRequest({ requester: { id: 'corp:a', name: '', kind: 'ci' } });
        for (const request of [full, bare]) {
          expect(await one.approvals.findOrCreate(request, 99)).toEqual({ request, created: true });
          expect(await two.approvals.get(request.id)).toStrictEqual(request);
        }
        expect(await one.approvals.get('nothing')).toBeUndefined();
      });

      it('makes one request of 100 identical ones from two instances', async () => {
        const digest = 'd'.repeat(64);
        const answers = await raced((store) => store.approvals.findOrCreate(sampleRequest({ digest }), 99));
        expect(answers.filter((answer) => answer?.created)).toHaveLength(1);
        expect(new Set(answers.map((answer) => answer?.request.id)).size).toBe(1);
        expect(await one.approvals.list({ limit: 10 })).toHaveLength(1);
      });

      it('finds a request while it is open, approved or denied, and makes a new one once it is consumed or over', async () => {
        const settle = {
          open: async () => {},
          approved: async (id: string) => void (await one.approvals.answer(id, 0, sampleDecision(), 'approved')),
          denied: async (id: string) =>
            void (await one.approvals.answer(id, 0, sampleDecision({ answer: 'deny' }), 'denied')),
          consumed: async (id: string, digest: string) => {
            await one.approvals.answer(id, 0, sampleDecision(), 'approved');
            await one.approvals.consume(id, digest, 1_600);
          },
        };
        for (const [state, reach] of Object.entries(settle)) {
          const request = sampleRequest();
          const { digest } = request;
          await one.approvals.findOrCreate(request, 99);
          await reach(request.id, digest);
          const live = state !== 'consumed';
          const again = await two.approvals.findOrCreate(sampleRequest({ digest, createdAt: 1_999 }), 99);
          expect([state, again?.created]).toEqual([state, !live]);
          if (live) {
            expect(again?.request).toMatchObject({ id: request.id, state });
            expect(await two.approvals.find(digest, 1_999)).toMatchObject({ id: request.id, state });
            expect(await two.approvals.find(digest, 2_000)).toBeUndefined();
            expect(
              await two.approvals.findOrCreate(sampleRequest({ digest, createdAt: 2_000, expiresAt: 3_000 }), 99),
            ).toMatchObject({ created: true });
          }
        }
      });

      it('lets one requester have no more than the limit pending, however the calls race', async () => {
        const requester = { id: 'corp:flood', name: 'x', kind: 'agent' };
        const answers = await raced((store) => store.approvals.findOrCreate(sampleRequest({ requester }), 20));
        expect(answers.filter((answer) => answer?.created)).toHaveLength(20);
        expect(await one.approvals.pending(requester.id, 1_000)).toBe(20);
        expect(await one.approvals.pending(requester.id, 2_000)).toBe(0);
        expect(await one.approvals.pending('corp:other', 1_000)).toBe(0);
        expect(await one.approvals.findOrCreate(sampleRequest(), 20)).toMatchObject({ created: true });
      });

      it('counts denied requests as pending until they expire, and answered ones not', async () => {
        const requester = { id: 'corp:a', name: 'x', kind: 'agent' };
        const denied = sampleRequest({ requester });
        await one.approvals.findOrCreate(denied, 99);
        await one.approvals.answer(denied.id, 0, sampleDecision({ answer: 'deny' }), 'denied');
        await approved({ requester });
        expect(await one.approvals.pending(requester.id, 1_600)).toBe(1);
      });

      it('takes exactly one of 100 parallel uses of a yes', async () => {
        const { id, digest } = await approved();
        const used = await raced((store) => store.approvals.consume(id, digest, 1_600));
        expect(used.filter((yes) => yes)).toHaveLength(1);
        expect(await two.approvals.get(id)).toMatchObject({ state: 'consumed' });
      });

      it('takes each yes once among several processes that race for it', async () => {
        const requests = [];
        for (let index = 0; index < 20; index++) requests.push(await approved());
        const children = Array.from({ length: 3 }, () => inChild(data, 'consume'));
        const lines = children.map((child) => createInterface({ input: child.stdout })[Symbol.asyncIterator]());
        for (const each of lines) expect(await each.next()).toMatchObject({ value: 'ready' });
        for (const child of children)
          child.stdin.write(`${JSON.stringify(requests.map(({ id, digest }) => [id, digest, 1_600]))}\n`);
        const got = await Promise.all(lines.map(rest));
        expect(got.flat().sort()).toEqual(requests.map(({ id }) => id).sort());
      });

      it('consumes nothing that is not approved, has another digest, or is unknown', async () => {
        const open = sampleRequest();
        await one.approvals.findOrCreate(open, 99);
        expect(await one.approvals.consume(open.id, open.digest, 1_600)).toBe(false);
        const { id, digest } = await approved();
        expect(await one.approvals.consume(id, open.digest, 1_600)).toBe(false);
        expect(await one.approvals.consume('nothing', digest, 1_600)).toBe(false);
        expect(await one.approvals.consume(id, digest, 1_600)).toBe(true);
      });

      it('lets one win when approve and deny come together', async () => {
        for (let round = 0; round < 10; round++) {
          const { id } = sampleRequest();
          await one.approvals.findOrCreate(sampleRequest({ id }), 99);
          const yes = sampleDecision({ approver: { id: 'corp:yes', name: 'yes' } });
          const no = sampleDecision({ approver: { id: 'corp:no', name: 'no' }, answer: 'deny' });
          const [approve, deny] = await Promise.all([
            one.approvals.answer(id, 0, yes, 'approved'),
            two.approvals.answer(id, 0, no, 'denied'),
          ]);
          expect([approve, deny].filter((won) => won)).toHaveLength(1);
          expect(await one.approvals.get(id)).toMatchObject({
            state: approve ? 'approved' : 'denied',
            decisions: [approve ? yes : no],
          });
        }
      });

      it('adds answers in order, and only where the count of answers is the expected one', async () => {
        const request = sampleRequest({ approvers: ['dba', 'security'] });
        const first = sampleDecision();
        const second = sampleDecision({ approver: { id: 'corp:sec', name: 's' }, groups: ['security'] });
        await one.approvals.findOrCreate(request, 99);
        expect(await one.approvals.answer(request.id, 1, first, 'open')).toBe(false);
        expect(await one.approvals.answer(request.id, 0, first, 'open')).toBe(true);
        expect(await two.approvals.answer(request.id, 0, second, 'approved')).toBe(false);
        expect(await two.approvals.answer(request.id, 1, second, 'approved')).toBe(true);
        expect(await one.approvals.answer(request.id, 2, second, 'denied')).toBe(false);
        expect(await one.approvals.get(request.id)).toStrictEqual({
          ...request,
          state: 'approved',
          decisions: [first, second],
        });
      });

      it('treats the instant of expiry as over, for answers and for use', async () => {
        const late = sampleRequest();
        await one.approvals.findOrCreate(late, 99);
        expect(await one.approvals.answer(late.id, 0, sampleDecision({ at: 2_000 }), 'approved')).toBe(false);
        expect(await one.approvals.answer(late.id, 0, sampleDecision({ at: 1_999 }), 'approved')).toBe(true);
        expect(await one.approvals.expire(1_999)).toEqual([]);
        expect(await one.approvals.consume(late.id, late.digest, 2_000)).toBe(false);
        expect(await one.approvals.consume(late.id, late.digest, 1_999)).toBe(true);
      });

      it('lets one win when a use and the expiry come together', async () => {
        for (let round = 0; round < 10; round++) {
          const { id, digest } = await approved();
          const [used, expired] = await Promise.all([
            one.approvals.consume(id, digest, 1_999),
            two.approvals.expire(2_000),
          ]);
          expect([used, expired.length === 1].filter((won) => won)).toHaveLength(1);
        }
      });

      it('expires what is open or approved and due, each once among all instances', async () => {
        const open = sampleRequest();
        await one.approvals.findOrCreate(open, 99);
        const yes = await approved();
        const used = await approved();
        await one.approvals.consume(used.id, used.digest, 1_600);
        const later = sampleRequest({ expiresAt: 2_001 });
        await one.approvals.findOrCreate(later, 99);
        const expired = (await raced((store) => store.approvals.expire(2_000))).flat();
        expect(expired.map(({ id, state }) => [id, state]).sort()).toEqual([
          [open.id, 'expired'],
          [yes.id, 'expired'],
        ]);
        expect(await one.approvals.get(later.id)).toMatchObject({ state: 'open' });
        expect(await one.approvals.get(used.id)).toMatchObject({ state: 'consumed' });
      });

      it('pages through a list, newest first, each request once', async () => {
        const made = [];
        for (let index = 0; index < 7; index++)
          made.unshift(index % 2 === 0 ? await approved() : await sampleOpen(one));
        const seen = [];
        let after: string | undefined;
        for (;;) {
          const page = await two.approvals.list({ limit: 3, ...(after === undefined ? {} : { after }) });
          if (page.length === 0) break;
          expect(page.length).toBeLessThanOrEqual(3);
          seen.push(...page);
          after = page.at(-1)?.id;
        }
        expect(seen.map(({ id }) => id)).toEqual(made.map(({ id }) => id));
        expect(await one.approvals.list({ state: 'open', limit: 10 })).toHaveLength(3);
        expect(await one.approvals.list({ state: 'denied', limit: 10 })).toEqual([]);
      });
    });

    describe('tickets', () => {
      it('gives back exactly what was put in, by id and by hash', async () => {
        const ticket = sampleTicket();
        await one.tickets.insert(ticket);
        expect(await two.tickets.byId(ticket.id)).toStrictEqual(ticket);
        expect(await two.tickets.byHash(ticket.hash)).toStrictEqual(ticket);
        expect(await two.tickets.byHash('nothing')).toBeUndefined();
        expect(await two.tickets.byId('nothing')).toBeUndefined();
      });

      it('refuses a second ticket with the same id or the same hash', async () => {
        const ticket = sampleTicket();
        await one.tickets.insert(ticket);
        await expect(two.tickets.insert(sampleTicket({ hash: ticket.hash }))).rejects.toThrow();
        await expect(two.tickets.insert(sampleTicket({ id: ticket.id }))).rejects.toThrow();
      });

      it('revokes once, and remembers when', async () => {
        const ticket = sampleTicket();
        await one.tickets.insert(ticket);
        const revoked = await raced((store, index) => store.tickets.revoke(ticket.id, 1_500 + index));
        expect(revoked.filter((first) => first)).toHaveLength(1);
        expect(await two.tickets.byId(ticket.id)).toMatchObject({ revokedAt: 1_500 + revoked.indexOf(true) });
        expect(await two.tickets.revoke('nothing', 1)).toBe(false);
      });

      it("lists everybody's tickets or one principal's, newest first", async () => {
        const { principal } = sampleTicket();
        const older = sampleTicket({ principal });
        const newer = sampleTicket({ principal, createdAt: 1_500 });
        for (const ticket of [older, newer, sampleTicket()]) await one.tickets.insert(ticket);
        expect(await two.tickets.list(principal.id)).toStrictEqual([newer, older]);
        expect(await two.tickets.list(undefined)).toHaveLength(3);
        expect(await two.tickets.list("' or 1=1 --")).toEqual([]);
      });
    });

    describe('hostile values', () => {
      const hostile = {
        quotes: `'; drop table approvals; -- "\\" \`x\` $1 ?1 :a @b`,
        'NUL in the middle': 'before\0after',
        'lone surrogates': '\ud800 and \udfff',
        emoji: '👩‍👩‍👧‍👦 🏴‍☠️',
        'control characters': '\u001b[2J\r\n\u202e\u2028',
        'JSON in JSON': '{"state":"approved","__proto__":{"x":1}}',
        'a megabyte': 'é'.repeat(500_000),
        nothing: '',
      };
      it.each(Object.entries(hostile))('keeps %s as it is', async (_, text) => {
        const requester = { id: `corp:${text.slice(0, 100)}`, name: text, kind: 'agent' };
        const request = sampleRequest({
          text,
          parameters: [text, null, ''],
          requester,
          resources: [text],
          target: text,
          rule: text,
        });
        await one.approvals.findOrCreate(request, 99);
        const decision = sampleDecision({ reason: text, approver: { id: text, name: text } });
        expect(await two.approvals.answer(request.id, 0, decision, 'approved')).toBe(true);
        expect(await one.approvals.get(request.id)).toStrictEqual({
          ...request,
          state: 'approved',
          decisions: [decision],
        });
        expect(await one.approvals.get(text)).toBeUndefined();
        expect(await one.approvals.list({ limit: 1, after: request.id })).toEqual([]);

        const { principal } = sampleTicket();
        const ticket = sampleTicket({
          principal: { ...principal, id: requester.id, name: text, claims: { text } },
          targets: [text],
        });
        await one.tickets.insert(ticket);
        expect(await two.tickets.byId(ticket.id)).toStrictEqual(ticket);
        expect(await two.tickets.list(requester.id)).toStrictEqual([ticket]);
      });
    });

    describe('durability', () => {
      it('keeps everything when it is closed and opened again', async () => {
        const yes = await approved();
        const ticket = sampleTicket({ revokedAt: 1_234 });
        await one.tickets.insert(ticket);
        await one.close();
        await two.close();
        one = await data.open();
        two = await data.open();
        expect(await one.approvals.get(yes.id)).toStrictEqual({
          ...yes,
          state: 'approved',
          decisions: [sampleDecision()],
        });
        expect(await one.tickets.byId(ticket.id)).toStrictEqual(ticket);
      });

      it('rejects every call after it was closed', async () => {
        await one.close();
        await expect(one.approvals.get('x')).rejects.toThrow();
        await expect(one.tickets.revoke('x', 1)).rejects.toThrow();
        await one.close();
      });

      it('has every write that it acknowledged to a process that was then killed', async () => {
        const child = inChild(data, 'write');
        const acknowledged: string[] = [];
        const lines = createInterface({ input: child.stdout });
        lines.on('line', (line) => {
          acknowledged.push(line);
          if (acknowledged.length === 50) child.kill('SIGKILL');
        });
        await Promise.all([once(child, 'exit'), once(lines, 'close')]);
        expect(acknowledged.length).toBeGreaterThanOrEqual(50);
        const three = await data.open();
        try {
          for (const id of acknowledged) expect(await three.tickets.byId(id)).toMatchObject({ id });
          const request = sampleRequest();
          expect(await three.approvals.findOrCreate(request, 99)).toMatchObject({ created: true });
        } finally {
          await three.close();
        }
      });
    });
  });
}

async function sampleOpen(store: Store) {
  const request = sampleRequest();
  await store.approvals.findOrCreate(request, 99);
  return request;
}

/** Another process over the same data; see store.child.ts. */
function inChild({ inChild: { module, exported, argument } }: StoreUnderTest, task: 'write' | 'consume') {
  const program = fileURLToPath(new URL('./store.child.ts', import.meta.url));
  return spawn(process.execPath, [program, module.href, exported, JSON.stringify(argument), task], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

async function rest(lines: AsyncIterator<string>): Promise<readonly string[]> {
  const all: string[] = [];
  for (let next = await lines.next(); !next.done; next = await lines.next()) all.push(next.value);
  return all;
}
