import { readFileSync } from 'node:fs';
import { ConfigError } from '../model/errors.ts';

/** How a receiver's certificate is checked, and our own where it asks for one. The names are those of node:tls. */
export interface ClientTls {
  readonly ca?: string;
  readonly servername?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface TlsFiles {
  readonly ca?: string | undefined;
  readonly serverName?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

/** Reads the files. Throws ConfigError for one that cannot be read. The certificate and the name are always verified. */
export function clientTls(sink: string, { ca, serverName, certificate, key }: TlsFiles): ClientTls {
  return {
    ...(ca === undefined ? {} : { ca: read(sink, ca) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
    ...(certificate === undefined ? {} : { cert: read(sink, certificate) }),
    ...(key === undefined ? {} : { key: read(sink, key) }),
  };
}

function read(sink: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError(`shipping ${sink}: ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}
