// The recorded sites are one for all, and most cases read the same recording.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { runCli } from '../../bot/cli.ts';
import { knowledgeBaseSchema } from '../../core/workflow/workflow.ts';
import { startPracticeAcme } from '../example/test/practice/acme/server.ts';
import { startPracticeShop } from '../practice/woocommerce/server.ts';
import type { LoopbackSite } from '../support/loopback-site.ts';
import { readRecipe } from '../support/recipe.ts';
import { serveBoard, serveBookings } from '../support/recorded-sites.ts';
import { IS_WHOLE } from '../support/whole.ts';

const RECORDING_MS = 180_000;
const PASSWORD = 'corr3ct-horse-Battery';

let folder: string;
let bookings: LoopbackSite;
let board: LoopbackSite;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'recording-'));
  [bookings, board] = await Promise.all([serveBookings(), serveBoard()]);
});

afterAll(async () => {
  await Promise.all([bookings.close(), board.close()]);
  rmSync(folder, { recursive: true });
});

const at = (name: string) => join(folder, name);

function write(name: string, text: string): string {
  writeFileSync(at(name), text);
  return at(name);
}

async function run(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const [said, complained]: [string[], string[]] = [[], []];
  const code = await runCli(argv, {
    env: { ...process.env, ...env },
    say: (line) => said.push(line),
    complain: (line) => complained.push(line),
  });
  return { code, said: said.join('\n'), complained: complained.join('\n') };
}

const record = (spec: string, base: string, out: string, ...more: string[]) =>
  run(['workflow', 'record', spec, '--base', base, '--out', at(out), ...more]);

const reportSchema = z.object({
  success: z.boolean(),
  steps: z.array(
    z.object({ kind: z.string(), rung: z.string().nullable(), outcome: z.string(), failure: z.string().optional() }),
  ),
  results: z.record(z.string(), z.object({ captured: z.literal(true), lastFour: z.string().optional() })),
});

async function replay(id: string, base: string, out: string, ...more: string[]) {
  const argv = [
    'workflow',
    'replay',
    id,
    '--base',
    base,
    '--json',
    '--allow-private',
    '--knowledge-base',
    at(out),
    ...more,
  ];
  const { said, ...rest } = await run(argv);
  return { ...rest, said, report: reportSchema.parse(JSON.parse(said)) };
}

test('a missing secret is asked for in words that nothing is blackened in', async () => {
  const on = ['workflow', 'replay', 'woocommerce_api_key_generation', '--base', 'https://shop.example.com'];
  const { code, complained } = await run(on, { COUNTERSIGN_SECRET_ADMIN_USERNAME: 'ada' });
  expect([code, complained]).toEqual([1, expect.stringContaining('COUNTERSIGN_SECRET_ADMIN_PASSWORD')]);
  expect(complained).toContain('@FILE');
  expect(complained).not.toContain('[secret]');
});

const workflowsOf = (out: string) => knowledgeBaseSchema.parse(JSON.parse(readFileSync(at(out), 'utf8'))).workflows;

/** Plain JavaScript, as a spec of a project that is no ES module is. */
const bookingSpec = (title: string, heading = 'Thanks, Ada Lovelace') => `
import { test, expect } from '@playwright/test';
import { input, secret, result } from 'countersign/recording';

class Form {
  constructor(page) { this.page = page; }
  async add(extra) { await this.page.getByRole('row', { name: extra }).getByRole('button', { name: 'Add' }).click(); }
}

test(${JSON.stringify(title)}, async ({ page }) => {
  await page.goto('/');
  await page.getByRole('link', { name: 'New booking' }).click();
  const form = new Form(page);
  await test.step('Guest', async () => {
    await page.getByLabel('Guest').fill(input('guest', 'Ada Lovelace'));
    await page.fill('#code', secret('door_code', '${PASSWORD}'));
    await page.getByLabel('Room').selectOption({ label: input('room', 'Large') });
    await page.getByLabel(input('meal', 'Veggie')).check();
    await page.getByLabel('Late arrival').focus();
    await page.keyboard.press('Space');
  });
  for (const extra of ['Bike', 'Boat']) await form.add(extra);
  await page.frameLocator('iframe').getByRole('button').click();
  await expect(page.frameLocator('iframe').getByRole('button')).toHaveText('Accepted');
  await page.getByRole('button', { name: /book/i }).click();
  await expect(page.getByRole('heading')).toHaveText(${JSON.stringify(heading)});
  await result('reference', page.locator('#ref'), /BK-\\d{5}/);
});
`;

