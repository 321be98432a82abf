// The demo as a program of its own, to be killed: `node test/support/run-demo.ts '{"folder": …}'`. Its first line on
// standard output says where it is.
import { explain } from '../../bot/explain.ts';
import { stopOnSignals } from '../../bot/main.ts';
import { startDemo } from '../practice/demo.ts';

/** What a test tells the program. */
export interface RunDemoOptions {
  readonly folder: string;
  readonly chatPort: number;
  readonly httpPort: number;
  /** `host:port` of a shop that outlives the program. */
  readonly shopHost: string;
}

/** What the program says once it is ready. */
export interface RunDemoReady {
  readonly chatUrl: string;
  readonly databaseUrl: string;
}

// The test that starts this program wrote the argument.
const options = JSON.parse(process.argv[2] ?? '') as RunDemoOptions;
try {
  const env = { ...process.env, ALLOW_PRIVATE_TARGETS: options.shopHost };
  const demo = await startDemo({ ...options, shopPort: 0, env });
  stopOnSignals(demo.stop, () => {});
  const ready: RunDemoReady = { chatUrl: demo.chatUrl, databaseUrl: demo.app.databaseUrl };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exit(1);
}
