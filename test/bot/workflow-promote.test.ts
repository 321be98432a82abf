import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { unifiedDiff } from '../../bot/cli/unified-diff.ts';
import { runCli } from '../../bot/cli.ts';
import { newUuid } from '../../core/ids.ts';
import { createWorkflowRegistry } from '../../core/workflow/registry.ts';
import { knowledgeBaseSchema } from '../../core/workflow/workflow.ts';
import { alterationOf } from '../drift/alteration.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import {
  type Core,
  installShop,
  look,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { TEST_ENCRYPTION_KEY } from '../support/root-keys.ts';
import { IS_WHOLE } from '../support/whole.ts';
import { openWorker } from '../support/worker.ts';

const ID = 'woocommerce_api_key_generation';
const WORKFLOWS = join(import.meta.dirname, '..', '..', 'core', 'workflow');
/** No locator of step 4 finds "Log In" any more; gone through whole, nor does any find the parts of the key in step 9. */
const REWORDED = {
  name: 'a reworded sign-in button',
  isRecoverable: true,
  identifiers: (name: string) => `next-${name}`,
  ...(IS_WHOLE ? {} : { only: ['wp-submit'] }),
  script: `drift.relabel('#wp-submit', 'Sign in')`,
};
const STEP = 4;
const RUN_MS = 180_000;

let database: TestDatabase;
let core: Core;
let changed: PracticeShop;
let customer: Shop;
let folder: string;
let file: string;

beforeAll(async () => {
  database = await createTestDatabase();
  changed = await startPracticeShop({ obstacles: { adminEmailCheck: false }, alteration: alterationOf(REWORDED) });
  core = await openCore(database);
  customer = await installShop(core);
  folder = mkdtempSync(join(tmpdir(), 'promoting-'));
  file = knowledgeBaseIn(folder);
  if (IS_WHOLE) await heal();
  else await propose(customer);
}, RUN_MS);
afterAll(async () => {
  await core.close();
  await changed.close();
  await database.drop();
  rmSync(folder, { recursive: true });
});

/** A copy of what ships. */
function knowledgeBaseIn(dir: string): string {
  for (const name of ['AGENT_KNOWLEDGE_BASE.json', 'overlay.json'])
    copyFileSync(join(WORKFLOWS, name), join(dir, name));
  return join(dir, 'AGENT_KNOWLEDGE_BASE.json');
}

/** A whole operation on the changed pages, which recognises the button by what is known of it. */
async function heal(): Promise<void> {
  const secrets = { admin_username: changed.username, admin_password: changed.password };
  const where = { origin: changed.origin, base: changed.origin };
  const worker = await openWorker(database, { target: new URL(changed.origin).host });
  const operation = await queuedOperation(worker.core, customer, where, secrets);
  await worker.run(operation);
  await worker.close();
  const rung = (await look(core, operation)).steps.find(({ number }) => number === STEP)?.rung;
  if (rung !== 'relocated') throw new Error(`step ${STEP} was found as ${rung}`);
}

/** What such an operation leaves behind. */
async function propose(shop: Shop, target = changed.origin, name = 'Sign in'): Promise<void> {
  const operation = await requestOperation(core, shop);
  const { customerId } = shop;
  const { workflowId, workflowVersion } = operation.plan;
  const element = {
    fingerprint: { tag: 'input', type: 'submit', role: 'button', name },
    identity: { tag: 'input', type: 'submit', role: 'button', name },
    locators: [
      { by: 'role', role: 'button', name, exact: true },
      { by: 'css', selector: '#next-wp-submit' },
    ],
  };
  const place = { customerId, workflowId, workflowVersion, target, step: STEP, digest: name };
  await core.database.withCustomer(customerId, (tx) =>
    tx.workflowProposal.create({
      data: { ...place, id: newUuid(), element, operationId: operation.id, score: 1, margin: 1 },
    }),
  );
}

async function run(...argv: string[]) {
  const [said, complained]: [string[], string[]] = [[], []];
  const env = {
    ...process.env,
    ...{ ENCRYPTION_KEY: TEST_ENCRYPTION_KEY, DATABASE_URL: database.programUrl },
    COUNTERSIGN_SECRET_ADMIN_USERNAME: changed.username,
    COUNTERSIGN_SECRET_ADMIN_PASSWORD: changed.password,
  };
  const sinks = { say: (line: string) => said.push(line), complain: (line: string) => complained.push(line) };
  const code = await runCli(['workflow', ...argv], { env, ...sinks });
  return { code, said: said.join('\n'), complained: complained.join('\n') };
}

const promote = (base: string, ...more: string[]) =>
  run('promote', ID, '--base', base, '--allow-private', '--knowledge-base', file, ...more);
