import { connect as dial, type Socket } from 'node:net';
import { connect as secure } from 'node:tls';
import type { Endpoint } from './endpoint.ts';

/** The least of a PostgreSQL client that can log in: what it measures is the other side (PostgreSQL manual, “Message Flow”). */
export async function connect(endpoint: Endpoint): Promise<Socket> {
  let socket = dial({ host: '127.0.0.1', port: endpoint.port, noDelay: true });
  try {
    if (endpoint.tls) {
      socket.write(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]));
      const answer = await next(socket);
      if (answer.toString('latin1') !== 'S') throw new Error('the server speaks no TLS');
      // Whose certificate it is does not change what encryption costs.
      socket = secure({ socket, rejectUnauthorized: false });
    }
    socket.write(startup(endpoint));
    let received = Buffer.alloc(0);
    let passwordSent = false;
    while (!received.subarray(-6).equals(readyAndIdle)) {
      received = Buffer.concat([received, await next(socket)]);
      if (received[0] === letter('E')) throw new Error(`login refused: ${received.toString('latin1', 5)}`);
      if (!passwordSent && received.subarray(0, 9).equals(cleartextPassword)) {
        passwordSent = true;
        socket.write(message('p', `${endpoint.password}\0`));
      }
    }
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

export const readyAndIdle = message('Z', 'I');
const cleartextPassword = message('R', '\0\0\0\x03');

export function message(type: string, body: string): Buffer {
  const bytes = Buffer.from(body);
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeUInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

function startup({ user, database }: Endpoint): Buffer {
  const body = Buffer.from(`user\0${user}\0database\0${database}\0application_name\0bench\0\0`);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length + 8, 0);
  head.writeUInt32BE(196_608, 4);
  return Buffer.concat([head, body]);
}

function letter(text: string): number {
  return text.charCodeAt(0);
}

/** The next bytes; the socket is left paused. */
function next(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const done = () => {
      socket.pause();
      socket.off('data', data).off('error', failed).off('close', closed);
    };
    const data = (bytes: Buffer) => {
      done();
      resolve(bytes);
    };
    const failed = (error: Error) => {
      done();
      reject(error);
    };
    const closed = () => failed(new Error('the server hung up during login'));
    socket.once('data', data).once('error', failed).once('close', closed);
    socket.resume();
  });
}
