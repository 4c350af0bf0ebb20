import { PeerError } from '../../model/errors.ts';
import { AdvertisementParser, ServerSays } from './advertisement.ts';
import { stream } from './answers.ts';
import type { Context } from './context.ts';
import type { ObjectFormat, Ref } from './push.ts';
import type { Service } from './repository.ts';
import { noBody } from './upstream.ts';

/** All refs of a repository as the target has them now. */
export interface Snapshot {
  readonly refs: readonly Ref[];
  readonly objectFormat: ObjectFormat;
  readonly capabilities: ReadonlySet<string>;
}

/** Asks the target, for the gateway itself: what comes back is not for the caller's eyes. Rejects with Refusal or PeerError. */
export async function snapshot(context: Context, service: Service, signal: AbortSignal): Promise<Snapshot> {
  const { upstream, repository, line } = context;
  const refs: Ref[] = [];
  let objectFormat: ObjectFormat = 'sha1';
  const capabilities = new Set<string>();
  const parser = new AdvertisementParser(service, {
    head(head) {
      objectFormat = head.objectFormat;
      for (const { name } of head.capabilities) capabilities.add(name);
    },
    ref: (ref) => refs.push(ref),
    shallow: () => undefined,
  });
  const path = `${repository.path}/info/refs?service=${service}`;
  try {
    await stream(
      (answer) => upstream.housekeeping(line.permit, { method: 'GET', path, fields: [], body: noBody }, answer),
      `application/x-${service}-advertisement`,
      signal,
      (bytes) => parser.push(bytes),
    );
    parser.end();
  } catch (error) {
    if (error instanceof ServerSays) throw new PeerError('UPSTREAM_PROTOCOL', 'the target refused to list its refs');
    throw error;
  }
  return { refs, objectFormat, capabilities };
}
