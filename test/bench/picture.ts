import { join } from 'node:path';
import { createBrowser, createEgress } from '../../adapters/browser/index.ts';
import { runStep } from '../../core/agent/engine.ts';
import type { Browser, BrowserSession, Locator } from '../../core/ports/browser.ts';
import { Secret } from '../../core/secret.ts';
import { createWorkflowRegistry } from '../../core/workflow/registry.ts';
import { recordingRun } from '../core/agent/recording-run.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { silentLog } from '../support/silent-log.ts';
import type { Benchmark } from './benchmark.ts';
import { repeat, timed } from './samples.ts';

const CHROMIUM_FOLDER = join(import.meta.dirname, '../../.countersign/chromium');
const GENERATE: Locator = { by: 'role', role: 'button', name: 'Generate API key' };

/** One picture as every step takes one: what is secret masked, the element boxed, address and caption drawn. */
export const picture: Benchmark = {
  name: 'picture',
  async run(bench) {
    const start = () => startPracticeShop({ obstacles: { adminEmailCheck: false } });
    const { it: shop, close: closeShop } = await bench.open(start, (started) => started.close());
    const makeBrowser = () => openBrowser(shop);
    const { it: browser, close: closeBrowser } = await bench.open(makeBrowser, (made) => made.close());
    const session = await browser.open({ origins: [shop.origin] });
    await fillKeyForm(session, shop);
    const limits = bench.isSlice ? { times: 8, withinMs: 6_000 } : { times: 50, withinMs: 60_000 };
    await takeOne(session, shop);
    const values = await repeat(limits, () => timed(() => takeOne(session, shop)));
    await closeBrowser();
    await closeShop();
    return [{ what: 'picture of the key form, masked and annotated', unit: 'ms', values }];
  },
};

function openBrowser(shop: PracticeShop): Browser {
  const egress = createEgress({ privateTargets: [new URL(shop.origin).host], log: silentLog });
  const chromiumPath = process.env.CHROMIUM_PATH;
  const options = { egress, log: silentLog, chromiumFolder: CHROMIUM_FOLDER };
  return createBrowser({ ...options, mayInstall: true, ...(chromiumPath ? { chromiumPath } : {}) });
}

/** The workflow's own steps, up to the one that generates the key. */
async function fillKeyForm(session: BrowserSession, shop: PracticeShop): Promise<void> {
  const workflow = createWorkflowRegistry().getDefinition('woocommerce_api_key_generation');
  const secrets = { admin_username: shop.username, admin_password: shop.password };
  const { run } = recordingRun({ session, base: shop.origin, secrets, obstacles: workflow.errorRecovery });
  const generating = workflow.steps.findIndex((step) => step.kind === 'extract');
  for (const step of workflow.steps.slice(0, generating)) {
    const result = await runStep(step, run);
    if (result.kind === 'failed') throw new Error(`step ${step.order}: ${result.words}`);
  }
}

async function takeOne(session: BrowserSession, shop: PracticeShop): Promise<void> {
  const button = await session.find([GENERATE], { timeoutMs: 5_000 });
  if (button.kind !== 'found' || !button.element.box) throw new Error('the key form is not there');
  const result = await session.picture({
    secrets: [new Secret(shop.username), new Secret(shop.password)],
    isRevealing: false,
    highlight: button.element.box,
    caption: { number: 9, sentence: 'Generate the key and put it into the vault', detail: '10:04:09 · replayed' },
  });
  if (result.kind !== 'taken') throw new Error(`the picture was withheld: ${result.reason}`);
}
