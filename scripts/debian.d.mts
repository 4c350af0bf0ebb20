/** Command → the Debian package that brings it. */
export const packages: Readonly<Record<string, string>>;
/** Where a command is, looking beside PATH into Debian's folders for PostgreSQL's programs. */
export function find(command: string): string | undefined;
/** Installs what is missing where that is possible; returns the commands that are missing all the same. */
export function ensure(commands: readonly string[]): string[];
