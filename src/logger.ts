import { pino } from 'pino';

export type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, string | number>) => void;

/**
 * The operator's log: one JSON object a line on stderr, or short lines for a person at a terminal. It is not the audit log:
 * nothing in it is evidence, and no secret and no value from a reply goes in.
 */
export function createLogger(options: { readonly pretty?: boolean; readonly level?: string } = {}): Log {
  if (options.pretty === true) {
    return (level, message, fields) => {
      if (level === 'info' && options.level !== 'info') return;
      const rest = fields === undefined ? '' : ` ${JSON.stringify(fields)}`;
      process.stderr.write(`sallyport: ${level}: ${message}${rest}\n`);
    };
  }
  // Synchronous: the last line before an exit is the one that is needed.
  const logger = pino({ level: options.level ?? 'info', base: null }, pino.destination({ dest: 2, sync: true }));
  return (level, message, fields) => logger[level](fields ?? {}, message);
}
