import type { Command } from 'commander';
import { parseDuration } from '../model/duration.ts';
import type { Context, GlobalOptions } from './context.ts';
import { exitCodes, Failure } from './exit.ts';
import type { Terminal } from './terminal.ts';

/** Adds a group of commands to the program. */
export type Commands = (program: Command, terminal: Terminal) => void;

/** The context of a command that is running. */
export function contextOf(command: Command, terminal: Terminal): Context {
  return { terminal, options: command.optsWithGlobals<GlobalOptions>() };
}

/** Examples under a command's help. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}\n`;
}

export function count(text: string): number {
  const number = Number(text);
  if (/^\d{1,7}$/.test(text) && number > 0) return number;
  throw new Failure(exitCodes.usage, `expected a number, got ${JSON.stringify(text)}`);
}

export function offset(text: string): number {
  return text === '0' ? 0 : count(text);
}

export function durationOption(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw new Failure(exitCodes.usage, `expected a duration such as 30s, 15m or 8h, got ${JSON.stringify(text)}`);
}

/** For options that may be given several times. */
export function repeated(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

/** An object without the keys that are undefined. */
export function given<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
