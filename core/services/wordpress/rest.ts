import type { HttpRequest, HttpResponse } from '../../ports/http.ts';
import { apiError, hostOf, locationOf, parsed } from '../answers.ts';
import type { VerifyInput, VerifyResult } from '../service.ts';

const TIMEOUT_MS = 20_000;

type Refused = Extract<VerifyResult, { kind: 'fails' }>;

/** Whether the credential has both of its parts. */
export function isWhole({ credential }: VerifyInput): boolean {
  return credential.username !== undefined && credential.application_password !== undefined;
}

/**
 * Asks WordPress's REST API as the account: by its pretty address, or by `?rest_route=` where permalinks are plain and the
 * first one leads to some page. Basic, to the consented origin alone; the answer to the second where there are two.
 * @param route such as `/wp/v2/users/me`
 */
export async function ask(
  input: VerifyInput,
  method: HttpRequest['method'],
  route: string,
  query: Readonly<Record<string, string>> = {},
): Promise<HttpResponse> {
  const pretty = await send(input, method, `${input.base}/wp-json${route}`, query);
  const isPage = pretty.status < 401 || pretty.status === 404;
  return isPage && !isJson(pretty) ? send(input, method, `${input.base}/`, { rest_route: route, ...query }) : pretty;
}

async function send(
  { http, origin, credential }: VerifyInput,
  method: HttpRequest['method'],
  address: string,
  query: Readonly<Record<string, string>>,
): Promise<HttpResponse> {
  const { username, application_password: password } = credential;
  const url = new URL(address);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return http.request({
    method,
    url: url.href,
    origins: [origin],
    ...(username && password ? { auth: { kind: 'basic', username, password } } : {}),
    timeoutMs: TIMEOUT_MS,
  });
}

function isJson({ body }: HttpResponse): boolean {
  return parsed(body) !== undefined;
}

/** Refused for what it is, whoever asks again (`wp_authenticate_application_password`). */
const NOT_TAKEN = ['incorrect_password', 'invalid_username', 'invalid_email'];
export function isNotTaken(code: string | undefined): boolean {
  return code !== undefined && NOT_TAKEN.includes(code);
}

/** `wp_authenticate_application_password`, `wp_is_application_passwords_available_for_user` */
const SWITCHED_OFF = ['application_passwords_disabled', 'application_passwords_disabled_for_user'];

/** Why WordPress did not answer as it should, in words, and whether asking again could help. */
export function refusal(input: VerifyInput, answer: HttpResponse): Omit<Refused, 'kind'> {
  const { status } = answer;
  const say = (reason: string, isRetryable = false) => ({ reason, isRetryable });
  const notTaken = (reason: string) => ({ ...say(reason), refusedWith: String(status) });
  const host = hostOf(input);
  if (status >= 300 && status < 400)
    return say(`${host} sends the request to ${locationOf(input, answer)}. Ask again with the address it leads to.`);
  if (status === 429 || status >= 500) return say(`${host} answered ${status}, so it could not be asked now.`, true);
  const code = apiError(answer)?.code;
  if (code === undefined) return say(withoutApi(host, status));
  if (isNotTaken(code)) return notTaken(`${host} does not accept the application password (${status}).`);
  if (SWITCHED_OFF.includes(code))
    return say(`${host} has application passwords switched off (${status}); a plugin or the site's host does that.`);
  // WordPress 6.1 says this of a wrong password, too.
  if (code === 'rest_not_logged_in')
    return notTaken(
      `${host} does not take the application password (${status}): it was ended there, or a server before the site keeps it from WordPress or does not tell it that the connection is encrypted, or application passwords were switched off.`,
    );
  if (status === 404)
    return say(
      `${host} has a REST API, but not this part of it (404). A security plugin may have closed it; then application passwords can't be used there.`,
    );
  return say(
    `${host} refuses its REST API (${status}). A security plugin may have closed it; then application passwords can't be used there.`,
  );
}

function withoutApi(host: string, status: number): string {
  if (status === 401 || status === 403)
    return `${host} refuses the request (${status}); a firewall or a security plugin may stand before its REST API.`;
  return `${host} has no REST API, neither at /wp-json nor by ?rest_route= (${status}). A plugin may have switched it off; then application passwords can't be used there.`;
}
