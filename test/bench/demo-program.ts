/**
 * `node demo-program.ts FOLDER`: the demo as `npm run demo` starts it, but on free ports and in that folder. Prints `ready`, and stops
 * in order when its input ends, as it does when whoever started it dies.
 */
import { stopOnSignals } from '../../bot/main.ts';
import { startDemo } from '../practice/demo.ts';

const demo = await startDemo({ folder: process.argv[2] ?? '', chatPort: 0, httpPort: 0, shopPort: 0, env: {} });
stopOnSignals(demo.stop, () => {});
process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM')).resume();
process.stdout.write('ready\n');
