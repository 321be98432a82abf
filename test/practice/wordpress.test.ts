// What the service says about application passwords, held against a real WordPress.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import { Secret } from '../../core/secret.ts';
import { revoke } from '../../core/services/wordpress/revoke.ts';
import { verify } from '../../core/services/wordpress/verify.ts';
import { silentLog } from '../support/silent-log.ts';
import { withWordPress } from './wordpress/available.ts';
import { type Account, openWordPressHost, type WordPress, type WordPressHost } from './wordpress/server.ts';

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
});
