import { createHttp } from '../../adapters/http/index.ts';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import type { AgentMode } from '../../core/agent/engine.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { createRunner } from '../../core/operations/run.ts';
import type { Browser, BrowserSession } from '../../core/ports/browser.ts';
import type { RootKeys } from '../../core/ports/keys.ts';
import type { PageModel } from '../../core/ports/model.ts';
import type { getService } from '../../core/services/index.ts';
import type { WorkflowRegistry } from '../../core/workflow/registry.ts';
import { openTestBrowser } from './browser.ts';
import { type Core, openCore } from './core.ts';
import type { TestDatabase } from './database.ts';
import { silentLog } from './silent-log.ts';

/** A worker with a database connection and a browser of its own, as a process of `ROLE=worker` has them. */
export interface Worker {
  readonly core: Core;
  /** What it logged since it was last told to forget that. */
  readonly said: readonly string[];
  forget(): void;
  /** One job of that operation. */
  run(operation: Operation, signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface WorkerOptions {
  /** The shop's `host:port`, or more of them with commas. */
  readonly target: string;
  /** Where services are looked up; every service as it is when absent. */
  readonly serviceOf?: typeof getService;
  /** Stands between the runner and the real session, for a worker that is slow or frozen at some action. */
  wrap?(session: BrowserSession): BrowserSession;
  /** Asked at every step, unless `mode` says otherwise. */
  readonly model?: PageModel;
  /** How steps are decided; as `AGENT_MODE` says when absent: `vision` with a model, else `ladder`. */
  readonly mode?: AgentMode;
  /** Those of the installation; the tests' own when absent. */
  readonly rootKeys?: RootKeys;
  /** What its version knows; this version's when absent. */
  readonly workflows?: WorkflowRegistry;
}

export async function openWorker(
  database: Pick<TestDatabase, 'programUrl'>,
  { target, serviceOf, wrap = (session) => session, model, mode, workflows, rootKeys }: WorkerOptions,
): Promise<Worker> {
  const core = await openCore(database, {
    hasPageModel: model !== undefined,
    ...(serviceOf ? { serviceOf } : {}),
    ...(rootKeys ? { rootKeys } : {}),
  });
  const tools = openTestBrowser({ privateTargets: target.split(',') });
  const browser: Browser = {
    open: async (options) => wrap(await tools.browser.open(options)),
    close: () => tools.close(),
  };
  const said: string[] = [];
  const say = (_: object, words: string) => void said.push(words);
  const runner = createRunner({
    ...core,
    ...(workflows ? { workflows } : {}),
    browser,
    http: createHttp({ egress: tools.egress }),
    screenshots: createScreenshots(core),
    log: { ...silentLog, info: say, warn: say, error: say },
    secrets: { add() {}, remove() {} },
    agentMode: mode ?? (model ? 'vision' : 'ladder'),
    ...(model ? { pages: { model, limits: { perOperationUsd: 1, perMonthUsd: 50 } } } : {}),
  });
  const never = new AbortController().signal;
  return {
    core,
    said,
    forget: () => void said.splice(0),
    run: ({ customerId, id }, signal = never) => runner.run({ customerId, operationId: id }, signal),
    close: async () => {
      await browser.close();
      await core.close();
    },
  };
}
