import { type ChildProcess, spawn } from 'node:child_process';
import type { ServerUser } from './embedded-binaries.ts';

/** A server program that runs as a child, and never longer than this process. */
export interface ServerProcess {
  /** The server's own process id; undefined when it could not be started. */
  readonly pid: Promise<number | undefined>;
  readonly over: boolean;
  /** The end of what it wrote to standard error. */
  log(): string;
  /** Sends the signal; after 10 s, SIGQUIT. Resolves when it is over. */
  stop(signal: 'SIGINT' | 'SIGQUIT'): Promise<void>;
}

/**
 * Stands between us and the server: passes signals on, and ends the server when our end of its standard input closes,
 * which the kernel does however this process dies. It then removes the scratch folder too, as nobody else will.
 */
const guard = `
scratch=$1; shift
exec 3<&0
"$@" </dev/null >/dev/null 3<&- &
server=$!
trap 'kill -INT $server' INT
trap 'kill -QUIT $server' QUIT
echo $server
exec 1>&-
( cat <&3 >/dev/null
  trap '' TERM
  kill -QUIT $server
  while kill -0 $server; do sleep 0.1; done
  rm -rf -- "$scratch" ) 2>/dev/null &
watch=$!
exec 3<&-
while kill -0 $server 2>/dev/null; do wait $server; done
kill $watch 2>/dev/null
`;

export interface ServerCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly user: ServerUser | undefined;
  readonly scratch: string;
}

export function startServerProcess({ program, args, user, scratch }: ServerCommand): ServerProcess {
  const guarded = process.platform !== 'win32';
  const command = guarded ? ['/bin/sh', '-c', guard, 'sh', scratch, program, ...args] : [program, ...args];
  // A group of its own: Ctrl-C on a terminal reaches us alone, and we end things in order.
  const child = spawn(command[0] ?? program, command.slice(1), { ...user, cwd: scratch, detached: guarded });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-65_536);
  });
  child.stdin.on('error', () => undefined);
  let over = false;
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', (error) => {
      log += error.message;
      resolve();
    });
  }).then(() => {
    over = true;
    child.stdin.destroy();
  });
  return {
    pid: guarded
      ? firstLine(child).then((line) => (line === '' ? undefined : Number(line)))
      : Promise.resolve(child.pid),
    get over() {
      return over;
    },
    log: () => log,
    async stop(signal) {
      if (!over) child.kill(signal);
      const late = setTimeout(() => child.kill('SIGQUIT'), 10_000);
      await ended;
      clearTimeout(late);
    },
  };
}

async function firstLine({ stdout }: ChildProcess): Promise<string> {
  let text = '';
  if (stdout !== null) for await (const chunk of stdout.setEncoding('utf8')) text += String(chunk);
  return text.trim();
}