describe('a spec for a site of forms', () => {
  let recorded: Awaited<ReturnType<typeof run>>;

  beforeAll(async () => {
    recorded = await record(write('bookings.spec.js', bookingSpec('Book a room')), bookings.origin, 'bookings.json');
  }, RECORDING_MS);

  test('becomes a workflow with a step for each action, through page objects, helpers, loops and frames', () => {
    expect(recorded.complained).not.toContain('No workflow');
    expect(recorded.code).toBe(0);
    const [workflow] = workflowsOf('bookings.json');
    expect(workflow).toMatchObject({
      id: 'bookings_book-a-room',
      inputs: ['guest', 'room', 'meal'],
      secrets: ['door_code'],
      provenance: {
        source: 'recorded',
        spec: { file: 'bookings.spec.js', commit: 'uncommitted' },
        recorderVersion: '1',
      },
    });
    const kinds = workflow?.steps.map(({ kind }) => kind).join(' ');
    expect(kinds).toBe('navigate click fill fill select check press click click click extract');
    expect(workflow?.steps.map(({ intent }) => intent)).toContain('Guest: enter “{guest}” in “Guest”');
  });

  test('names no value, and has claims that hold for other values', () => {
    const text = readFileSync(at('bookings.json'), 'utf8');
    for (const value of [
      'data-recorded',
      PASSWORD,
      'Ada',
      'Lovelace',
      'Veggie',
      'Large',
      'BK-1',
      Buffer.from(PASSWORD).toString('base64'),
    ])
      expect(text).not.toContain(value);
    const [workflow] = workflowsOf('bookings.json');
    const step = (order: number) => workflow?.steps[order - 1];
    expect(step(4)).toMatchObject({ value: '{secret:door_code}' });
    expect(step(6)).toMatchObject({
      locators: expect.arrayContaining([{ by: 'role', role: 'radio', name: '{meal}', exact: true }]),
    });
    expect(JSON.stringify(step(11))).toContain('Thanks, {guest}');
    for (const one of workflow?.steps ?? []) if ('locators' in one) expect(one.fingerprint?.tag).toBeDefined();
  });

  test('is replayed with other values, and its report tells no result', async () => {
    write('code.txt', `${PASSWORD}\n`);
    const inputs = ['guest=Grace O’Hara', 'room=Small', 'meal=Meat'].flatMap((text) => ['--input', text]);
    const secrets = ['--secret', `door_code=@${at('code.txt')}`];
    const { code, said, report } = await replay(
      'bookings_book-a-room',
      bookings.origin,
      'bookings.json',
      ...inputs,
      ...secrets,
    );
    expect(report.steps.filter(({ outcome }) => outcome !== 'done')).toEqual([]);
    expect([code, report.success]).toEqual([0, true]);
    expect(report.results).toEqual({ reference: { captured: true, lastFour: expect.stringMatching(/^\d{4}$/) } });
    expect(said).not.toContain(PASSWORD);
    expect(said).not.toContain('BK-');
    expect(report.steps.map(({ rung }) => rung).join(' ')).toMatch(/^none( replayed){10}$/);
  });

  test('needs its inputs, and takes no secret from the command line', async () => {
    const on = [
      'workflow',
      'replay',
      'bookings_book-a-room',
      '--base',
      bookings.origin,
      '--knowledge-base',
      at('bookings.json'),
    ];
    expect(await run([...on, '--secret', `door_code=${PASSWORD}`])).toMatchObject({
      code: 1,
      complained: expect.stringContaining('list of processes'),
    });
    const fromVariable = await run(on, { COUNTERSIGN_SECRET_DOOR_CODE: PASSWORD });
    expect(fromVariable).toMatchObject({
      code: 1,
      complained: expect.stringContaining('--input for: guest, room, meal'),
    });
    expect(await run(on)).toMatchObject({
      code: 1,
      complained: expect.stringContaining('COUNTERSIGN_SECRET_DOOR_CODE'),
    });
  });

  test('says of a file that is something else what it is not', async () => {
    const other = write('package.json', '{"name":"x"}');
    const on = ['workflow', 'replay', 'any', '--base', bookings.origin, '--knowledge-base', other];
    const { code, complained } = await run(on);
    expect([code, complained]).toEqual([
      1,
      expect.stringContaining('package.json is no knowledge base: `workflow record --out` makes one.'),
    ]);
    expect(complained).not.toContain('uiCatalog');
  });

  test('reaches no private address that nobody allowed', async () => {
    const values = ['guest=G', 'room=Small', 'meal=Meat'].flatMap((text) => ['--input', text]);
    const on = [
      'workflow',
      'replay',
      'bookings_book-a-room',
      '--base',
      bookings.origin,
      '--knowledge-base',
      at('bookings.json'),
    ];
    const { code, complained } = await run([...on, ...values], { COUNTERSIGN_SECRET_DOOR_CODE: PASSWORD });
    expect([code, complained]).toEqual([1, expect.stringContaining('--allow-private')]);
  });

  test(
    'shows what changes, overwrites nothing without a yes, and keeps its id under another title',
    async () => {
      const before = readFileSync(at('bookings.json'), 'utf8');
      const spec = write('bookings.spec.js', bookingSpec('Reserve a room for the night'));
      const shown = await record(spec, bookings.origin, 'bookings.json');
      expect(shown).toMatchObject({ code: 1, complained: expect.stringContaining('Nothing was written') });
      expect(shown.said).toContain('name: "Book a room" → "Reserve a room for the night"');
      expect(readFileSync(at('bookings.json'), 'utf8')).toBe(before);
      expect(shown.said).toContain('aliases.0: + "book-a-room"');
      expect(shown.said).not.toMatch(/~ id|step/);
    },
    RECORDING_MS,
  );

  if (IS_WHOLE)
    test(
      'makes no workflow when one of its expectations fails, and says which',
      async () => {
        const spec = write('failing.spec.js', bookingSpec('Book', 'Thanks, Charles'));
        const { code, said, complained } = await record(spec, bookings.origin, 'failing.json');
        expect(code).toBe(1);
        expect(complained).toContain('The test “Book” did not pass (failed).');
        expect(complained).toContain('Thanks, Charles');
        expect(said + complained).not.toContain(PASSWORD);
        expect(existsSync(at('failing.json'))).toBe(false);
      },
      RECORDING_MS,
    );
});

