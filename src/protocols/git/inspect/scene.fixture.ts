import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Principal } from '../../../model/principal.ts';
import type { ObjectFormat, Push, Ref, RefUpdate } from '../push.ts';
import { type Mirror, openMirror } from '../quarantine/mirror.ts';
import { openQuarantine, type Quarantine, type QuarantineOptions } from '../quarantine/quarantine.ts';
import type { PushFindings } from './findings.ts';
import { inspectPush } from './inspect.ts';
import { type InspectSettingsInput, inspectSettings } from './settings.ts';

export interface CommitContent {
  /** Path → content, or mode and content; null removes. For mode 160000 the content is an id. */
  readonly files?: Readonly<
    Record<string, string | Buffer | { readonly mode: string; readonly content: string | Buffer } | null>
  >;
  readonly parents?: readonly string[];
  readonly message?: string | Buffer;
  readonly author?: string;
  readonly committer?: string;
}

export const caller: Principal = {
  id: 'idp:agent-1',
  kind: 'agent',
  issuer: 'idp',
  subject: 'agent-1',
  name: 'Agent',
  groups: [],
  claims: { email: 'agent@corp.test' },
};

const self = 'Agent <agent@corp.test> 1700000000 +0000';

/** A client's repository, made by real git, and the gateway's mirror and quarantines beside it. */
export class Scene {
  readonly folder: string;
  readonly repository: string;
  readonly format: ObjectFormat;
  /** What upstream has. */
  refs: Ref[] = [];
  #mirror: Promise<Mirror> | undefined;
  #packs = 0;
  #commits = 0;

  constructor(format: ObjectFormat = 'sha1') {
    this.format = format;
    this.folder = mkdtempSync(join(tmpdir(), 'git-scene-'));
    this.repository = join(this.folder, 'client.git');
    execFileSync('git', ['init', '-q', '--bare', `--object-format=${format}`, this.repository]);
  }

  git(args: readonly string[], input: string | Buffer = ''): Buffer {
    return execFileSync('git', ['-C', this.repository, ...args], {
      input,
      maxBuffer: 1024 ** 3,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH ?? '', HOME: this.folder, GIT_CONFIG_NOSYSTEM: '1' },
    });
  }

  line(args: readonly string[], input: string | Buffer = ''): string {
    return this.git(args, input).toString().trim();
  }

  /** One commit on top of its first parent's tree. */
  commit({ files = {}, parents = [], message = 'a change', author = self, committer = author }: CommitContent): string {
    this.#commits += 1;
    const parts: (string | Buffer)[] = [
      `commit refs/scene/c${this.#commits}\nmark :1\n`,
      `author ${author}\ncommitter ${committer}\n`,
    ];
    parts.push(...data(message), ...parents.map((id, i) => `${i === 0 ? 'from' : 'merge'} ${id}\n`));
    for (const [path, content] of Object.entries(files)) {
      const name = JSON.stringify(path);
      if (content === null) parts.push(`D ${name}\n`);
      else if (typeof content === 'object' && 'mode' in content && content.mode === '160000') {
        parts.push(`M 160000 ${content.content} ${name}\n`);
      } else {
        const { mode, content: bytes } =
          typeof content === 'string' || Buffer.isBuffer(content) ? { mode: '100644', content } : content;
        parts.push(`M ${mode} inline ${name}\n`, ...data(bytes));
      }
    }
    parts.push('get-mark :1\n');
    return this.line(['fast-import', '--quiet'], Buffer.concat(parts.map((part) => Buffer.from(part))));
  }

  blob(content: string | Buffer): string {
    return this.line(['hash-object', '-w', '--stdin'], content);
  }

  /** Any object, well-formed or not. */
  object(type: string, content: string | Buffer): string {
    return this.line(['hash-object', '-w', '--literally', '-t', type, '--stdin'], content);
  }

  tag(target: string, type: string, message = 'a tag', tagger = self): string {
    return this.object('tag', `object ${target}\ntype ${type}\ntag v1\ntagger ${tagger}\n\n${message}\n`);
  }

  /** Ids that `tips` reach and `known` do not. */
  objects(tips: readonly string[], known: readonly string[]): string[] {
    return this.line(['rev-list', '--objects', '--no-object-names', ...tips, '--not', ...known])
      .split('\n')
      .filter((id) => id !== '');
  }

  /** A pack of exactly these objects. */
  packOf(ids: readonly string[]): Buffer {
    return this.git(['pack-objects', '--stdout', '-q'], ids.map((id) => `${id}\n`).join(''));
  }

  packBetween(tips: readonly string[], known: readonly string[], thin = true): Buffer {
    const input = [...tips, '--not', ...known].map((id) => `${id}\n`).join('');
    return this.git(['pack-objects', '--revs', '--stdout', '-q', ...(thin ? ['--thin'] : [])], input);
  }

  spool(pack: Buffer): NonNullable<Push['pack']> {
    this.#packs += 1;
    const file = join(this.folder, `push-${this.#packs}.pack`);
    writeFileSync(file, pack);
    return { file, bytes: pack.length, sha256: '' };
  }

  push(updates: readonly Partial<RefUpdate>[], pack?: Buffer): Push {
    const whole = updates.map(({ ref = 'refs/heads/main', old, new: id }): RefUpdate => ({ ref, old, new: id }));
    const tips = whole.flatMap((update) => (update.new === undefined ? [] : [update.new]));
    const bytes =
      pack ??
      (tips.length === 0
        ? undefined
        : this.packBetween(
            tips,
            this.refs.map(({ id }) => id),
          ));
    return {
      repository: 'group/repo',
      objectFormat: this.format,
      updates: whole,
      ...(bytes === undefined ? {} : { pack: this.spool(bytes) }),
      options: [],
      atomic: false,
    };
  }

  async mirror(): Promise<Mirror> {
    this.#mirror ??= openMirror(join(this.folder, 'mirror'), this.format);
    const mirror = await this.#mirror;
    await mirror.update(this.refs, async (wants, haves) => once(this.packBetween(wants, haves)));
    return mirror;
  }

  /** Brings the mirror up to date and lets `look` see the push in quarantine. */
  async quarantined<Result>(
    push: Push,
    look: (quarantine: Quarantine) => Promise<Result>,
    options: QuarantineOptions = {},
  ): Promise<Result> {
    const quarantine = await openQuarantine(await this.mirror(), options);
    try {
      await quarantine.receive(push.pack?.file);
      return await look(quarantine);
    } finally {
      await quarantine.destroy();
    }
  }

  inspect(
    push: Push,
    settings: InspectSettingsInput = {},
    principal: Principal = caller,
    signal?: AbortSignal,
  ): Promise<PushFindings> {
    return this.quarantined(push, (quarantine) =>
      inspectPush({ push, refs: this.refs, quarantine, settings: inspectSettings.parse(settings), principal, signal }),
    );
  }

  /** Upstream has the commit as this ref. */
  upstream(name: string, id: string, more: Partial<Ref> = {}): void {
    this.refs = [...this.refs.filter((ref) => ref.name !== name), { name, id, ...more }];
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function* once(bytes: Buffer): AsyncIterable<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

function data(content: string | Buffer): (string | Buffer)[] {
  const bytes = Buffer.from(content as string);
  return [`data ${bytes.length}\n`, bytes, '\n'];
}
