import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { World } from '../world.ts';
import { tellOfAudit } from './audit.ts';
import { tellOfCode } from './code.ts';
import { tellOfDatabase } from './database.ts';
import { tellOfInterface } from './http.ts';
import { type Step, TourError } from './stage.ts';

/** Tells the whole story with real clients and the command line, checking each step. False when one failed. */
export async function tour(world: World, tell: (line: string) => void): Promise<boolean> {
  const scratch = mkdtempSync(join(tmpdir(), 'sallyport-tour-'));
  const step: Step = async (what, work) => {
    tell(`\n▸ ${what}`);
    tell(`  ✓ ${await work()}`);
  };
  try {
    const session = await tellOfDatabase(world, step);
    await tellOfInterface(world, step);
    await tellOfCode(world, scratch, step);
    await tellOfAudit(world, session, scratch, step);
    tell('\nEvery step did what it said.');
    return true;
  } catch (error) {
    if (!(error instanceof TourError)) throw error;
    tell(`  ✗ ${error.message}`);
    return false;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
