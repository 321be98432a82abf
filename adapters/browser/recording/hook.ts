import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

const OWN = new URL('.', import.meta.url).href;
const RECORDER = new URL('index.ts', OWN).href;
const FOR_REQUIRE = new URL('for-require.cjs', OWN).href;
const SPECIFIERS = ['countersign/recording', 'playwright/test', '@playwright/test'];

/**
 * Specs from anywhere get our fixture for Playwright's own `test`: there must be one runner in a process. Playwright
 * turns the imports of specs that are no ES modules into `require`, which gets the same fixture by another door.
 */
registerHooks({
  resolve(specifier, context, next) {
    const from = context.parentURL ?? '';
    const isSpecs = !from.startsWith(OWN) && !from.includes('/node_modules/');
    const resolved = isSpecs && SPECIFIERS.includes(specifier) ? { url: RECORDER } : next(specifier, context);
    if (resolved.url !== RECORDER) return resolved;
    return context.conditions.includes('require') ? next(fileURLToPath(FOR_REQUIRE), context) : next(RECORDER, context);
  },
});

Object.assign(globalThis, { [Symbol.for('countersign.recording')]: await import('./index.ts') });
