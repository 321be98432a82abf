import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    reporters: ['default', './test/support/count-reporter.ts'],
    pool: 'forks',
    // Most of a test is waiting, for PostgreSQL, Chromium and what they wait for: more of them than cores.
    maxWorkers: Math.min(4, Math.max(3, availableParallelism())),
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
