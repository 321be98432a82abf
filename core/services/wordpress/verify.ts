import { z } from 'zod';
import { type HttpResponse, isUnencrypted } from '../../ports/http.ts';
import { fails, hostOf, outage, parsed } from '../answers.ts';
import type { VerifyInput, VerifyResult } from '../service.ts';
import { ask, isWhole, refusal } from './rest.ts';

/** `WP_REST_Users_Controller`, context `edit`, which every account may have of itself. */
const meSchema = z.object({ id: z.int(), username: z.string(), email: z.string(), roles: z.array(z.string()) });
type Me = z.infer<typeof meSchema>;

/** The roles that WordPress and WooCommerce come with; another one is the site's own text, and not said. */
const ROLES: Readonly<Record<string, string>> = {
  administrator: 'Administrator',
  editor: 'Editor',
  author: 'Author',
  contributor: 'Contributor',
  subscriber: 'Subscriber',
  shop_manager: 'Shop manager',
  customer: 'Customer',
};

/**
 * Proves an application password by asking who it is: Basic over https, or over http to this computer itself, where a local
 * site has no certificate. It has to be the account whose name was stored. Which role that has is told, since the password has all of its power.
 */
export async function verify(input: VerifyInput): Promise<VerifyResult> {
  if (!isWhole(input)) return fails('User name or application password is missing.');
  if (isUnencrypted(input.origin))
    return fails(`${hostOf(input)} is opened by http, so the password was not sent to be checked. Ask with https.`);
  try {
    const answer = await ask(input, 'GET', '/wp/v2/users/me', { context: 'edit' });
    return answer.status === 200 ? proven(input, answer) : { kind: 'fails', ...refusal(input, answer) };
  } catch (error) {
    return outage(input, 'password', error);
  }
}

function proven(input: VerifyInput, { body }: HttpResponse): VerifyResult {
  const host = hostOf(input);
  const me = meSchema.safeParse(parsed(body)).data;
  if (me === undefined)
    return fails(
      `${host} answered 200, but not with an account; a cache or a closed site may stand before its REST API.`,
    );
  if (!isSame(me, input.credential.username?.reveal() ?? ''))
    return fails(`${host} takes the password for another account than the one that signed in. Revoke it there.`);
  const method = `GET users/me, Basic over ${input.origin.startsWith('https:') ? 'https' : 'http on this computer'}`;
  return { kind: 'works', checked: `${host} answered 200 and knows the account, ${roleOf(me)}`, method };
}

/** WordPress takes the name and the e-mail address of an account alike. */
function isSame({ username, email }: Me, entered: string): boolean {
  const wanted = entered.trim().toLowerCase();
  return [username, email].some((known) => known.toLowerCase() === wanted);
}

function roleOf({ roles }: Me): string {
  const known = roles.flatMap((role) => (Object.hasOwn(ROLES, role) ? [ROLES[role]] : []));
  return known.length > 0 ? `role ${known.join(' and ')}` : 'with a role of the site’s own';
}
