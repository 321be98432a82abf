import { apiError, bad, good } from '../answers.ts';
import { clock, encryption, openSite, place, type Site, type SiteIndex, signIn, silence } from '../examine-site.ts';
import type { ExamineInput, Finding } from '../service.ts';

/**
 * What a site shows without any password: its REST API, whether it makes application passwords, whether an account may ask
 * who it is, its clock, and its sign-in page.
 */
export async function examine(input: ExamineInput): Promise<readonly Finding[]> {
  const site = await openSite(input);
  return [
    encryption(input, 'a password'),
    clock(site, 'Sign-ins end too early or not at all.'),
    ...(site.index === undefined
      ? [silence(site, 'site', 'password')]
      : [restApi(site), ...place(input, site.index), applicationPasswords(input, site.index), await accounts(site)]),
    await signIn(site),
  ];
}

function restApi({ isPlain }: Site): Finding {
  return good(
    isPlain
      ? 'Its REST API answers by ?rest_route= alone, since its permalinks are plain. I ask it that way; other programs may not.'
      : 'Its REST API answers.',
  );
}

/** WordPress names its page for connecting applications where, and only where, it makes application passwords. Source: `rest_add_application_passwords_to_index`. */
function applicationPasswords({ origin }: ExamineInput, { authentication }: SiteIndex): Finding {
  if (authentication && 'application-passwords' in authentication) return good('It makes application passwords.');
  return bad(
    origin.startsWith('https:')
      ? 'It makes no application passwords: a plugin or its host has switched them off, it does not know that it is reached over https, or it is older than WordPress 5.6.'
      : 'It makes no application passwords: over http WordPress does so only where the site says that it is a local one (WP_ENVIRONMENT_TYPE).',
  );
}

/** A stranger is asked to sign in (`rest_not_logged_in`); whoever hides accounts from strangers may hide them from passwords, too. */
async function accounts({ get, isPlain }: Site): Promise<Finding> {
  const route = '/wp/v2/users/me';
  const answer = await get(isPlain ? `/?rest_route=${encodeURIComponent(route)}` : `/wp-json${route}`);
  const code = apiError(answer)?.code;
  if (answer.status === 401 && code === 'rest_not_logged_in')
    return good('It says who an application password is for.');
  return bad(
    `It hides accounts from its REST API (${answer.status}), as security plugins do, and then I can't check a password: let the plugin allow “users/me”.`,
  );
}
