// What the service says about application passwords, held against a real WordPress.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import { runCli } from '../../bot/cli.ts';
import { Secret } from '../../core/secret.ts';
import { revoke } from '../../core/services/wordpress/revoke.ts';
import { verify } from '../../core/services/wordpress/verify.ts';
import { silentLog } from '../support/silent-log.ts';
import { withWordPress } from './wordpress/available.ts';
import {
  type Account,
  openWordPressHost,
  type Plugin,
  type WordPress,
  type WordPressHost,
} from './wordpress/server.ts';

await withWordPress('a real WordPress', (packages) => {
  let host: WordPressHost;
  let site: WordPress;

  beforeAll(async () => {
    host = await openWordPressHost(packages);
    site = await host.site({ folder: 'blog' });
  });
  afterAll(() => host?.close());

  async function made(of: Account, label: string) {
    const password = await site.createPassword(of, label);
    const http = createHttp({ egress: createEgress({ privateTargets: [site.host], log: silentLog }) });
    const credential = { application_password: new Secret(password), username: new Secret(of.username) };
    return { base: site.base, origin: new URL(site.base).origin, credential, permissions: [], http };
  }
  const names = async (of: Account) => (await site.passwords(of)).map(({ name }) => name);

  test('knows a password and its role, ends that one alone, and then takes it no more', async () => {
    const [one, other] = [await made(site.editor, 'one'), await made(site.editor, 'other')];
    expect(await verify(one)).toMatchObject({ kind: 'works', checked: expect.stringContaining('role Editor') });
    expect(await revoke(one)).toEqual({ kind: 'revoked' });
    expect(await names(site.editor)).toEqual(['other']);
    const ended = { kind: 'fails', reason: expect.stringContaining('it was ended there') };
    expect(await verify(one)).toMatchObject(ended);
    expect(await revoke(one)).toMatchObject(ended); // WordPress does not say which of the reasons it is
    expect(await verify(other)).toMatchObject({ kind: 'works' });
  });

  test('is asked by the e-mail address and without the spaces, too', async () => {
    const { credential, ...rest } = await made(site.admin, 'without spaces');
    const bare = new Secret(credential.application_password.reveal().replaceAll(' ', ''));
    const again = { ...rest, credential: { application_password: bare, username: new Secret(site.admin.email) } };
    expect(await verify(again)).toMatchObject({ kind: 'works', checked: expect.stringContaining('Administrator') });
  });

  test('is asked with plain permalinks, too', async () => {
    const input = await made(site.editor, 'plain');
    await site.setOption('permalink_structure', '');
    try {
      expect(await verify(input)).toMatchObject({ kind: 'works' });
      expect(await revoke(input)).toEqual({ kind: 'revoked' });
    } finally {
      await site.setOption('permalink_structure', '/%postname%/');
    }
  });

  test.each([
    { plugin: 'no-application-passwords', words: 'application passwords were switched off' },
    { plugin: 'administrators-only', words: 'application passwords were switched off' },
    { plugin: 'closed-rest-api', words: 'refuses its REST API' },
  ] as const)('says in words what $plugin does to a password', async ({ plugin, words }) => {
    const input = await made(site.editor, plugin);
    site.plug(plugin);
    try {
      expect(await verify(input)).toMatchObject({ kind: 'fails', reason: expect.stringContaining(words) });
    } finally {
      site.unplug(plugin);
    }
  });

  describe('countersign doctor', () => {
    const answers = 'Its REST API answers.';
    const makes = 'It makes application passwords.';
    const tells = 'It says who an application password is for.';
    const signIn = 'Its sign-in page is where WordPress has it.';

    /** What it finds, without what is the same for every site of the tests. */
    async function found(address = site.base): Promise<readonly string[]> {
      const said: string[] = [];
      const sinks = { say: (line: string) => said.push(line), complain: (line: string) => said.push(line) };
      await runCli(['doctor', 'wordpress', address], { env: { ALLOW_PRIVATE_TARGETS: site.host }, ...sinks });
      const [first, encryption, clock, ...rest] = said;
      expect([first, clock]).toEqual([`ok     ${site.host} answers.`, 'ok     Its clock is right.']);
      expect(encryption).toMatch(/^WRONG {2}It is reached over http/);
      return rest;
    }
    async function foundWith(plugin: Plugin): Promise<readonly string[]> {
      site.plug(plugin);
      try {
        return await found();
      } finally {
        site.unplug(plugin);
      }
    }

    test('finds a good site good, but for http, also where a page of it was named', async () => {
      const good = [answers, makes, tells, signIn].map((words) => `ok     ${words}`);
      expect(await found()).toEqual(good);
      expect(await found(`${site.base}/wp-admin/profile.php`)).toEqual(good);
    });

    test('says that plain permalinks will do, and asks by ?rest_route=', async () => {
      await site.setOption('permalink_structure', '');
      try {
        const plain = expect.stringMatching(/^ok {5}Its REST API answers by \?rest_route= alone/);
        expect(await found()).toEqual([plain, ...[makes, tells, signIn].map((words) => `ok     ${words}`)]);
      } finally {
        await site.setOption('permalink_structure', '/%postname%/');
      }
    });

    test.each([
      {
        plugin: 'no-local-site',
        words: /^WRONG {2}It makes no application passwords: over http WordPress does so only/,
      },
      { plugin: 'no-application-passwords', words: /^WRONG {2}It makes no application passwords/ },
      { plugin: 'closed-rest-api', words: /^WRONG {2}Its REST API is closed to strangers \(403\)/ },
      { plugin: 'hidden-accounts', words: /^WRONG {2}It hides accounts from its REST API \(404\)/ },
    ] as const)('says what is wrong: $plugin', async ({ plugin, words }) => {
      const wrong = (await foundWith(plugin)).filter((line) => line.startsWith('WRONG'));
      expect(wrong).toEqual([expect.stringMatching(words)]);
    });
  });
});
