import { createEnvironmentRootKeys } from '../../adapters/keys/index.ts';

/** The root key of every test; never one that anything real was sealed with. */
export const TEST_ENCRYPTION_KEY = Buffer.from(Array.from({ length: 32 }, (_, at) => 7 * at + 1)).toString('base64');

export const testRootKeys = createEnvironmentRootKeys({ current: TEST_ENCRYPTION_KEY, old: [] });
