// npm run demo: sets everything up, then starts the demonstration. Arguments: --tour, --reset; see --help.
import { join } from 'node:path';
import { runToEnd } from './run.mjs';
import { root, setUp } from './setup.mjs';

setUp();
runToEnd(join(root, 'bin/sallyport.mjs'), ['demo', ...process.argv.slice(2)]);
