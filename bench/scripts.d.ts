// The set-up scripts run under any Node and are plain JavaScript; this is what the benchmark calls of them.
declare module '*/scripts/debian.mjs' {
  export function find(command: string): string | undefined;
}
