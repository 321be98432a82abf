import type { Reporter, TestModule } from 'vitest/node';

/**
 * Ends a run with what failed, a line each (`failed: test/a.test.ts · title: what was said`), and then one plain line:
 * `12 passed, 0 failed`, and how many were skipped if any. CI reads both.
 */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const count = { passed: 0, failed: unhandled.length, skipped: 0 };
    const failed: string[] = unhandled.map((error) => failureLine('no file', 'beside the tests', error));
    for (const module of modules) {
      const file = module.relativeModuleId;
      // A file that could not be read counts as one failure: its tests are unknown.
      if (module.errors().length > 0) {
        count.failed++;
        failed.push(failureLine(file, 'the file itself', module.errors()[0]));
      }
      for (const test of module.children.allTests()) {
        const { state, errors } = test.result();
        if (state === 'passed') count.passed++;
        else if (state === 'failed') {
          count.failed++;
          failed.push(failureLine(file, test.fullName, errors[0]));
        } else count.skipped++;
      }
    }
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
    console.log(
      `\n${failed.map((line) => `${line}\n`).join('')}${count.passed} passed, ${count.failed} failed${skipped}`,
    );
  }
}

function failureLine(file: string, title: string, error: unknown): string {
  const message =
    typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
  return `failed: ${file} · ${title}: ${message.split('\n', 1)[0]?.slice(0, 300)}`;
}
