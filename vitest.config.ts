import { availableParallelism } from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';
import { BaseSequencer } from 'vitest/node';
import { IS_WHOLE } from './test/support/whole.ts';

/** Minutes of machine time each, for what other tests cover in part: `npm run test:whole` goes through them as well. */
const LONG = [
  'test/core/control-running.test.ts',
  'test/core/fairness.test.ts',
  'test/e2e/roles.test.ts',
  'test/e2e/control.test.ts',
  'test/e2e/drain.test.ts',
  'test/e2e/restart.test.ts',
  'test/e2e/together.test.ts',
  'test/e2e/hand-over.test.ts',
  'test/e2e/slack-program.test.ts',
  'test/e2e/stop.test.ts',
  'test/e2e/stripe.test.ts',
  'test/e2e/teams-program.test.ts',
  'test/e2e/wordpress.test.ts',
  'test/e2e/services-stress.test.ts',
  'test/e2e/woocommerce-key.test.ts',
  'test/bot/workflow-cli.test.ts',
  'test/bot/together.test.ts',
  'test/adapters/web.test.ts',
  'test/adapters/slack-oauth.test.ts',
  'test/e2e/slack-oauth.test.ts',
  'test/e2e/keep-working.test.ts',
  'test/e2e/keep-working-wordpress.test.ts',
  'test/e2e/shopify.test.ts',
  'test/e2e/approvals.test.ts',
  'test/e2e/woocommerce-grant.test.ts',
  'test/practice/shopify.test.ts',
  'test/practice/consented-power.test.ts',
  'test/adapters/postgres.test.ts',
  'test/attack/two-workers.test.ts',
  'test/attack/flood.test.ts',
  'test/add-a-service.test.ts',
  'test/e2e/shopify-browser.test.ts',
];

/** Small files that take minutes: begun last, as small ones are, they would keep everybody waiting at the end. */
const EARLY = ['test/faults.test.ts', 'test/e2e/control.test.ts', 'test/add-a-service.test.ts'];

class EarlyFirst extends BaseSequencer {
  override async sort(files: Parameters<BaseSequencer['sort']>[0]): ReturnType<BaseSequencer['sort']> {
    const isEarly = ({ moduleId }: (typeof files)[number]) => EARLY.some((name) => moduleId.endsWith(name));
    const sorted = await super.sort(files);
    return [...sorted.filter(isEarly), ...sorted.filter((file) => !isEarly(file))];
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Files of recipes, which test/add-a-service.test.ts and test/recipes.test.ts run where they belong.
    exclude: [...configDefaults.exclude, 'test/example/**', 'test/example-platform/**', ...(IS_WHOLE ? [] : LONG)],
    globalSetup: ['test/support/global-setup.ts'],
    reporters: ['default', './test/support/count-reporter.ts'],
    sequence: { sequencer: EarlyFirst },
    pool: 'forks',
    // Most of a test is waiting, for PostgreSQL, Chromium and what they wait for: more of them than cores.
    maxWorkers: Math.min(4, Math.max(3, availableParallelism())),
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
