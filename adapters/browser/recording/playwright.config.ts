import { basename, dirname } from 'node:path';
import { defineConfig } from 'playwright/test';
import { VIEWPORT } from '../annotate.ts';

const env = (name: string) => process.env[`COUNTERSIGN_RECORDING_${name}`] ?? '';
const spec = env('SPEC');
const escaped = basename(spec).replace(/[.*+?^$()[\]{}|\\]/g, '\\$&');

/** One spec, test after test, once each: what is recorded is what a run will do. */
export default defineConfig({
  testDir: dirname(spec),
  testMatch: new RegExp(`(^|[\\\\/])${escaped}$`),
  outputDir: env('OUTPUT'),
  workers: 1,
  retries: 0,
  fullyParallel: false,
  reporter: 'line',
  timeout: 120_000,
  use: {
    browserName: 'chromium',
    headless: true,
    viewport: VIEWPORT,
    locale: 'en-US',
    actionTimeout: 15_000,
    navigationTimeout: 30_000,
    screenshot: 'off',
    video: 'off',
    trace: 'off',
    launchOptions: { executablePath: env('CHROMIUM'), args: JSON.parse(env('ARGUMENTS') || '[]') },
    ...(env('BASE') === '' ? {} : { baseURL: env('BASE') }),
  },
});
