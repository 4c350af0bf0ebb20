import type { Socket } from 'node:net';
import type { Connection, Gateway, Line, Protocol } from '../../gateway/protocol.ts';
import { PeerError, Refusal } from '../../model/errors.ts';
import type { Target } from '../../model/target.ts';
import { authenticationOk, backendKeyData, parameterStatus, readyForQuery } from './codec.ts';
import { connectUpstream, type UpstreamConnection } from './connect.ts';
import { CancelKeys } from './keys.ts';
import { type LoggedIn, login } from './login.ts';
import { propose } from './propose/propose.ts';
import { refusalReport } from './refusals.ts';
import { replay } from './render.ts';
import { HungUp, PostgresSession } from './session.ts';
import { type PostgresSettings, postgresSettings } from './settings.ts';
import { TargetStates } from './target-state.ts';
import { Upstream } from './upstream.ts';

/** PostgreSQL, protocol 3.0 and 3.2. See README.md in this folder. */
export function createPostgres(): Protocol<PostgresSettings> {
  const keys = new CancelKeys();
  const states = new TargetStates();
  return {
    name: 'postgres',
    settings: postgresSettings,
    async serve(connection, gateway) {
      const client = await login(connection, gateway, (key) => keys.cancel(key));
      if (client !== undefined) await serve(client, gateway, keys, states, connection);
    },
    inspect: (target, gateway) => states.of(target, gateway).inspect(),
    classify: (target, text, gateway) => states.of(target, gateway).classify(text),
    propose,
    replay,
  };
}

async function serve(
  client: LoggedIn,
  gateway: Gateway,
  keys: CancelKeys,
  states: TargetStates,
  connection: Connection,
): Promise<void> {
  const { socket, line } = client;
  const target = line.target as Target<PostgresSettings>;
  let upstream: UpstreamConnection;
  let leave: (() => void) | undefined;
  const state = states.of(target, gateway);
  try {
    leave = state.enter();
    const credential = await gateway.credential(target);
    [upstream] = await Promise.all([
      connectUpstream({
        target,
        credential,
        startup: client.settings,
        permit: line.permit,
        signal: line.signal,
        timeoutMs: gateway.limits.loginMs,
      }),
      state.ready(),
    ]);
  } catch (error) {
    leave?.();
    const refusal = error instanceof Refusal || error instanceof PeerError ? error : undefined;
    gateway.log('warn', 'postgres: target not reached', {
      target: target.name,
      reason: refusal?.message ?? String(error),
    });
    socket.end(
      refusalReport(refusal ?? new Refusal('UPSTREAM_UNAVAILABLE', 'the target could not be reached'), 'FATAL'),
    );
    setTimeout(() => connection.socket.destroy(), 2000).unref();
    await line.close(refusal?.message ?? 'the target could not be reached');
    return;
  }
  await run(client, gateway, keys, upstream, state);
  leave();
}

/** Joins client and server until one of them, or the gateway, ends it. */
async function run(
  client: LoggedIn,
  gateway: Gateway,
  keys: CancelKeys,
  connected: UpstreamConnection,
  state: ReturnType<TargetStates['of']>,
): Promise<void> {
  const { socket, line } = client;
  const over = Promise.withResolvers<Error>();
  const end = (reason: Error) => over.resolve(reason);
  const guard = (step: () => void) => {
    try {
      step();
    } catch (error) {
      end(error instanceof Error ? error : new Error(String(error)));
    }
  };
  const upstream: Upstream = new Upstream(
    connected,
    (chunk) => guard(() => session.fromServer(chunk)),
    (how) =>
      end(
        new Refusal(
          'UPSTREAM_UNAVAILABLE',
          how.kind === 'closed'
            ? 'the target closed the connection'
            : `the connection to the target failed (${how.code})`,
        ),
      ),
  );
  const cancel = () => {
    upstream
      .cancel(line.permit, gateway.limits.loginMs)
      .catch((error: unknown) => gateway.log('warn', 'postgres: cancel was not delivered', { error: String(error) }));
  };
  const session = new PostgresSession(socket, line, gateway.limits, state, upstream, client.settings.search_path, end);
  const key = keys.issue(client.version, () => {
    if (session.cancel()) cancel();
  });
  greet(socket, connected, key);
  session.onReadable = () => socket.resume();
  socket.on('data', (chunk: Buffer) =>
    guard(() => {
      if (!session.fromClient(chunk)) socket.pause();
    }),
  );
  socket.on('end', () =>
    end(new HungUp(session.atBoundary ? 'the client hung up' : 'the client hung up in the middle of a message')),
  );
  socket.on('close', () => end(new HungUp('the connection to the client was lost')));
  const aborted = () => end(line.signal.reason as Error);
  line.signal.addEventListener('abort', aborted, { once: true });
  if (line.signal.aborted) aborted();
  upstream.resume();
  socket.resume();
  const reason = await over.promise;
  line.signal.removeEventListener('abort', aborted);
  keys.withdraw(key);
  await hangUp(reason, session, socket, upstream, line, gateway);
}

function greet(socket: Socket, connected: UpstreamConnection, key: ReturnType<CancelKeys['issue']>): void {
  const parameters = [...connected.parameters].map(([name, value]) => parameterStatus(name, value));
  socket.write(Buffer.concat([authenticationOk, ...parameters, backendKeyData(key), readyForQuery('I')]));
}

async function hangUp(
  reason: Error,
  session: PostgresSession,
  socket: Socket,
  upstream: Upstream,
  line: Line,
  gateway: Gateway,
): Promise<void> {
  const gone = reason instanceof HungUp;
  const known = reason instanceof Refusal || reason instanceof PeerError;
  if (!known && !gone)
    gateway.log('error', 'postgres: session ended by an internal error', {
      session: line.session.id,
      error: reason.stack ?? reason.message,
    });
  session.abandon();
  upstream.end(line.permit);
  setTimeout(() => upstream.destroy(), 1000).unref();
  if (gone) socket.end();
  else if (!socket.destroyed && socket.writable) {
    session.say(
      refusalReport(
        known ? reason : new Refusal('INTERNAL', 'the gateway met an internal error and ended this session'),
        'FATAL',
      ),
    );
    socket.end();
  }
  setTimeout(() => socket.destroy(), 2000).unref();
  await line.close(reason.message);
}
