import { createScreenshots } from '../../adapters/screenshots/index.ts';
import { createRunner, type Runner, type RunnerDeps } from '../../core/operations/run.ts';
import type { Browser } from '../../core/ports/browser.ts';
import type { Http } from '../../core/ports/http.ts';
import type { Core } from './core.ts';
import { silentLog } from './silent-log.ts';

/** A worker for ways that open no page. */
export function runnerWithoutBrowser(core: Core & Pick<RunnerDeps, 'identify'>, http: Http): Runner {
  const browser: Browser = {
    open: () => Promise.reject(new Error('a browser was opened')),
    close: async () => {},
  };
  const screenshots = createScreenshots(core);
  return createRunner({ ...core, browser, http, screenshots, log: silentLog, secrets: { add() {}, remove() {} } });
}
