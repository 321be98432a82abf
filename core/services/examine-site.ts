import { z } from 'zod';
import type { HttpResponse } from '../ports/http.ts';
import { bad, good, parsed } from './answers.ts';
import type { ExamineInput, Finding } from './service.ts';
import { withoutEnd } from './site-target.ts';

/** What a site of WordPress shows to anybody, for the services that work there. */

const TIMEOUT_MS = 10_000;
const SKEW_MS = 5 * 60_000; // WooCommerce takes a signature for 15 minutes
/** Source: developer.wordpress.org/rest-api, “Discovery”; `WP_REST_Server::get_index`. */
const indexSchema = z.object({
  namespaces: z.array(z.string()),
  /** Where WordPress itself is, which may be another place than the site's front page. */
  url: z.string().optional(),
  /** An empty list where there is none: PHP tells no empty list from an empty record. */
  authentication: z.union([z.record(z.string(), z.unknown()), z.array(z.unknown())]).optional(),
});
export type SiteIndex = z.infer<typeof indexSchema>;

export interface Site {
  /** The answer at `/wp-json/`. */
  readonly answer: HttpResponse;
  /** What the REST API says of itself; `undefined`: it says nothing. */
  readonly index: SiteIndex | undefined;
  /** It is there by `?rest_route=` alone: permalinks are plain. */
  readonly isPlain: boolean;
  readonly get: (path: string) => Promise<HttpResponse>;
}

/** @throws CountersignError `network`, `egress_refused` */
export async function openSite({ base, origin, http }: ExamineInput): Promise<Site> {
  const get = (path: string) =>
    http.request({ method: 'GET', url: `${base}${path}`, origins: [origin], timeoutMs: TIMEOUT_MS });
  const answer = await get('/wp-json/');
  const pretty = indexOf(answer);
  const isElsewhere = answer.status < 400 || answer.status === 404;
  const index = pretty ?? (isElsewhere ? indexOf(await get('/?rest_route=/')) : undefined);
  return { answer, index, isPlain: index !== undefined && index !== pretty, get };
}

function indexOf({ status, body }: HttpResponse): SiteIndex | undefined {
  return status === 200 ? indexSchema.safeParse(parsed(body)).data : undefined;
}

/** @param what is opened by it: `a password and a key`. */
export function encryption({ origin }: ExamineInput, what: string): Finding {
  return origin.startsWith('https:')
    ? good('It is reached over https.')
    : bad(`It is reached over http: ${what} can be read on the way. Have it use https.`);
}

/** @param consequence what goes wrong with a wrong clock, as a sentence. */
export function clock({ answer }: Site, consequence: string): Finding {
  const skewMs = Math.abs(Date.now() - Date.parse(answer.headers.date ?? ''));
  if (!(skewMs > SKEW_MS)) return good('Its clock is right.'); // also without a readable date
  return bad(`Its clock is ${Math.round(skewMs / 60_000)} minutes off. ${consequence} Set the server's time.`);
}

/** Why the REST API says nothing of itself. @param what is looked at: `shop`. @param credential what needs the API: `key`. */
export function silence({ answer: { status } }: Site, what: string, credential: string): Finding {
  if (status === 401 || status === 403)
    return bad(
      `Its REST API is closed to strangers (${status}), by a firewall or a plugin. A ${credential} may still work.`,
    );
  // `wp_maintenance`: while an update runs, and until ten minutes after one that broke off.
  if (status === 503)
    return bad(
      'It is in maintenance, or overloaded (503). Look again in ten minutes; if it stays so, an update broke off, and the file .maintenance is to be deleted from its folder.',
    );
  if (status === 429 || status >= 500) return bad(`Its REST API answers ${status} just now. Look again later.`);
  return bad(`There is no REST API of WordPress here (${status}). Is this the ${what}'s own address, with its folder?`);
}

/** WordPress names the address that it is signed in at; nothing of it is repeated. */
export function place({ base }: ExamineInput, { url }: SiteIndex): readonly Finding[] {
  const told = URL.parse(url ?? '');
  if (told === null || withoutEnd(`${told.origin}${told.pathname}`, '/') === base) return [];
  return [
    bad(
      'It knows itself by another address than this one, and sends sign-ins there: in WordPress under Settings › General, “WordPress Address” says which. Ask with that one.',
    ),
  ];
}

/** Whether the form for signing in is where a browser looks for it. */
export async function signIn({ get }: Site): Promise<Finding> {
  const { status, body } = await get('/wp-login.php');
  if (status === 200 && body.includes('user_login') && body.includes('user_pass'))
    return good('Its sign-in page is where WordPress has it.');
  return bad(
    `Its sign-in page is not at /wp-login.php, or not open to everybody (${status}). I can't sign in there; “How to do it by hand” lists how it is done by hand.`,
  );
}
