// A worker as bot/main.ts starts one for `ROLE=worker`, but on the simulated browser: `node simulated-worker.ts '{"cpuMs": …, "waitMs": …}'`.
import { createEgress } from '../../../adapters/browser/index.ts';
import { createHttp } from '../../../adapters/http/index.ts';
import { readConfig } from '../../../bot/config.ts';
import { explain } from '../../../bot/explain.ts';
import { openFoundation } from '../../../bot/foundation.ts';
import { stopOnSignals } from '../../../bot/main.ts';
import { createParking } from '../../../core/operations/parking.ts';
import { createRunner } from '../../../core/operations/run.ts';
import { createSimulatedBrowser, type SimulatedStep } from './simulated-browser.ts';

const DRAIN_MS = 20_000; // as bot/main.ts

try {
  // The suite that starts this program wrote the argument.
  const step = JSON.parse(process.argv[2] ?? '') as SimulatedStep;
  const config = readConfig(process.env);
  const ending: (() => Promise<unknown>)[] = [];
  const foundation = await openFoundation(config, {}, ending);
  const { database, queue, log, workflows } = foundation;
  await queue.start();
  const parking = createParking(database);
  const runner = createRunner({
    ...foundation,
    ...{ parking, agentMode: config.agent.mode, atOnce: config.limits.operationsAtOnce },
    browser: createSimulatedBrowser(workflows.getDefinition('woocommerce_api_key_generation'), step),
    http: createHttp({ egress: createEgress({ privateTargets: config.targets.private, log }) }),
  });
  const { operationsAtOnce: atOnce } = config.limits;
  await queue.workOperations(config.agent.workerConcurrency, (job, signal) => runner.run(job, signal), atOnce);
  ending.push(
    () => parking.close(),
    () => queue.stop(DRAIN_MS),
  );
  stopOnSignals(
    async () => {
      for (const end of ending.splice(0).reverse()) await end().catch(() => {});
    },
    () => {},
  );
  process.stderr.write('Countersign is ready.\n');
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exit(1);
}
