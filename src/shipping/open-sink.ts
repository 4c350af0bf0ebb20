import type { Writable } from 'node:stream';
import { ConfigError } from '../model/errors.ts';
import type { Credential } from '../secrets/credential.ts';
import type { SinkConfig } from './config.ts';
import type { ShippedRecord } from './record.ts';
import { type SecretOf, SinkSecret } from './secret.ts';
import { BatchRefused, type RefusedRecord, type Sink, Undelivered } from './sink.ts';
import { ElasticSink } from './sinks/elastic.ts';
import { FileSink } from './sinks/file.ts';
import { OtlpSink } from './sinks/otlp.ts';
import { S3Sink } from './sinks/s3.ts';
import { SplunkSink } from './sinks/splunk.ts';
import { StreamSink } from './sinks/stdout.ts';
import { SyslogSink } from './sinks/syslog.ts';
import { WebhookSink } from './sinks/webhook.ts';
import { clientTls } from './tls.ts';

export interface SinkDeps {
  readonly hostname: string;
  readonly stdout: Writable;
  readonly secretOf: SecretOf;
  readonly now: () => number;
}

/** The sink that a configuration describes; connects to nothing yet. Throws ConfigError where a file it names cannot be read. */
export function openSink(config: SinkConfig, { hostname, stdout, secretOf, now }: SinkDeps): Sink {
  const secretFor = (credential: Credential | undefined) => new SinkSecret(credential, secretOf);
  switch (config.kind) {
    case 'file':
      return new FileSink({ path: config.path, rotateBytes: config.rotate, keep: config.keep });
    case 'stdout':
      return new StreamSink(stdout);
    case 'syslog': {
      const { address, transport, facility, structuredData, messageBytes } = config;
      return new SyslogSink({
        ...address,
        transport,
        facility,
        structuredData,
        messageBytes,
        hostname,
        tls: tlsOf(config),
      });
    }
    case 'otlp': {
      const secret = secretFor(config.credential);
      return fresh(new OtlpSink({ ...receiverOf(config), secret, header: config.header, now }), secret);
    }
    case 'splunk': {
      const { index, sourcetype, acknowledgement } = config;
      const secret = secretFor(config.credential);
      return fresh(new SplunkSink({ ...receiverOf(config), secret, index, sourcetype, acknowledgement, now }), secret);
    }
    case 'elastic': {
      const { index, credential } = config;
      const secret = secretFor(credential);
      return fresh(new ElasticSink({ ...receiverOf(config), secret, user: credential?.user, index, now }), secret);
    }
    case 'webhook': {
      const secrets = [config.credential, config.previous].filter((one) => one !== undefined).map(secretFor);
      return fresh(new WebhookSink({ ...receiverOf(config), secrets, now }), ...secrets);
    }
    case 's3': {
      const { region, prefix, objectBytes, gather: gatherMs, credential } = config;
      if (credential.user === undefined)
        throw new ConfigError(`shipping ${config.name}: credential.user must be the access key id`);
      const secret = secretFor(credential);
      const bucket = { ...receiverOf(config), region, prefix, objectBytes, gatherMs, accessKey: credential.user };
      return fresh(new S3Sink({ ...bucket, secret, now }), secret);
    }
  }
}

type NetworkConfig = Exclude<SinkConfig, { kind: 'file' | 'stdout' }>;

function tlsOf({ name, tls, credential }: NetworkConfig) {
  return clientTls(name, {
    ca: tls.ca,
    serverName: tls.serverName,
    certificate: credential?.certificate,
    key: credential?.key,
  });
}

function receiverOf(config: Exclude<NetworkConfig, { kind: 'syslog' }>) {
  return { url: new URL(config.url), tls: tlsOf(config) };
}

/** The same sink, whose secrets are fetched anew after a failure (they may have been replaced), and are in no reason it gives. */
function fresh(sink: Sink, ...secrets: readonly SinkSecret[]): Sink {
  const clean = (words: string): string => secrets.reduce((text, secret) => secret.hiddenIn(text), words);
  return {
    limits: sink.limits,
    async send(batch: readonly ShippedRecord[], signal: AbortSignal): Promise<readonly RefusedRecord[]> {
      try {
        const refused = await sink.send(batch, signal);
        return refused.map((one) => ({ ...one, reason: clean(one.reason) }));
      } catch (error) {
        for (const secret of secrets) secret.forget();
        if (error instanceof BatchRefused) throw new BatchRefused(clean(error.message));
        if (error instanceof Undelivered)
          throw new Undelivered(clean(error.message), { retryAfterMs: error.retryAfterMs });
        throw error;
      }
    },
    close: () => sink.close(),
  };
}
