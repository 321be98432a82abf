import { createEnvironmentRootKeys } from '../../adapters/keys/index.ts';

/** The root key of every test; never one that anything real was sealed with. */
export const TEST_ENCRYPTION_KEY = Buffer.alloc(32, 7).toString('base64');

export const testRootKeys = createEnvironmentRootKeys({ current: TEST_ENCRYPTION_KEY, old: [] });
