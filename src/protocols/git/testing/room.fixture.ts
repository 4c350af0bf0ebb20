import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Gateway } from '../../../gateway/protocol.ts';
import type { Classified } from '../../../model/command.ts';
import { PeerError, Refusal } from '../../../model/errors.ts';
import type { Target } from '../../../model/target.ts';
import type { ServerCall } from '../../../web/message.ts';
import { RefsViews } from '../refs-view.ts';
import { refuseCall } from '../refusals.ts';
import { type GitRoom, serve } from '../serve.ts';
import { type GitSettings, gitSettings } from '../settings.ts';
import { GitUpstream } from '../upstream.ts';
import { Workplace } from '../workplace.ts';
import { type GitBackend, startGitBackend } from './git-backend.fixture.ts';
import { type TestLine, testLine, type Verdict } from './line.fixture.ts';
import { listenNode, nodeConnections } from './node-web.fixture.ts';

const pair = Buffer.from('x-access-token:s3cret-token').toString('base64');

export type { Verdict };

export interface TestRoom extends TestLine {
  readonly backend: GitBackend;
  /** A folder for clones. */
  readonly folder: string;
  /** Where git finds a repository through the gateway. */
  url(repository: string): string;
  /** What policy says from now on. */
  policy: (classified: Classified) => Verdict;
  /** How long a held command waits. */
  holdMs: number;
  readonly port: number;
  close(): Promise<void>;
}

/** The git room between real git and a real git server, on the real line. */
export async function startRoom(options: { readonly settings?: Record<string, unknown> } = {}): Promise<TestRoom> {
  const backend = await startGitBackend({
    authorization: `Basic ${pair}`,
  });
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-clones-'));
  const settings: GitSettings = gitSettings.parse({ address: `http://127.0.0.1:${backend.port}`, ...options.settings });
  const target = { name: 'code', protocol: 'git', labels: {}, holdMs: 100, settings } satisfies Target;
  const state: { policy: TestRoom['policy']; version: number } = { policy: () => 'allow', version: 0 };
  const made = testLine(
    target,
    (classified) => state.policy(classified),
    () => state.version,
  );
  const gateway = {
    limits: { loginMs: 1000, sessionMs: 1e9, commandBytes: 1 << 20 },
    log: () => undefined,
    folder: () => join(folder, '.gateway'),
    credential: async () => ({ secret: 's3cret-token' }),
  } as unknown as Gateway;
  const upstream = new GitUpstream(
    nodeConnections(backend.port),
    settings.address,
    async () => ({ header: `Basic ${pair}`, secrets: ['s3cret-token', pair] }),
    's1',
  );
  const room: GitRoom = { views: new RefsViews(), workplace: new Workplace(), upstreamOf: () => upstream };
  const front = await listenNode((call) => void answer(room, made, gateway, call));
  return {
    ...made,
    backend,
    folder,
    port: front.port,
    url: (repository) => `http://agent:ticket@127.0.0.1:${front.port}/git/code/${repository}`,
    get policy() {
      return state.policy;
    },
    set policy(policy) {
      state.policy = policy;
      state.version += 1;
    },
    get holdMs() {
      return target.holdMs;
    },
    set holdMs(ms) {
      target.holdMs = ms;
    },
    async close() {
      await front.close();
      await backend.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function answer(room: GitRoom, made: TestLine, gateway: Gateway, call: ServerCall): Promise<void> {
  const base = '/git/code';
  const route = {
    line: made.line,
    path: call.request.target.slice(base.length),
    base,
    origin: `http://${call.request.authority}`,
    token: 'ticket',
  };
  try {
    if (!call.request.fields.includes('authorization')) {
      call.answer({ status: 401, fields: ['www-authenticate', 'Basic realm="Sallyport"'], length: 0 });
      call.end();
      return;
    }
    await serve(room, call, route, gateway);
  } catch (error) {
    if (!(error instanceof Refusal || error instanceof PeerError)) console.error(error);
    if (call.answered) call.abort();
    else
      refuseCall(
        call,
        error instanceof Refusal ? error : new Refusal('CLIENT_PROTOCOL', String((error as Error).message)),
      );
  }
}
