import { createServer } from 'node:net';

/** `wanted` on 127.0.0.1 if it is free, otherwise a free one, after telling whose port is taken. */
export async function choosePort(what: string, wanted: number, tell: (line: string) => void): Promise<number> {
  if (await free(wanted)) return wanted;
  const port = await anyFree();
  tell(`port ${wanted} (${what}) is taken; using ${port}`);
  return port;
}

function free(port: number): Promise<boolean> {
  return bind(port).then(
    () => true,
    () => false,
  );
}

function anyFree(): Promise<number> {
  return bind(0);
}

function bind(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(address !== null && typeof address === 'object' ? address.port : port));
    });
  });
}
