import { registerHooks } from 'node:module';
import { parseArgs } from 'node:util';
import { createLogger } from '../src/logger.ts';

/**
 * The gateway as the process of its own that is measured: `gateway-process.ts [--without-recording] CONFIG`. Tells its parent
 * its ports; ends on SIGTERM or when the parent is gone.
 */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'without-recording': { type: 'boolean', default: false } },
});

// What recording costs can only be seen against a gateway without it, which the product does not offer.
if (values['without-recording']) {
  registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context);
      if (!resolved.url.endsWith('/src/recording/recorder.ts')) return resolved;
      return { ...resolved, url: new URL('./no-recorder.ts', import.meta.url).href };
    },
  });
}

const { start } = await import('../src/main.ts');
const running = await start(positionals[0]!, createLogger({ pretty: true }));
let stopping = false;
const stop = () => {
  if (stopping) return;
  stopping = true;
  running.stop().then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`gateway: ${String(error)}\n`);
      process.exit(1);
    },
  );
};
process.on('SIGTERM', stop);
process.on('disconnect', stop);
// Ctrl-C reaches the whole group of processes; the parent stops this one in its turn.
process.on('SIGINT', () => undefined);
void running.failed.then((error) => {
  process.stderr.write(`gateway: ${error.message}\n`);
  process.exit(1);
});
process.send?.({ ports: Object.fromEntries(Object.entries(running.addresses).map(([key, { port }]) => [key, port])) });