const known = (path: string) => knowledgeBaseSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
const workflowIn = (path: string) => known(path).workflows.find(({ id }) => id === ID);

describe('what runs found again on changed pages', () => {
  test('is listed without saying whose it is, and counted over addresses and customers', async () => {
    const alone = await run('proposals', ID);
    expect(alone.said).toContain('step 4  1 address, 1 customer, held 1×  button “Sign in”');
    const second = await installShop(core);
    if (!IS_WHOLE) await propose(second, 'https://second.example.com');
    const both = await run('proposals', ID, '--json');
    for (const word of [customer.customerId, second.customerId, 'second.example.com', new URL(changed.origin).host])
      expect(both.said).not.toContain(word);
    if (!IS_WHOLE) expect(JSON.parse(both.said)).toMatchObject([{ step: STEP, targets: 2, customers: 2, held: 2 }]);
    const marked = { markedAt: new Date(), markedBy: second.admin.id };
    await core.database.withCustomer(second.customerId, (tx) =>
      tx.workflowProposal.updateMany({ where: { customerId: second.customerId }, data: marked }),
    );
    if (!IS_WHOLE)
      expect((await run('proposals', ID)).said).toContain('2 addresses, 2 customers (marked by 1), held 2×');
  });

  test('is not promoted where it was found at too few addresses, and nothing is written', async () => {
    const before = readFileSync(file, 'utf8');
    expect(await promote(changed.origin, '--addresses', '3', '--apply')).toMatchObject({
      code: 1,
      complained: 'There is nothing to promote.',
    });
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  test(
    'is promoted after a replay that needs nothing else, with a difference that git applies',
    async () => {
      const before = readFileSync(file, 'utf8');
      const out = join(folder, 'promoted.diff');
      const shown = await promote(changed.origin, '--out', out);
      expect(shown.complained).toMatch(/ {2}4 {2}replayed {3}/);
      expect(shown.complained).not.toContain('relocated');
      expect(shown.code).toBe(0);
      expect(readFileSync(file, 'utf8')).toBe(before);
      // Beside any repository it applies to plain files; the file's path is that from the root.
      execFileSync('git', ['apply', out], { cwd: '/' });
      const step = workflowIn(file)?.steps.find(({ order }) => order === STEP);
      expect(step).toMatchObject({
        locators: expect.arrayContaining([{ by: 'role', role: 'button', name: 'Sign in', exact: true }]),
        identities: expect.arrayContaining([{ tag: 'input', type: 'submit', role: 'button', name: 'Sign in' }]),
      });
      const shipped = createWorkflowRegistry().getDefinition(ID);
      expect(workflowIn(file)?.version).toBe(shipped.version + 1);
    },
    RUN_MS,
  );

  if (IS_WHOLE)
    test(
      'is not written where a replay finds it otherwise, and goes on with the pages that were recorded',
      async () => {
        const recorded = await startPracticeShop({
          obstacles: { adminEmailCheck: false },
          username: changed.username,
          password: changed.password,
        });
        try {
          const there = ['--base', recorded.origin, '--allow-private', '--knowledge-base', file];
          const inputs = ['--input', 'scope=read', '--input', 'scopeWords=Read'];
          expect(await run('replay', ID, ...there, ...inputs)).toMatchObject({ code: 0 });
          const fresh = knowledgeBaseIn(mkdtempSync(join(folder, 'fresh-')));
          const nowhere = ['--base', `${recorded.origin}/nowhere`, '--allow-private', '--knowledge-base', fresh];
          const before = readFileSync(fresh, 'utf8');
          expect(await run('promote', ID, ...nowhere, '--apply')).toMatchObject({ code: 1 });
          expect(readFileSync(fresh, 'utf8')).toBe(before);
        } finally {
          await recorded.close();
        }
      },
      RUN_MS,
    );
});

test('a difference of two texts is one that git applies, wherever they differ', () => {
  const before = Array.from({ length: 40 }, (_, n) => `line ${n}`)
    .join('\n')
    .concat('\n');
  const after = before
    .replace('line 3\n', '')
    .replace('line 20\n', 'line 20\nmore\nand more\n')
    .replace('line 39', 'the end');
  expect(unifiedDiff(before, before, 'f')).toEqual([]);
  const dir = mkdtempSync(join(tmpdir(), 'diff-'));
  try {
    const apply = (text: string, patch: readonly string[]) => {
      writeFileSync(join(dir, 'f'), text);
      writeFileSync(join(dir, 'p'), `${patch.join('\n')}\n`);
      execFileSync('git', ['apply', 'p'], { cwd: dir });
      return readFileSync(join(dir, 'f'), 'utf8');
    };
    expect(apply(before, unifiedDiff(before, after, 'f'))).toBe(after);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
