import { z } from 'zod';
import type { HttpResponse } from '../../ports/http.ts';
import type { ExamineInput, Finding } from '../service.ts';

const TIMEOUT_MS = 10_000;
const SKEW_MS = 5 * 60_000; // WooCommerce takes a signature for 15 minutes
/** What WordPress says of itself to anybody. Source: developer.wordpress.org/rest-api, “Discovery”. */
const indexSchema = z.object({ namespaces: z.array(z.string()) });

/** What a shop shows without any key: its REST API, WooCommerce, its clock, and whether it asks for the sign-in where expected. */
export async function examine({ base, origin, http }: ExamineInput): Promise<readonly Finding[]> {
  const get = (path: string) =>
    http.request({ method: 'GET', url: `${base}${path}`, origins: [origin], timeoutMs: TIMEOUT_MS });
  const index = await get('/wp-json/');
  return [
    encryption(origin),
    clock(index),
    ...(await restApi(index, () => get('/?rest_route=/'))),
    signIn(await get('/wp-login.php')),
  ];
}

function encryption(origin: string): Finding {
  return origin.startsWith('https:')
    ? good('It is reached over https.')
    : bad('It is reached over http: a password and a key can be read on the way. Have the shop use https.');
}

function clock({ headers: { date = '' } }: HttpResponse): Finding {
  const skewMs = Math.abs(Date.now() - Date.parse(date));
  if (!(skewMs > SKEW_MS)) return good('Its clock is right.'); // also without a readable date
  const minutes = Math.round(skewMs / 60_000);
  return bad(`Its clock is ${minutes} minutes off. Signed requests fail from 15 minutes on: set the server's time.`);
}

async function restApi(index: HttpResponse, plain: () => Promise<HttpResponse>): Promise<readonly Finding[]> {
  const found = namespacesOf(index);
  if (found) return [good('Its REST API answers.'), woocommerce(found)];
  if (index.status === 401 || index.status === 403)
    return [
      bad(`Its REST API is closed to strangers (${index.status}), by a firewall or a plugin. A key may still work.`),
    ];
  const hidden = index.status === 404 ? namespacesOf(await plain()) : undefined;
  return hidden
    ? [
        bad('Its REST API has no address: in WordPress under Settings › Permalinks, choose anything but “Plain”.'),
        woocommerce(hidden),
      ]
    : [
        bad(
          `There is no REST API of WordPress here (${index.status}). Is this the shop's own address, with its folder?`,
        ),
      ];
}

function woocommerce(namespaces: readonly string[]): Finding {
  return namespaces.includes('wc/v3')
    ? good('WooCommerce is active.')
    : bad('WordPress is here, but WooCommerce is not active, or too old: its REST API “wc/v3” is missing.');
}

function signIn({ status, body }: HttpResponse): Finding {
  if (status === 200 && body.includes('user_login') && body.includes('user_pass'))
    return good('Its sign-in page is where WordPress has it.');
  return bad(
    `Its sign-in page is not at /wp-login.php, or not open to everybody (${status}). I can't sign in there; “Show me the steps instead” lists how it is done by hand.`,
  );
}

function namespacesOf({ status, body }: HttpResponse): readonly string[] | undefined {
  if (status !== 200) return undefined;
  try {
    return indexSchema.safeParse(JSON.parse(body)).data?.namespaces;
  } catch {
    return undefined;
  }
}

function good(words: string): Finding {
  return { isGood: true, words };
}

function bad(words: string): Finding {
  return { isGood: false, words };
}
