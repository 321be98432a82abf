import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** SPDX ids. What they ask for, an installation from npm keeps: the packages' own texts stay beside them. */
const ALLOWED = new Set([
  ...['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'BlueOak-1.0.0', 'CC0-1.0', 'Unlicense'],
  // Of their own files alone, which are used as they are: the one in tests, the other in Prisma's own command line.
  ...['MPL-2.0', 'EPL-2.0'],
]);
/** Packages whose manifest doesn't say it as SPDX does, and what their own text says; read by a person. */
const READ: Readonly<Record<string, string>> = {
  'seq-queue@0.0.5': 'MIT',
  '@visx/vendor@4.0.0-alpha.0': 'MIT AND ISC',
};

const lockSchema = z.object({
  packages: z.record(z.string(), z.object({ version: z.string(), license: z.string().optional() })),
});
const manifestSchema = z.object({ version: z.string(), license: z.unknown().optional() });

/** Packages of the lock file whose licence is not on the list, or is another one in their own manifest, in words. */
export function licenceProblems(root: string): readonly string[] {
  const read = (path: string): unknown => JSON.parse(readFileSync(join(root, path), 'utf8'));
  const { packages } = lockSchema.parse(read('package-lock.json'));
  return Object.entries(packages).flatMap(([path, { version, license }]) => {
    if (path === '') return [];
    const name = `${path.replace(/^.*node_modules\//, '')}@${version}`;
    const said = READ[name] ?? license;
    if (said === undefined || !isAllowed(said)) return [`${name}: ${said ?? 'no licence is named'}`];
    const manifest = `${path}/package.json`;
    if (!existsSync(join(root, manifest))) return []; // for another platform
    const installed = manifestSchema.parse(read(manifest));
    return name in READ || installed.license === license
      ? []
      : [`${name}: ${license} in the lock file, ${JSON.stringify(installed.license)} in its manifest`];
  });
}

/** SPDX expressions as packages write them: `(MIT OR CC0-1.0)`; of a choice one is enough. */
function isAllowed(expression: string): boolean {
  const plain = expression.replaceAll(/[()]/g, '');
  return plain.split(' OR ').some((choice) => choice.split(' AND ').every((id) => ALLOWED.has(id)));
}

if (import.meta.main) {
  const problems = licenceProblems(join(import.meta.dirname, '../..'));
  for (const problem of problems) process.stdout.write(`${problem}\n`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