if (IS_WHOLE)
  test(
    'a spec that would give a secret away is refused: in a name, in an address, by a plain text in a password field',
    async () => {
      const spec = write(
        'echo.spec.mjs',
        `
import { test } from 'playwright/test';
import { secret } from 'countersign/recording';
test.beforeEach(({ page }) => page.goto('/echo'));
test('Name', async ({ page }) => {
  await page.getByLabel('Code').fill(secret('code', '${PASSWORD}'));
  await page.getByText('Send').click();
  await page.locator('#echoed').click();
});
test('Address', async ({ page }) => {
  await page.goto('/echo?c=' + Buffer.from(secret('token', '${PASSWORD}')).toString('base64'));
});
test('Plain', async ({ page }) => {
  await page.getByLabel('Code').fill('${PASSWORD}');
});
`,
      );
      const { code, said, complained } = await record(spec, bookings.origin, 'echo.json');
      expect(code).toBe(1);
      expect(complained).toContain('In the test “Name”: The value of the secret code would stand in steps.');
      expect(complained).toContain('The value of the secret token would stand in steps.');
      expect(complained).toContain("wrap it as secret('slot', value)");
      expect(said + complained).not.toContain(PASSWORD);
      expect(existsSync(at('echo.json'))).toBe(false);
    },
    RECORDING_MS,
  );

if (IS_WHOLE)
  test(
    'a spec in TypeScript for a page that a script draws is replayed with other values',
    async () => {
      const spec = write(
        'board.spec.ts',
        `
import { expect, test, type Page } from '@playwright/test';
import { input, result } from 'countersign/recording';

class Board {
  constructor(private readonly page: Page) {}
  async add(text: string): Promise<void> {
    await this.page.getByPlaceholder('New item').pressSequentially(text);
    await this.page.getByRole('button', { name: 'Add' }).click();
    await expect(this.page.getByText(text)).toBeVisible();
  }
  item(text: string) { return this.page.getByRole('listitem').filter({ hasText: text }); }
}

test.beforeEach(async ({ page }) => { await page.goto('/board'); });

test('Make a token', async ({ page }) => {
  const board = new Board(page);
  const title = input('title', 'Write the report');
  await board.add('First thing');
  await board.add(title);
  await board.item(title).getByRole('checkbox').check();
  await board.item(title).getByRole('button', { name: 'Open' }).click();
  await page.getByRole('button', { name: 'Create token' }).click();
  await page.locator('.yes').click();
  await result('token', page.locator('output'), /tok_[0-9a-f]{12}/);
});
`,
      );
      const recorded = await record(spec, board.origin, 'board.json');
      expect(recorded.complained).not.toContain('No workflow');
      const text = readFileSync(at('board.json'), 'utf8');
      for (const value of ['report', '10001', 'tok_']) expect(text.replace('tok_[0-9a-f]', '')).not.toContain(value);
      const { report } = await replay(
        'board_make-a-token',
        board.origin,
        'board.json',
        '--input',
        'title=Send a parcel, twice',
      );
      expect(report.steps.filter(({ outcome }) => outcome !== 'done')).toEqual([]);
      expect(report.results.token).toMatchObject({ captured: true });
    },
    2 * RECORDING_MS,
  );

