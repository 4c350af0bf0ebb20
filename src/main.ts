import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createApi } from './api/api.ts';
import { issuersOf } from './api/issuers.ts';
import { createApprovals } from './approvals/approvals.ts';
import { logNotifier } from './approvals/notifier.ts';
import { present } from './approvals/present.ts';
import { openAuditLog } from './audit/log.ts';
import { openAuditReader } from './audit/reader.ts';
import { type Config, loadConfig, protocolSchemas } from './config.ts';
import { createAdmin } from './gateway/administration.ts';
import { createGateway } from './gateway/gateway.ts';
import { type Listener, listen } from './gateway/listener.ts';
import { LiveSessions } from './gateway/live.ts';
import type { AuditPort } from './gateway/ports.ts';
import type { Protocol } from './gateway/protocol.ts';
import { createIdentity } from './identity/identity.ts';
import { createLogger, type Log } from './logger.ts';
import { createDetector } from './mask/detect/detector.ts';
import { classificationOf } from './mask/detect/kinds.ts';
import { recogniser } from './mask/detect/recognise.ts';
import { maskingTools } from './mask/tools.ts';
import { Refusal } from './model/errors.ts';
import type { Target } from './model/target.ts';
import { openPolicies } from './policy/port.ts';
import { createProtocols } from './protocols/index.ts';
import { openRecorder } from './recording/recorder.ts';
import { recoverRecordings } from './recording/recovery.ts';
import type { Credential } from './secrets/credential.ts';
import { readSecret } from './secrets/readSecret.ts';
import { createSecrets } from './secrets/secrets.ts';
import type { SinkMetrics } from './shipping/shipper.ts';
import { openShipping } from './shipping/shipping.ts';
import { openSqliteStore } from './storage/sqlite/store.ts';
import { loadServerTls } from './wire/certificates.ts';

export interface Running {
  readonly config: Config;
  /** Where the API and each protocol really listen (a configured port 0 chooses one). */
  readonly addresses: Readonly<Record<string, { readonly host: string; readonly port: number }>>;
  /** What clients verify the gateway's certificate with. */
  readonly caFile: string | undefined;
  /** Ends sessions, seals recordings, signs the last checkpoint. */
  stop(): Promise<void>;
  /** How far each receiver of the audit log is. */
  shipping(): readonly SinkMetrics[];
  /** Resolves when the gateway has stopped by itself because it may not go on (the audit log failed). */
  readonly failed: Promise<Error>;
}

/** Starts the gateway that a configuration describes. Throws ConfigError, or the error of an address that is taken. */
export async function start(configFile: string, log: Log = createLogger()): Promise<Running> {
  const protocols = createProtocols();
  const config = loadConfig(configFile, protocolSchemas(protocols));
  const stopping: (() => Promise<void> | void)[] = [];
  try {
    return await compose(config, protocols, log, stopping);
  } catch (error) {
    for (const stop of stopping.reverse()) await stop();
    throw error;
  }
}

