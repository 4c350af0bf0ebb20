import type { Gateway, Line } from '../../gateway/protocol.ts';
import type { ServerCall } from '../../web/message.ts';
import type { Route } from '../../web/protocol.ts';
import type { RefsView } from './refs-view.ts';
import type { Repository } from './repository.ts';
import type { GitSettings } from './settings.ts';
import type { GitUpstream } from './upstream.ts';

/** One request of one caller about one repository. */
export interface Context {
  readonly call: ServerCall;
  readonly line: Line;
  readonly gateway: Gateway;
  readonly settings: GitSettings;
  readonly repository: Repository;
  readonly upstream: GitUpstream;
  readonly view: RefsView;
  readonly route: Route;
}
