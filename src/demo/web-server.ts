import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface DemoServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** An HTTP server of the demonstration's own, on a free port of this machine. */
export async function startWebServer(answer: RequestListener): Promise<DemoServer> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
