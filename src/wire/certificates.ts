import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import { z } from 'zod';
import { ConfigError } from '../model/errors.ts';
import { developmentCertificate } from './developmentCertificate.ts';

const path = z.string().min(1);

/** The configuration's `tls:`. Without a certificate a development one is made. */
export const tlsSchema = z
  .strictObject({
    /** PEM file: the server's certificate, then those between it and its root. */
    certificate: path.optional(),
    /** PEM file: its private key. */
    key: path.optional(),
    /** PEM file that clients verify the server with; only shown in the lines to paste. */
    ca: path.optional(),
    /** Host names and addresses of the development certificate besides localhost, 127.0.0.1 and ::1. */
    names: z.array(z.string().regex(/^[A-Za-z0-9.:*-]{1,253}$/, 'must be a host name or an address')).default([]),
  })
  .refine(({ certificate, key }) => (certificate === undefined) === (key === undefined), {
    message: 'certificate and key go together',
  })
  .default({ names: [] });

export type TlsConfig = z.infer<typeof tlsSchema>;

/** TLS of our listeners, TLS 1.2 at least. */
export interface ServerTls {
  /** The context in force now; ask again for each connection, since certificates are replaced while we run. */
  readonly context: SecureContext;
  /** As PEM, for servers that want them so; in force now. */
  readonly pem: { readonly cert: string; readonly key: string };
  /** What a client verifies us with (`sslrootcert`); undefined when the operator's certificate has a public root. */
  readonly caFile: string | undefined;
  /** Looks whether the files changed, or the development certificate needs renewal. Throws ConfigError, and keeps what it has, when the new files do not fit. */
  reload(): Promise<void>;
  /** Calls the listener after each change. The result stops that. */
  onChange(listener: () => void): () => void;
  /** Stops looking. */
  close(): void;
}

export interface CertificateOptions {
  /** Where relative paths start: the configuration's folder. */
  readonly baseDir?: string;
  readonly now?: () => number;
  /** How often files are looked at. */
  readonly checkEveryMs?: number;
  /** Told when new files do not fit and the old ones stay in use. */
  readonly warn?: (message: string) => void;
}

/** Loads the configured certificate, or the development one from `dataDir`/tls, making it if need be. Throws ConfigError. */
export async function loadServerTls(
  config: TlsConfig,
  dataDir: string,
  options: CertificateOptions = {},
): Promise<ServerTls> {
  const { baseDir = process.cwd(), now = Date.now, checkEveryMs = 10_000, warn = () => {} } = options;
  const { certificate, key } = config;
  const find = async (): Promise<Files> => {
    if (certificate === undefined || key === undefined) return developmentCertificate(dataDir, config.names, now());
    const ca = config.ca === undefined ? undefined : resolve(baseDir, config.ca);
    return { certificate: resolve(baseDir, certificate), key: resolve(baseDir, key), ca };
  };

  let files = await find();
  let seen = fingerprint(files);
  let loaded = load(files);
  const listeners = new Set<() => void>();

  async function reload(): Promise<void> {
    files = await find();
    const print = fingerprint(files);
    if (print === seen) return;
    loaded = load(files);
    seen = print;
    for (const listener of listeners) listener();
  }

  let reported = '';
  const timer = setInterval(() => {
    reload().then(
      () => {
        reported = '';
      },
      (error: Error) => {
        // Two files are never replaced at the same instant: only what is still wrong the next time is worth a word, once.
        if (reported !== error.message) warn(`the old TLS certificate stays in use: ${error.message}`);
        reported = error.message;
      },
    );
  }, checkEveryMs).unref();

  return {
    get context() {
      return loaded.context;
    },
    get pem() {
      return loaded.pem;
    },
    get caFile() {
      return files.ca;
    },
    reload,
    onChange(listener) {
      const entry = () => listener();
      listeners.add(entry);
      return () => listeners.delete(entry);
    },
    close: () => clearInterval(timer),
  };
}

interface Files {
  readonly certificate: string;
  readonly key: string;
  readonly ca: string | undefined;
}

function load({ certificate, key }: Files) {
  const pem = { cert: read(certificate), key: read(key) };
  try {
    // OpenSSL takes a chain whose first certificate is not the server's without a word; so the first one is looked at.
    new X509Certificate(pem.cert);
    return { pem, context: createSecureContext({ ...pem, minVersion: 'TLSv1.2' }) };
  } catch (error) {
    throw new ConfigError(
      `tls: ${certificate} and ${key} are not a certificate and its key: ${(error as Error).message}`,
    );
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError(`tls: ${(error as Error).message}`);
  }
}

/** Changes when a file is replaced, also through a symbolic link, or written. */
function fingerprint(files: Files): string {
  return [files.certificate, files.key]
    .map((file) => {
      const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
      return stat === undefined ? `${file} missing` : `${file} ${stat.ino} ${stat.mtimeNs} ${stat.size}`;
    })
    .join('\n');
}