async function compose(
  config: Config,
  protocols: readonly Protocol[],
  log: Log,
  stopping: (() => Promise<void> | void)[],
): Promise<Running> {
  const now = Date.now;
  const { data } = config;
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const failed = Promise.withResolvers<Error>();
  const live = new LiveSessions();
  const audit = await openAuditLog({
    dir: join(data, 'audit'),
    origin: config.origin,
    warn: (message) => log('warn', message),
    recover: async (interrupted, opening) => {
      // The gateway's own sessions are not recorded.
      const sessions = interrupted.filter(({ principalKind }) => principalKind !== 'gateway');
      await recoverRecordings({ dir: join(data, 'recordings'), audit: opening, sessions });
    },
  });
  stopping.push(() => audit.close());
  let healthy = true;
  void failed.promise.then(() => {
    healthy = false;
  });
  audit.onFailure((error) => {
    log('error', 'the audit log has failed; the gateway stops', { error: error.message });
    live.endAll(
      new Refusal('AUDIT_UNAVAILABLE', 'the audit log cannot be written, so nothing may run; the session ends'),
    );
    failed.resolve(error);
  });
  const store = await openSqliteStore({ file: join(data, 'store.db') });
  stopping.push(() => store.close());
  store.failed.addEventListener('abort', () => failed.resolve(store.failed.reason as Error));
  const recorder = openRecorder({
    dir: join(data, 'recordings'),
    audit,
    now,
    onFailure: (session, cause) => {
      log('error', 'a recording failed; its session ends', { session: session.id, error: cause.message });
      live.end(session.id, 'the session can no longer be recorded');
    },
  });
  stopping.push(() => recorder.close());

  const warn = (message: string, fields?: Record<string, string | number>) => log('warn', message, fields);
  const policy = await openPolicies({
    dir: config.policies,
    classificationsOf,
    log,
    onActivated: async ({ version, previous, files, rules }) => {
      await audit.record({
        type: 'policy.activated',
        version,
        ...(previous === undefined ? {} : { previous }),
        files,
        rules,
      });
    },
    onRejected: async ({ version, problems }) => {
      log('error', 'new policies were rejected; the old ones stay in force', { problems: problems.join('\n') });
      await audit.record({ type: 'policy.rejected', version, problems });
    },
  });
  stopping.push(() => policy.close());
  const hangUp = () => {
    policy.reload().catch((error: unknown) => log('error', 'policies were not reloaded', { error: String(error) }));
  };
  process.on('SIGHUP', hangUp);
  stopping.push(() => void process.off('SIGHUP', hangUp));

  const identity = createIdentity({
    issuers: config.issuers,
    tickets: config.tickets,
    store: store.tickets,
    audit,
    managesTickets: (caller) => policy.decideAdmin(caller, 'configure').outcome === 'allow',
    targetExists: (name) => config.targets.has(name),
    baseDir: dirname(config.file),
    warn,
  });
  stopping.push(() => identity.close());
  const secrets = createSecrets({
    baseDir: dirname(config.file),
    env: process.env,
    credentialOf: (name) => (config.targets.get(name)?.settings as { credential?: Credential } | undefined)?.credential,
    warn,
  });
  const approvals = createApprovals({
    store,
    audit,
    policy,
    targets: config.targets,
    now,
    externalUrl: config.externalUrl,
    defaultTtlMs: config.approvals.ttlMs,
    notifiers: [logNotifier((line) => log('info', line))],
    warn,
  });
  stopping.push(() => approvals.close());

  const maskKey = loadMaskKey(join(data, 'mask.key'));
  const detector = createDetector();
  const masks = { plain: maskingTools(maskKey), detecting: maskingTools(maskKey, detector) };
  const gateway = createGateway({
    audit,
    policy,
    approvals,
    identity: identity.identity,
    secrets,
    recordings: recorder,
    targets: config.targets,
    live,
    masksOf: (target) =>
      (target.settings as { detectors?: boolean }).detectors === false ? masks.plain : masks.detecting,
    folder: (target) => folderOf(join(data, 'targets', target)),
    limits: config.limits,
    now,
    log,
  });
  const tls = await loadServerTls(config.tls === 'development' ? { names: [] } : { ...config.tls, names: [] }, data, {
    baseDir: dirname(config.file),
    warn,
  });
  stopping.push(() => tls.close());

  const reader = openAuditReader(audit);
  stopping.push(() => reader.close());
  const shipping = await openShipping({
    sinks: config.shipping,
    dir: join(data, 'shipping'),
    log: config.origin,
    reader: openAuditReader(audit),
    record: (event) => audit.record(event),
    secretOf: (credential) => readSecret(credential, { baseDir: dirname(config.file), env: process.env }),
    warn,
  });
  stopping.push(() => shipping.close());
  const admin = createAdmin({
    audit,
    reader,
    recorder,
    approvals,
    policy,
    tickets: identity.tickets,
    protocols,
    gateway,
    live,
    targets: config.targets,
    recognise: recogniser(detector),
  });
  const api = createApi({
    admin,
    identity: identity.identity,
    policy,
    issuers: issuersOf(config),
    tls: tls.pem,
    present,
    ready: () => healthy,
    log,
    now,
  });
  const listeners: Listener[] = [];
  stopping.push(() => gateway.close());
  stopping.push(async () => {
    live.endAll(new Refusal('SESSION_ENDED', 'the gateway is stopping'));
    await Promise.all(listeners.map((listener) => listener.close(5000)));
  });
  stopping.push(() => api.close());
  tls.onChange(() => (api.server as unknown as { setSecureContext?(pem: object): void }).setSecureContext?.(tls.pem));
  const addresses: Record<string, { host: string; port: number }> = {};
  for (const protocol of protocols) {
    const key = protocol.listens ?? protocol.name;
    const address = config.listen.protocols.get(key);
    if (address === undefined || addresses[key] !== undefined) continue;
    const options = {
      ...address,
      tls: () => tls.context,
      plaintext: config.plaintext.loopback,
      maxConnections: config.limits.connections,
    };
    const listener = await listen(protocol, gateway, options);
    listeners.push(listener);
    addresses[key] = listener.address;
  }
  await api.listen({ host: config.listen.api.host, port: config.listen.api.port });
  const bound = api.server.address();
  addresses.api = {
    host: config.listen.api.host,
    port: bound !== null && typeof bound === 'object' ? bound.port : config.listen.api.port,
  };
  for (const target of config.targets.values()) void inspect(target, protocols, gateway, audit, log);

  await audit.record({
    type: 'gateway.started',
    node: process.version,
    policy: policy.version,
    targets: [...config.targets.keys()],
    addresses,
  });
  stopping.push(heartbeat(audit, live, policy, log));
  const stop = once(async () => {
    for (const step of stopping.slice().reverse()) {
      if (step === closeAudit)
        await audit
          .record({ type: 'gateway.stopped' })
          .catch((error: unknown) => log('error', 'the end was not recorded', { error: String(error) }));
      // What cannot be put away any more must not keep the rest from it.
      try {
        await step();
      } catch (error) {
        log('error', 'the gateway did not stop cleanly', {
          error: error instanceof Error ? error.message : String(error),
        });
      }
    }
  });
  const closeAudit = stopping[0];
  void failed.promise.then(stop);
  return {
    config,
    addresses,
    caFile: tls.caFile,
    shipping: () => shipping.metrics(),
    stop,
    failed: failed.promise,
  };
}

