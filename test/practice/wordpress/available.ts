import { describe, expect, test } from 'vitest';
import type { Packages } from './packages.ts';
import { wordPressPackages } from './packages.ts';

/**
 * Tests that need a real WordPress. Where none can be had, one test stands for them, and its title says why; on Debian in CI
 * that is an error instead.
 */
export async function withWordPress(name: string, tests: (packages: Packages) => void): Promise<void> {
  const found = await wordPressPackages();
  if ('packages' in found) return void describe(name, () => tests(found.packages));
  test(`${name}: left out. ${found.missing}`, () => expect(found.missing).not.toBe(''));
}
