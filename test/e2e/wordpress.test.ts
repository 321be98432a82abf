// WordPress as people set it up: web chat in real Chromium, and the real WordPress of Debian's packages.
import pg from 'pg';
import type { Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withWordPress } from '../practice/wordpress/available.ts';
import { type Account, openWordPressHost, type WordPress, type WordPressHost } from '../practice/wordpress/server.ts';
import { appoint, asAdmin, type Project, startTestDemo, type TestDemo, throwawayProject } from '../support/demo.ts';
import { type DemoProcess, runningOf, startDemoProcess } from '../support/demo-process.ts';
import { enterSignIn, follow, openPeople, operationIdIn, type People, press, RUN_MS, seen } from '../support/people.ts';
import { removeAbandonedServer } from '../support/run-postgres.ts';
import { IS_WHOLE } from '../support/whole.ts';

const AUTHORIZE = 'On WordPress’s page for connecting applications';

await withWordPress('WordPress', (packages) => {
  let host: WordPressHost;
  let site: WordPress;
  let blog: WordPress;
  let gone: WordPress;
  let people: People;
  let merchant: Page;
  let approver: Page;

  beforeAll(async () => {
    host = await openWordPressHost(packages);
    [site, blog, gone] = [await host.site(), await host.site({ folder: 'blog' }), await host.site()];
  });
  afterAll(() => host?.close());

  /** Asks, and has it approved. @returns the operation's id. */
  async function approved(at: WordPress, way?: string): Promise<string> {
    await people.begin('Merchant', `set up WordPress for ${at.base}`);
    const id = await operationIdIn(merchant);
    if (way !== undefined) {
      await press(merchant, way);
      await seen(merchant, 'Open the page that connects applications');
    }
    await press(approver, 'Approve');
    return id;
  }

  /** As that, and signs in. */
  async function begin(at: WordPress, account: Pick<Account, 'username' | 'password'>, way?: string): Promise<string> {
    const id = await approved(at, way);
    await enterSignIn(merchant, { user: account.username, password: account.password });
    return id;
  }

  const made = async (at: WordPress, id: string, of: Account = at.admin) =>
    (await at.passwords(of)).filter(({ name }) => name.startsWith(`Countersign ${id}`));
  const notSetUp = async (at: WordPress, patienceMs = RUN_MS) => {
    const end = `WordPress for ${at.base.replace('http://', '')} was not set up.`;
    return (await seen(merchant, end, patienceMs)).innerText();
  };

  describe('from the sentence to the proven password', () => {
    let demo: TestDemo;

    beforeAll(async () => {
      demo = await startTestDemo({ env: { ALLOW_PRIVATE_TARGETS: [site, blog, gone].map((one) => one.host).join() } });
      people = await openPeople(demo.chatUrl);
      [merchant, approver] = [people.page('Merchant'), people.page('Approver')];
      await appoint(demo, ['approver']);
    });
    afterAll(async () => {
      await people?.close();
      await demo?.remove();
    });

    const credentialsOf = (id: string) =>
      demo.sql(
        `SELECT id FROM autonomous_credentials WHERE operation_id = $1 OR credential_metadata ->> 'operationId' = $1`,
        [id],
      );

    it(
      'goes by the profile page, says before that the password has the whole power of the account, and whose it is',
      async () => {
        await people.begin('Merchant', `can you connect WordPress at ${site.base}?`);
        const card = await (await seen(approver, 'Create a WordPress application password for')).innerText();
        expect(card).toMatch(/The password may do everything that this account may do\s+the account’s whole power/);
        expect(card).toMatch(/changes no posts, pages, settings or people\. The password that comes of it could/);
        expect(card).not.toContain('Beta');
        const id = await operationIdIn(merchant);
        await press(approver, 'Approve');
        await enterSignIn(merchant, { user: site.admin.username, password: site.admin.password });
        const end = await (await seen(merchant, 'Done in', RUN_MS)).innerText();
        expect(end).toMatch(/WordPress is connected\.[\s\S]*answered 200 and knows the account, role Administrator/);
        expect(end).toContain('everything that the account may');
        expect(await made(site, id)).toMatchObject([{ name: `Countersign ${id}`, lastUsed: expect.any(Number) }]);
        expect(await credentialsOf(id)).toHaveLength(1); // and no sign-in
        expect(site.requests.join()).not.toMatch(/password=/);
      },
      2 * RUN_MS,
    );

    it(
      'goes by the page for connecting applications: in a folder, in German, by the e-mail address, past the check of the administration’s one',
      async () => {
        await blog.setLanguage(blog.admin, 'de_DE');
        await blog.setOption('admin_email_lifespan', '1');
        const id = await begin(blog, { ...blog.admin, username: blog.admin.email }, AUTHORIZE);
        const end = await (await seen(merchant, 'Done in', RUN_MS)).innerText();
        expect(end).toMatch(/WordPress is connected\.[\s\S]*answered 200 and knows the account, role Administrator/);
        expect(await made(blog, id)).toMatchObject([{ name: `Countersign ${id}`, lastUsed: expect.any(Number) }]);
        expect(blog.requests.some((request) => request.includes('confirm_admin_email'))).toBe(true);
        expect(blog.requests.join()).not.toMatch(/success_url|password=/);
      },
      2 * RUN_MS,
    );

    if (IS_WHOLE)
      it(
        'rotates the password, which ends the old one by its own power, and revokes the new one without a sign-in',
        async () => {
          const first = await begin(site, site.admin);
          await seen(merchant, 'WordPress is connected.', RUN_MS);
          await people.begin('Merchant', `renew the WordPress key for ${site.base}`);
          const id = await operationIdIn(merchant);
          await press(approver, 'Approve');
          await enterSignIn(merchant, { user: site.admin.username, password: site.admin.password });
          const end = await (await seen(merchant, 'The WordPress key is rotated.', RUN_MS)).innerText();
          expect(end).toMatch(new RegExp(`“Countersign ${first}”, ended: The site no longer takes it: 40[13]`));
          expect(await made(site, first)).toHaveLength(0);
          expect(await made(site, id)).toHaveLength(1);
          await people.begin('Merchant', `revoke the WordPress key for ${site.base}`);
          await press(approver, 'Approve');
          const over = await (await seen(merchant, 'The WordPress key is revoked.', RUN_MS)).innerText();
          expect(over).toContain('The site no longer takes it: 401');
          expect(over).toContain('no page was opened');
          expect(await made(site, id)).toHaveLength(0);
          expect(await credentialsOf(id)).toEqual([]);
        },
        3 * RUN_MS,
      );

    if (IS_WHOLE)
      it(
        'makes an editor’s password for an editor, and says so',
        async () => {
          const id = await begin(site, site.editor);
          expect(await (await seen(merchant, 'Done in', RUN_MS)).innerText()).toContain(
            'knows the account, role Editor',
          );
          expect(await made(site, id, site.editor)).toHaveLength(1);
        },
        2 * RUN_MS,
      );

    if (IS_WHOLE)
      it(
        'asks a person for the code of a second factor, and goes on with it',
        async () => {
          site.plug('one-time-code');
          try {
            const id = await begin(site, site.admin);
            await seen(merchant, 'A one-time code is needed', RUN_MS);
            await press(merchant, 'Enter the code');
            const form = await follow(merchant, 'Open the one-time page');
            await form.getByRole('textbox', { name: 'Code' }).fill('314159');
            await form.getByRole('button', { name: 'Send the code' }).click();
            await seen(merchant, 'Done in', RUN_MS);
            expect(await made(site, id)).toHaveLength(1);
          } finally {
            site.unplug('one-time-code');
          }
        },
        2 * RUN_MS,
      );

    if (IS_WHOLE)
      it(
        'tries a wrong password once, makes nothing, and keeps nothing',
        async () => {
          const before = site.requests.length;
          const id = await begin(site, { ...site.admin, password: 'not the password' });
          const end = await notSetUp(site);
          expect(end).toMatch(
            /refused the user name or the password[\s\S]*No key was stored\. The sign-in was deleted\./,
          );
          const signIns = site.requests.slice(before).filter((request) => request.startsWith('POST /wp-login.php'));
          expect(signIns).toHaveLength(1);
          expect(await made(site, id)).toEqual([]);
          expect(await credentialsOf(id)).toEqual([]);
        },
        2 * RUN_MS,
      );

    const off = [
      { plugin: 'no-application-passwords', way: undefined, words: 'The profile page has no application passwords' },
      { plugin: 'no-application-passwords', way: AUTHORIZE, words: 'WordPress lets no application connect' },
      { plugin: 'administrators-only', way: undefined, words: 'for everybody or for this account' },
    ] as const;
    it.each(IS_WHOLE ? off : [])(
      'says that application passwords are switched off ($plugin, $way), and makes none',
      async ({ plugin, way, words }) => {
        site.plug(plugin);
        try {
          const id = await begin(site, site.editor, way);
          expect(await notSetUp(site)).toContain(words);
          expect(await made(site, id, site.editor)).toEqual([]);
        } finally {
          site.unplug(plugin);
        }
      },
      2 * RUN_MS,
    );

    if (IS_WHOLE)
      it(
        'says that the REST API is closed, and that the password which was made is not proven',
        async () => {
          site.plug('closed-rest-api');
          try {
            const id = await begin(site, site.admin);
            const end = await notSetUp(site);
            expect(end).toMatch(/refuses its REST API \(403\)[\s\S]*it was not proven to work/);
            expect(await made(site, id)).toHaveLength(1);
          } finally {
            site.unplug('closed-rest-api');
          }
        },
        2 * RUN_MS,
      );

    if (IS_WHOLE)
      it(
        'says that a site is gone that was there when it was approved, after three browsers and their patience',
        async () => {
          await approved(gone);
          await gone.close();
          await enterSignIn(merchant, { user: gone.admin.username, password: gone.admin.password });
          expect(await notSetUp(gone, 3 * RUN_MS)).toMatch(/The site could not be reached\.[\s\S]*No key was stored/);
        },
        4 * RUN_MS,
      );
  });

  if (IS_WHOLE)
    describe('when the worker is killed in the middle of the click that makes the password', () => {
      let project: Project;
      let demo: DemoProcess;
      let admin: pg.Pool;

      beforeAll(async () => {
        project = await throwawayProject();
        demo = await startDemoProcess(project, { shopHost: site.host });
        admin = new pg.Pool({ connectionString: asAdmin(demo.databaseUrl), max: 1 });
        admin.on('error', () => {}); // the server ends before the pool does when a test failed
        people = await openPeople(demo.chatUrl);
        [merchant, approver] = [people.page('Merchant'), people.page('Approver')];
        await appoint({ sql: async (text, values = []) => (await admin.query(text, [...values])).rows }, ['approver']);
      });
      afterAll(async () => {
        await people?.close();
        await admin?.end();
        await demo?.interrupt().catch(() => removeAbandonedServer(project.postgresDir));
        project?.remove();
      });

      /** As the kernel's out-of-memory killer does it; then the same data are taken up by another process. */
      async function killAndStart(): Promise<void> {
        const thread = merchant.url();
        await demo.kill();
        await expect.poll(() => runningOf(project).programs, { timeout: 10_000 }).toEqual([]);
        demo = await startDemoProcess(project, { shopHost: site.host });
        people.moveTo(demo.chatUrl);
        await people.open(thread);
      }
      const stateOf = async (id: string) =>
        (await admin.query('SELECT status, error_code FROM autonomous_operations WHERE id = $1', [id])).rows[0];

      it.each([{ way: undefined }, { way: AUTHORIZE }])(
        'and WordPress has made it: makes no second one, and names the one that is left ($way)',
        async ({ way }) => {
          site.plug('answer-held');
          const id = await begin(site, site.admin, way);
          await expect.poll(async () => (await made(site, id)).length, { timeout: RUN_MS }).toBe(1);
          await killAndStart();
          site.unplug('answer-held');
          expect(await notSetUp(site)).toContain(`just after a key named “Countersign ${id}” was made`);
          expect(await stateOf(id)).toEqual({ status: 'failed', error_code: 'effect_unsure' });
          expect(await made(site, id)).toHaveLength(1);
        },
        3 * RUN_MS,
      );

      it(
        'and WordPress makes it only after another worker has looked for it: makes no second one either',
        async () => {
          site.plug('request-held');
          const id = await begin(site, site.admin);
          await expect.poll(() => site.holdsRequest(), { timeout: RUN_MS }).toBe(true);
          const before = site.requests.length;
          await killAndStart();
          const looks = () => site.requests.slice(before).filter((request) => request === 'GET /wp-admin/profile.php');
          await expect.poll(() => looks().length, { timeout: RUN_MS }).toBeGreaterThan(0);
          site.unplug('request-held');
          expect(await notSetUp(site)).toContain(`just after a key named “Countersign ${id}” was made`);
          expect(await stateOf(id)).toEqual({ status: 'failed', error_code: 'effect_unsure' });
          expect(await made(site, id)).toHaveLength(1);
        },
        3 * RUN_MS,
      );
    });
});