/** Once a minute: so that the log always grows, and a gap in it is a gap in the service. The result stops it. */
function heartbeat(audit: AuditPort, live: LiveSessions, policy: { readonly version: string }, log: Log): () => void {
  const started = Date.now();
  const timer = setInterval(() => {
    const uptime = Math.round((Date.now() - started) / 1000);
    audit
      .record({ type: 'audit.heartbeat', uptime, sessions: live.size, policy: policy.version })
      .catch((error: unknown) => log('error', 'the heartbeat was not recorded', { error: String(error) }));
  }, 60_000);
  timer.unref();
  return () => clearInterval(timer);
}

async function inspect(
  target: Target,
  protocols: readonly Protocol[],
  gateway: Parameters<Protocol['inspect']>[1],
  audit: AuditPort,
  log: Log,
): Promise<void> {
  const protocol = protocols.find(({ name }) => name === target.protocol);
  try {
    const found = await protocol?.inspect(target, gateway);
    if (found === undefined) return;
    const { reachable, mode, warnings } = found;
    await audit.record({ type: 'target.inspected', target: target.name, reachable, mode, warnings });
    for (const warning of warnings) log('warn', `target ${target.name}: ${warning}`);
  } catch (error) {
    log('warn', `target ${target.name} could not be inspected`, {
      error: error instanceof Error ? error.message : String(error),
    });
  }
}

/** Classifications that a target's configuration names and that detectors find; policy decides on `reveal` for each. */
function classificationsOf(target: Target): readonly string[] {
  const { classify, detectors } = target.settings as {
    classify?: Readonly<Record<string, string>>;
    detectors?: boolean;
  };
  return [
    ...new Set([...Object.values(classify ?? {}), ...(detectors === false ? [] : Object.values(classificationOf))]),
  ];
}

function folderOf(path: string): string {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}

/** The key of tokens and digests: 32 random bytes, made on first start, readable by the gateway alone. */
function loadMaskKey(file: string): Buffer {
  if (!existsSync(file)) writeFileSync(file, randomBytes(32), { mode: 0o600 });
  return readFileSync(file);
}

function once(action: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= action();
    return running;
  };
}
