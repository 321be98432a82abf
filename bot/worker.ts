// What a worker does, beside a bot or by itself: operations in a browser, and what is done by the clock.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBrowser, openNetworkEgress, openRemoteBrowser } from '../adapters/browser/index.ts';
import type { SharedLimits } from '../core/limits.ts';
import { gatherNotices } from '../core/notices/gather.ts';
import { createParking } from '../core/operations/parking.ts';
import { createRunner, type RunnerDeps } from '../core/operations/run.ts';
import type { Browser } from '../core/ports/browser.ts';
import type { Egress } from '../core/ports/egress.ts';
import type { Http } from '../core/ports/http.ts';
import type { Log } from '../core/ports/log.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { Config } from './config.ts';
import type { Foundation } from './foundation.ts';
import { startHealth } from './live.ts';
import { pagesFor } from './models.ts';

const UPKEEP_SECONDS = 3600;

export interface WorkerDeps {
  readonly foundation: Foundation;
  readonly egress: Egress;
  readonly http: Http;
  readonly sharedLimits: SharedLimits;
  readonly metrics: Metrics;
  /** What a platform says of who approved; absent where none is connected: they are as they were at their click. */
  readonly identify?: RunnerDeps['identify'];
  /** Of a demo, which gets itself a browser and keeps it at hand. */
  readonly mayInstall: boolean;
  readonly keepWarm: boolean;
  /** For jobs that are being handed back. */
  readonly drainMs: number;
}

export async function startWorker(config: Config, deps: WorkerDeps, ending: (() => Promise<unknown>)[]): Promise<void> {
  const { foundation, http, sharedLimits, metrics, drainMs } = deps;
  const identify = deps.identify ? { identify: deps.identify } : {};
  const { log, secrets, database, audit, vault, queue, directory, repairs } = foundation;
  const { operations, consents, mover, workflows, screenshots } = foundation;
  const browser = (await remoteBrowser(config, log, ending)) ?? (await localBrowser(config, deps));
  ending.push(() => browser.close());
  const parking = createParking(database);
  ending.push(() => parking.close());
  const runner = createRunner({
    ...{ queue, parking, atOnce: config.limits.operationsAtOnce },
    ...identify,
    database,
    audit,
    vault,
    consents,
    operations,
    mover,
    workflows,
    agentMode: config.agent.mode,
    browser,
    http,
    screenshots,
    log,
    secrets,
    ...pagesFor(config, log, metrics),
  });
  await queue.workUpkeep(UPKEEP_SECONDS, async () => {
    const { rotated, failed } = await foundation.keyRotation.upkeep(config.retention.keyRotationDays);
    if (rotated > 0) log.info({ rotated }, 'keys of customers were rotated');
    for (const { customerId, error } of failed)
      log.warn({ code: 'key_rotation', customerId, cause: String(error) }, 'a key could not be rotated');
    const replaced = await repairs.rotateDue();
    if (replaced.count > 0) log.info({ begun: replaced.count }, 'keys of connections were due to be replaced');
    for (const { customerId, error } of replaced.failed)
      log.warn({ code: 'repair', customerId, cause: String(error) }, 'keys that are due could not be looked at');
    await sharedLimits.prune();
    await gatherNotices({ ...foundation, ...identify });
    for (const customerId of await directory.customers())
      await foundation.inbox
        .forget(customerId)
        .catch((err: unknown) => log.warn({ customerId, err }, 'answered events could not be forgotten yet'));
  });
  await startHealth(config, foundation, http, ending);
  const { operationsAtOnce: atOnce } = config.limits;
  await queue.workOperations(config.agent.workerConcurrency, (job, signal) => runner.run(job, signal), atOnce);
  // Before the browser goes.
  ending.push(() => {
    runner.drain();
    return queue.stop(drainMs);
  });
}

function localBrowser(config: Config, { foundation, egress, mayInstall, keepWarm }: WorkerDeps): Promise<Browser> {
  const { folder, log } = foundation;
  const { chromiumPath } = config.agent;
  return openBrowser({
    egress,
    log,
    chromiumFolder: join(folder, 'chromium'),
    ownersFolder: join(tmpdir(), 'countersign-browsers'),
    mayInstall,
    keepWarm,
    ...(chromiumPath ? { chromiumPath } : {}),
    ...(config.isProduction ? { requireSandbox: true } : {}),
  });
}

/** Browsers of a farm, where one is configured: proven to leave through our proxy before anything else is done with them. */
async function remoteBrowser(
  { agent: { browserWsEndpoint: endpoint, egressProxyUrl: url }, targets }: Config,
  log: Log,
  ending: (() => Promise<unknown>)[],
): Promise<Browser | undefined> {
  if (endpoint === undefined || url === undefined) return undefined;
  const egress = await openNetworkEgress({ url, privateTargets: targets.private, log });
  ending.push(() => egress.close());
  return openRemoteBrowser({ endpoint, egress, log });
}
