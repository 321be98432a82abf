import type { PictureType } from '../../adapters/browser/annotate.ts';
import { createBrowser, createEgress } from '../../adapters/browser/index.ts';
import type { Browser } from '../../core/ports/browser.ts';
import type { Egress } from '../../core/ports/egress.ts';
import type { Log } from '../../core/ports/log.ts';
import { silentLog } from './silent-log.ts';

export interface TestBrowser {
  readonly browser: Browser;
  readonly egress: Egress;
  close(): Promise<void>;
}

/** The real browser and the real proxy; `privateTargets` are the loopback `host:port` that the test serves. */
export function openTestBrowser(options: {
  privateTargets: readonly string[];
  pictureType?: PictureType;
  log?: Log;
}): TestBrowser {
  const log = options.log ?? silentLog;
  const egress = createEgress({ privateTargets: options.privateTargets, log });
  const chromiumPath = process.env.CHROMIUM_PATH;
  const browser = createBrowser({
    egress,
    mayInstall: true,
    log,
    ...(chromiumPath === undefined ? {} : { chromiumPath }),
    ...(options.pictureType ? { pictureType: options.pictureType } : {}),
  });
  return { browser, egress, close: () => browser.close() };
}
