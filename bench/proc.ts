import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** What Linux says about processes (proc(5)). Times are in µs of CPU, sizes in bytes. */

let tickUs: number | undefined;

function fromTicks(ticks: number): number {
  tickUs ??= 1e6 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return ticks * tickUs;
}

interface Stat {
  readonly parent: number;
  /** User and system time of all threads, those that ended included. */
  readonly own: number;
  /** The same of children that ended and were waited for. */
  readonly reaped: number;
}

/** Undefined when there is no such process (any more). */
function statOf(pid: number | string): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined; // It ended between being listed and being read.
  }
  // The second field is the program's name in parentheses, which may hold anything.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  return {
    parent: fields[1]!,
    own: fromTicks(fields[11]! + fields[12]!),
    reaped: fromTicks(fields[13]! + fields[14]!),
  };
}

/** CPU time of one process with all its threads. */
export function cpuOf(pid: number): number {
  const stat = statOf(pid);
  if (stat === undefined) throw new Error(`process ${pid} is gone`);
  return stat.own;
}

/** CPU time of a process and everything it started, ended children included. */
export function cpuOfTree(root: number): number {
  const stats = new Map<number, Stat>();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? statOf(name) : undefined;
    if (stat !== undefined) stats.set(Number(name), stat);
  }
  let sum = 0;
  for (const [pid, stat] of stats) {
    let ancestor: number | undefined = pid;
    while (ancestor !== undefined && ancestor !== root) ancestor = stats.get(ancestor)?.parent;
    if (ancestor === root) sum += stat.own + stat.reaped;
  }
  return sum;
}

export interface MachineCpu {
  /** Time of all programs. Interrupts are left out: they serve whoever has traffic, which is us. */
  readonly busy: number;
  /** Time that the hypervisor gave to somebody else. */
  readonly stolen: number;
}

export function machineCpu(): MachineCpu {
  const line = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0]!;
  const [, user, nice, system, , , , , steal] = line.split(/ +/).map(Number);
  return { busy: fromTicks(user! + nice! + system!), stolen: fromTicks(steal ?? 0) };
}

export interface Memory {
  readonly rss: number;
  /** The largest that `rss` was since the start, or since `resetPeak`. */
  readonly peak: number;
}

export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/status`, 'latin1');
  const size = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) * 1024;
  return { rss: size('VmRSS'), peak: size('VmHWM') };
}

export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}
