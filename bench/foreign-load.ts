import { availableParallelism } from 'node:os';
import { cpuOfTree, machineCpu } from './proc.ts';

/** How much of the machine's CPU, in percent, was not ours: other programs, and other guests of the hypervisor. */
export interface ForeignLoad {
  readonly programs: number;
  readonly stolen: number;
}

/** Whether somebody else's work was too much, in any of the runs, for their figures to say anything. */
export function disturbed(loads: readonly ForeignLoad[]): boolean {
  return loads.some(({ programs, stolen }) => programs + stolen > 10);
}

/** Starts looking; the result of the call ends it. What this process and its children use counts as ours. */
export function watchForeignLoad(): () => ForeignLoad {
  const look = () => ({ at: performance.now(), ours: cpuOfTree(process.pid), all: machineCpu() });
  const before = look();
  return () => {
    const after = look();
    const available = (after.at - before.at) * 1000 * availableParallelism();
    const programs = after.all.busy - before.all.busy - (after.ours - before.ours);
    return {
      programs: (Math.max(0, programs) / available) * 100,
      stolen: ((after.all.stolen - before.all.stolen) / available) * 100,
    };
  };
}
