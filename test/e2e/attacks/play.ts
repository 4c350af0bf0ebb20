import { setTimeout as sleep } from 'node:timers/promises';
import type { ApprovalRequest } from '../../../src/model/approval.ts';
import type { TestGateway } from '../../support/gateway.ts';
import type { Message } from '../../support/raw-postgres.ts';
import { comparable, messageOf, Player, type Step } from './player.ts';
import type { World, Worlds } from './world.ts';

export type Who = 'agent' | 'sam' | 'dana';

export interface Played {
  readonly messages: readonly Message[];
  /** The same, so that two runs can be compared. */
  readonly shown: string;
  /** Everything that was owed came. */
  readonly answered: boolean;
}

/** Plays steps as somebody, in a session of their own, against one of the worlds. */
export async function play(worlds: Worlds, world: World, who: Who, steps: readonly Step[]): Promise<Played> {
  const player = await enter(worlds, world, who);
  const played = await playWith(worlds, world, player, steps);
  player.socket.destroy();
  return played;
}

/** Sessions that plays of single statements share, since a log-in costs more than they do. */
export class Sessions {
  readonly #worlds: Worlds;
  readonly #kept = new Map<string, { readonly player: Player; uses: number }>();

  constructor(worlds: Worlds) {
    this.#worlds = worlds;
  }

  async play(world: World, who: Who, steps: readonly Step[]): Promise<Played> {
    const key = `${world} ${who}`;
    let session = this.#kept.get(key);
    // A caller may have only so many requests for approval open.
    if (session === undefined || session.player.closed || session.uses === 15) {
      session?.player.socket.destroy();
      session = { player: await enter(this.#worlds, world, who), uses: 0 };
      this.#kept.set(key, session);
    }
    session.uses += 1;
    const { player } = session;
    const played = await playWith(this.#worlds, world, player, steps);
    // Nothing that a statement left behind is there for the next one.
    await playWith(this.#worlds, world, player, [{ query: 'rollback' }, { query: 'discard all' }]);
    if (!played.answered || player.status !== 'I') player.socket.destroy();
    return played;
  }

  close(): void {
    for (const { player } of this.#kept.values()) player.socket.destroy();
  }
}

async function enter({ gateway }: Worlds, world: World, who: Who): Promise<Player> {
  return Player.login(gateway.port, await tokenFor(gateway, who), world);
}

async function playWith(worlds: Worlds, world: World, player: Player, steps: readonly Step[]): Promise<Played> {
  const from = player.got.length;
  let answered = true;
  for (const step of steps) answered = (await take(worlds, world, player, step)) && answered;
  answered = (await player.settled()) && answered;
  const messages = player.got.slice(from);
  return { messages, shown: comparable(messages, world), answered };
}

let agents = 0;

/** Each agent is a new one: requests for approval that nobody answered are not in the way of the next. */
function tokenFor(gateway: TestGateway, who: Who): Promise<string> {
  if (who !== 'agent') return gateway.tokenOf(who);
  agents += 1;
  return gateway.issuer.token({ sub: `agent-${agents}`, name: 'Agent', kind: 'ci', groups: ['agents'] });
}

async function take(worlds: Worlds, world: World, player: Player, step: Step): Promise<boolean> {
  const message = messageOf(step);
  if (message !== undefined) player.add(message.bytes, message.readies);
  else if (step === 'wait') return player.settled();
  else if (step === 'hang up') player.socket.destroy();
  else if (typeof step === 'object') {
    if ('until' in step) return player.until(step.until);
    player.send();
    if ('pause' in step) await sleep(step.pause);
    if ('approve' in step) await approve(worlds, world, step.approve);
    if ('direct' in step) await (await worlds.direct(world)).query(step.direct);
  }
  return true;
}

async function approve({ gateway }: Worlds, world: World, text: string): Promise<void> {
  for (let attempt = 0; attempt < 40; attempt++) {
    const { body } = await gateway.call('dana', 'GET', '/v1/approvals?state=open&limit=500');
    const { items } = body as { items: readonly ApprovalRequest[] };
    const found = items.find((request) => request.text === text && request.target === world);
    if (found !== undefined) {
      const { status } = await gateway.call('dana', 'POST', `/v1/approvals/${found.id}/approve`, {
        reason: 'looks fine',
      });
      if (status !== 200) throw new Error(`approving gave ${status}`);
      return;
    }
    await sleep(25);
  }
  throw new Error(`nobody asked for approval of: ${text}`);
}

export const ways = ['simple', 'extended', 'described', 'binary', 'cursor'] as const;
export type Way = (typeof ways)[number];

/** One statement, sent in one of the ways that clients have. */
export function sent(text: string, way: Way): readonly Step[] {
  switch (way) {
    case 'simple':
      return [{ query: text }, 'wait'];
    case 'extended':
      return [{ parse: ['', text] }, { bind: ['', ''] }, { execute: [''] }, 'sync', 'wait'];
    case 'described':
      return [
        { parse: ['named', text] },
        { describe: ['statement', 'named'] },
        'sync',
        'wait',
        { bind: ['', 'named'] },
        { execute: [''] },
        'sync',
        'wait',
      ];
    case 'binary':
      return [
        { parse: ['', text] },
        { bind: ['', '', [], [], [1]] },
        { describe: ['portal', ''] },
        { execute: [''] },
        'sync',
        'wait',
      ];
    case 'cursor':
      return [
        { query: 'begin' },
        { query: `declare c cursor with hold for ${text}` },
        { query: 'fetch 1 from c' },
        { query: 'commit' },
        { parse: ['f', 'fetch all from c'] },
        { describe: ['statement', 'f'] },
        { bind: ['', 'f', [], [], [1]] },
        { execute: [''] },
        'sync',
        { query: 'close all' },
      ];
  }
}

/** One after the other in one session, each in the ways that are possible for it. */
export function inEveryWay(text: string): readonly Step[] {
  const reading = /^(?:select|with|values|table)\b/i.test(text);
  const possible = text.includes(';') ? ways.slice(0, 1) : reading ? ways : ways.filter((way) => way !== 'cursor');
  return possible.flatMap((way) => [...sent(text, way), { query: 'rollback' }]);
}

/** Forms in which a value could be in somebody's bytes. */
export function traces(value: string): readonly string[] {
  const bytes = Buffer.from(value);
  return [
    value,
    [...value].reverse().join(''),
    bytes.toString('hex'),
    bytes.toString('base64').replace(/=*$/, '').slice(0, -1),
    encodeURIComponent(value),
  ];
}
