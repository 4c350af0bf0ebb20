import type { Gateway, Inspection } from '../../gateway/protocol.ts';
import type { Target } from '../../model/target.ts';
import { OpenedTargets } from '../../web/opened-targets.ts';
import type { Route, WebProtocol } from '../../web/protocol.ts';
import { classifyText } from './classify-text.ts';
import { RefsViews } from './refs-view.ts';
import { refuseCall } from './refusals.ts';
import { replay } from './render.ts';
import { type GitRoom, serve } from './serve.ts';
import { type GitSettings, gitSettings } from './settings.ts';
import { GitTarget } from './target.ts';
import { Workplace } from './workplace.ts';

/** Git over smart HTTP, protocol v0, v1 and v2, with LFS. See README.md in this folder. */
export function createGit(): WebProtocol<GitSettings> {
  const targets = new OpenedTargets((target: Target<GitSettings>) => new GitTarget(target));
  const room: GitRoom = {
    views: new RefsViews(),
    workplace: new Workplace(),
    upstreamOf: ({ line }: Route, gateway: Gateway) =>
      targets.of(line.target as Target<GitSettings>, gateway).upstream(line, gateway),
  };
  return {
    name: 'git',
    prefix: 'git',
    challenge: 'Basic',
    settings: gitSettings,
    request: (call, route, gateway) => serve(room, call, route, gateway),
    refuse: refuseCall,
    inspect: (target, gateway): Promise<Inspection> => targets.of(target, gateway).inspect(gateway),
    classify: async (_, text) => classifyText(text),
    replay,
  };
}
