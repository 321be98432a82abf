import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { z } from 'zod';

export interface AttackResult {
  readonly number: number;
  readonly title: string;
  readonly isPassed: boolean;
}

/** What we read of vitest's JSON report. */
const reportSchema = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      message: z.string().optional(),
      assertionResults: z.array(
        z.object({
          ancestorTitles: z.array(z.string()),
          title: z.string(),
          status: z.string(),
          failureMessages: z.array(z.string()).nullish(),
        }),
      ),
    }),
  ),
});

/** A test that ran to its end. */
export interface TestResult {
  /** From the project's root. */
  readonly file: string;
  /** Of its describes, from outside in, and its own. */
  readonly titles: readonly string[];
  readonly isPassed: boolean;
  /** What failed it, each with its stack. */
  readonly failures: readonly string[];
}

export interface TestRun {
  readonly files: readonly string[];
  /** What the titles of a test, joined by spaces, have to match. */
  readonly pattern?: string;
  /** No further test is begun once one has failed. */
  readonly isOverAtFirst?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** It is given up then. */
  readonly timeoutMs?: number;
}

/**
 * Runs tests of the project at `root`, which may be a copy.
 * @throws Error when a file could not be run at all, with what vitest said.
 */
export async function runTests(root: string, run: TestRun): Promise<readonly TestResult[]> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-report-'));
  const output = join(folder, 'report.json');
  const named = run.pattern === undefined ? [] : ['-t', run.pattern];
  const bail = run.isOverAtFirst ? ['--bail', '1'] : [];
  try {
    const args = [...run.files, ...named, ...bail, '--reporter=json', `--outputFile=${output}`];
    const said = await vitest(root, run, args);
    let report: z.infer<typeof reportSchema>;
    try {
      report = reportSchema.parse(JSON.parse(readFileSync(output, 'utf8')));
    } catch (cause) {
      throw new Error(`vitest left no report: ${said.slice(-2_000)}`, { cause });
    }
    return report.testResults.flatMap(({ name, message, assertionResults }) => {
      if (assertionResults.length === 0 && message) throw new Error(`${name} could not run: ${message}`);
      return assertionResults.flatMap(({ ancestorTitles, title, status, failureMessages }) =>
        ['passed', 'failed'].includes(status)
          ? [
              {
                file: relative(root, name),
                titles: [...ancestorTitles, title],
                isPassed: status === 'passed',
                failures: failureMessages ?? [],
              },
            ]
          : [],
      );
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Runs the tests whose title, or whose describe's title, begins with a number. `numbers` absent: all of them. `isWhole`: those
 * that are shortened in `npm test` are not.
 * @throws Error as `runTests` does.
 */
export async function runAttacks(
  root: string,
  files: readonly string[],
  numbers?: readonly number[],
  isWhole = false,
): Promise<readonly AttackResult[]> {
  const pattern = `(^| )(${numbers?.join('|') ?? '\\d+'}) `;
  const results = await runTests(root, { files, pattern, env: isWhole ? { COUNTERSIGN_ATTACKS: 'whole' } : {} });
  return results.flatMap(({ titles, isPassed }) => {
    const number = numberOf(titles);
    const isWanted = number !== undefined && (numbers === undefined || numbers.includes(number));
    return isWanted ? [{ number, title: titles.at(-1) ?? '', isPassed }] : [];
  });
}

function numberOf(titles: readonly string[]): number | undefined {
  const found = titles.map((title) => /^(\d{1,3}) /.exec(title)?.[1]).find((number) => number !== undefined);
  return found === undefined ? undefined : Number(found);
}

/** @returns what it printed; whether tests failed is read from its report. */
function vitest(root: string, { env = {}, timeoutMs }: TestRun, args: readonly string[]): Promise<string> {
  const child = spawn(
    process.execPath,
    [join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--root', root, ...args],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      ...(timeoutMs === undefined ? {} : { timeout: timeoutMs, killSignal: 'SIGINT' }), // so that it removes what it made
    },
  );
  const parts: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => parts.push(part));
  child.stderr.on('data', (part: Buffer) => parts.push(part));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve(Buffer.concat(parts).toString('utf8')));
  });
}