if (IS_WHOLE)
  test(
    'the page-object spec of the shop becomes a workflow that makes a key in another shop, for somebody else, with other values',
    async () => {
      const spec = join(import.meta.dirname, '..', 'playwright', 'woocommerce.spec.ts');
      const recorded = await run(['workflow', 'record', spec, '--out', at('shop.json')]);
      expect(recorded.complained).not.toContain('No workflow');
      const shop = await startPracticeShop({ username: 'second-admin', obstacles: { adminEmailCheck: false } });
      try {
        write('user.txt', shop.username);
        write('password.txt', shop.password);
        const secrets = [`admin_username=@${at('user.txt')}`, `admin_password=@${at('password.txt')}`];
        const inputs = ['label=Another label', 'scope=read_write', 'scopeWords=Read/Write'];
        const more = [...secrets.flatMap((text) => ['--secret', text]), ...inputs.flatMap((text) => ['--input', text])];
        const { said, report } = await replay('woocommerce_api_key_generation', shop.origin, 'shop.json', ...more);
        expect(report.steps.filter(({ outcome }) => outcome !== 'done')).toEqual([]);
        expect(shop.keys()).toMatchObject([{ description: 'Another label', permissions: 'read_write' }]);
        expect(Object.keys(report.results)).toEqual(['consumer_key', 'consumer_secret']);
        expect(said).not.toContain(shop.password);
      } finally {
        await shop.close();
      }
    },
    2 * RECORDING_MS,
  );

test(
  'every published workflow passes on its practice service',
  async () => {
    // Each of them is also played from the sentence in chat, in test/e2e: of those one is enough here.
    const { code, complained } = await run(['workflow', 'check', ...(IS_WHOLE ? [] : ['woocommerce'])]);
    // On a computer without a real WordPress its two workflows are left out, and that is said.
    const all = /^(8 passed|([\s\S]* is left out\. [\s\S]*\n){2}6 passed), 0 failed$/;
    expect(code).toBe(0);
    expect(complained).toMatch(IS_WHOLE ? all : /^2 passed, 0 failed$/);
  },
  RECORDING_MS,
);

test('of a service that has no workflow none is checked, and that is said', async () => {
  const { code, complained } = await run(['workflow', 'check', 'xero']);
  expect([code, complained]).toEqual([2, 'There is no workflow of a service “xero”.']);
});

describe('docs/write-a-workflow.md', () => {
  test(
    'its test is recorded and its workflow replayed by its own commands, on the site and with the password of somebody',
    async () => {
      const [spec, commands] = readRecipe('docs/write-a-workflow.md').blocks;
      if (spec?.language !== 'ts' || commands?.language !== 'sh') throw new Error('the page begins otherwise');
      const project = join(import.meta.dirname, '../..');
      for (const name of ['adapters', 'node_modules']) symlinkSync(join(project, name), at(name));
      mkdirSync(at('test/playwright'), { recursive: true });
      write('test/playwright/acme.spec.ts', spec.lines.join('\n'));
      const practice = await startPracticeAcme();
      try {
        const password = write('acme-password', practice.password);
        const lines = commands.lines
          .join('\n')
          .replaceAll(/\\\n\s*/g, '')
          .replaceAll(/ +#.*/g, '')
          .replaceAll('https://acme.example.com', practice.origin)
          .replaceAll('test/playwright/acme.spec.ts', at('test/playwright/acme.spec.ts'))
          .replaceAll('/run/secrets/acme', password)
          .replaceAll('grace@example.com', practice.email)
          .split('\n')
          .map((line) => line.replace('npm run countersign -- ', '').split(/ +/));
        const [recording = [], replaying = []] = lines;
        const recorded = await run([...recording, '--out', at('acme.json')], { ACME_PASSWORD: practice.password });
        expect(recorded).toMatchObject({ code: 0 });
        const replayed = await run([...replaying, '--knowledge-base', at('acme.json'), '--allow-private']);
        const report = reportSchema.parse(JSON.parse(replayed.said));
        expect(report.steps.filter(({ outcome }) => outcome !== 'done')).toEqual([]);
        expect(Object.keys(report.results)).toEqual(['token']);
        expect(practice.tokens()).toHaveLength(2);
      } finally {
        await practice.close();
      }
    },
    RECORDING_MS,
  );
});
