import { connect, createServer, type Server as NetServer, type Socket } from 'node:net';

/** A message of the server on its way to the gateway: its type as a letter, and its bytes. */
export interface Passing {
  readonly type: string;
  readonly bytes: Buffer;
  /** How many messages passed before it since the statement was sent. */
  readonly index: number;
  /** Ends the connection after what is returned for this message was sent. */
  hangUp(): void;
}

/** What a lie makes of one message: nothing keeps it, `[]` drops it. */
export type Lie = (message: Passing) => readonly Buffer[] | undefined;

/** A real server seen through somebody who lies in the middle. */
export interface HostileServer {
  readonly port: number;
  /** Where the real server is; connections wait until this is known. */
  forwardTo(port: number): void;
  stop(): Promise<void>;
}

/** Start-up parameter that chooses the lie for a connection. */
const prefix = 'lie: ';
/** A statement that contains this is answered with lies, from its first message to its ReadyForQuery. */
export const armed = 'armed';

/**
 * Passes everything on between the gateway and a real server, but on connections whose application_name is `lie: <name>` it answers
 * statements that contain the word `armed` through that lie. It starts no statement and knows no SQL.
 */
export async function startHostileServer(lies: Readonly<Record<string, Lie>>): Promise<HostileServer> {
  const target = Promise.withResolvers<number>();
  const sockets = new Set<Socket>();
  const server: NetServer = createServer((gateway) => {
    sockets.add(gateway);
    gateway.on('error', () => undefined).on('close', () => sockets.delete(gateway));
    gateway.pause();
    void target.promise.then((port) => {
      const real = connect(port, '127.0.0.1');
      sockets.add(real);
      real.on('error', () => undefined).on('close', () => sockets.delete(real));
      join(gateway, real, lies);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    forwardTo: target.resolve,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function join(gateway: Socket, real: Socket, lies: Readonly<Record<string, Lie>>): void {
  let lie: Lie | undefined;
  let lying = false;
  let index = 0;
  let first = true;
  let rest: Buffer = Buffer.alloc(0);
  gateway.on('data', (chunk: Buffer) => {
    const text = chunk.toString('latin1');
    if (first) {
      const name = Object.keys(lies).find((one) => text.includes(`application_name\0${prefix}${one}\0`));
      lie = name === undefined ? undefined : lies[name];
      first = false;
    } else if (lie !== undefined && text.includes(armed)) {
      lying = true;
      index = 0;
    }
    real.write(chunk);
  });
  real.on('data', (chunk: Buffer) => {
    if (lie === undefined) {
      gateway.write(chunk);
      return;
    }
    rest = Buffer.concat([rest, chunk]);
    for (let size = sizeOf(rest); size !== undefined; size = sizeOf(rest)) {
      const bytes = rest.subarray(0, size);
      rest = rest.subarray(size);
      if (!lying) {
        gateway.write(bytes);
        continue;
      }
      let over = false;
      const hangUp = () => {
        over = true;
      };
      const shown = lie({ type: String.fromCharCode(bytes[0]!), bytes, index, hangUp }) ?? [bytes];
      index += 1;
      if (bytes[0] === 0x5a) lying = false;
      if (!gateway.destroyed) gateway.write(Buffer.concat(shown));
      if (over) {
        gateway.end();
        real.destroy();
        return;
      }
    }
  });
  gateway.on('close', () => real.destroy());
  real.on('close', () => gateway.end());
  gateway.resume();
}

/** Of the first message, when it is whole. */
function sizeOf(bytes: Buffer): number | undefined {
  if (bytes.length < 5) return undefined;
  const size = 1 + bytes.readUInt32BE(1);
  return bytes.length < size ? undefined : size;
}

/** The application_name that chooses a lie. */
export function lieNamed(name: string): string {
  return `${prefix}${name}`;
}
