import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
        z.object({ ancestorTitles: z.array(z.string()), title: z.string(), status: z.string() }),
      ),
    }),
  ),
});

/**
 * Runs the tests whose title, or whose describe's title, begins with a number. `numbers` absent: all of them. `isWhole`: those
 * that are shortened in `npm test` are not.
 * @throws Error when a file could not be run at all, with what vitest said.
 */
export async function runAttacks(
  root: string,
  files: readonly string[],
  numbers?: readonly number[],
  isWhole = false,
): Promise<readonly AttackResult[]> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-report-'));
  const output = join(folder, 'report.json');
  const pattern = `(^| )(${numbers?.join('|') ?? '\\d+'}) `;
  try {
    const said = await vitest(root, isWhole, [...files, '-t', pattern, '--reporter=json', `--outputFile=${output}`]);
    let report: z.infer<typeof reportSchema>;
    try {
      report = reportSchema.parse(JSON.parse(readFileSync(output, 'utf8')));
    } catch (cause) {
      throw new Error(`vitest left no report: ${said.slice(-2_000)}`, { cause });
    }
    return report.testResults.flatMap(({ name, message, assertionResults }) => {
      if (assertionResults.length === 0 && message) throw new Error(`${name} could not run: ${message}`);
      return assertionResults.flatMap(({ ancestorTitles, title, status }) => {
        const number = numberOf([...ancestorTitles, title]);
        const isWanted = number !== undefined && (numbers === undefined || numbers.includes(number));
        return isWanted && ['passed', 'failed'].includes(status)
          ? [{ number, title, isPassed: status === 'passed' }]
          : [];
      });
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function numberOf(titles: readonly string[]): number | undefined {
  const found = titles.map((title) => /^(\d{1,3}) /.exec(title)?.[1]).find((number) => number !== undefined);
  return found === undefined ? undefined : Number(found);
}

/** @returns what it printed; whether tests failed is read from its report. */
function vitest(root: string, isWhole: boolean, args: readonly string[]): Promise<string> {
  const child = spawn(
    process.execPath,
    [join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--root', root, ...args],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...(isWhole ? { COUNTERSIGN_ATTACKS: 'whole' } : {}) },
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
