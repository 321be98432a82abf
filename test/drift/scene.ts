import { createHttp } from '../../adapters/http/index.ts';
import type { BrowserSession } from '../../core/ports/browser.ts';
import { woocommerce } from '../../core/services/woocommerce/index.ts';
import { knownElements } from '../../core/workflow/known.ts';
import { createWorkflowRegistry } from '../../core/workflow/registry.ts';
import { type RecordingRun, recordingRun } from '../core/agent/recording-run.ts';
import { type PracticeShop, type PracticeShopOptions, startPracticeShop } from '../practice/woocommerce/server.ts';
import { openTestBrowser } from '../support/browser.ts';

const WORKFLOW_ID = 'woocommerce_api_key_generation';
export const workflow = createWorkflowRegistry().getDefinition(WORKFLOW_ID);

/** A practice shop of its own, a real browser that is on it, and a run of the WooCommerce workflow to be played there. */
export interface DriftScene extends RecordingRun {
  readonly shop: PracticeShop;
  readonly session: BrowserSession;
  close(): Promise<void>;
}

export async function openScene(options: PracticeShopOptions): Promise<DriftScene> {
  const shop = await startPracticeShop(options);
  const tools = openTestBrowser({ privateTargets: [new URL(shop.origin).host] });
  const close = async () => {
    await tools.close();
    await shop.close();
  };
  try {
    const session = withoutPictures(await tools.browser.open({ origins: [shop.origin] }));
    const http = createHttp({ egress: tools.egress });
    const type = woocommerce.operationTypes.api_key_generation;
    const recording = recordingRun({
      session,
      base: shop.origin,
      secrets: { admin_username: shop.username, admin_password: shop.password },
      obstacles: workflow.errorRecovery,
      known: knownElements(workflow),
      verify: async (credential) => {
        const input = { base: shop.origin, origin: shop.origin, credential, permissions: ['read_shop'], http };
        return (await type?.verify(input)) ?? { kind: 'fails', reason: 'no such type', isRetryable: false };
      },
    });
    return { ...recording, shop, session, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What is found is the same without them, and takes half the time. */
function withoutPictures(session: BrowserSession): BrowserSession {
  const drawn = Promise.resolve({ kind: 'withheld', reason: 'none is needed here' } as const);
  return { ...session, shoot: async () => ({ drawn }) };
}
