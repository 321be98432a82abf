import { z } from 'zod';
import { fails, hostOf, outage, parsed } from '../answers.ts';
import type { VerifyInput, VerifyResult } from '../service.ts';

const TIMEOUT_MS = 10_000;
const meSchema = z.object({ account: z.string() });

/** Proves a token by asking whose it is. What the answer says beyond that is the site's own text, and is not repeated. */
export async function verify(input: VerifyInput): Promise<VerifyResult> {
  const { base, origin, http, credential } = input;
  const { token } = credential;
  if (token === undefined) return fails('The token is missing.');
  try {
    const { status, body } = await http.request({
      method: 'GET',
      url: `${base}/api/me`,
      origins: [origin],
      auth: { kind: 'bearer', token },
      timeoutMs: TIMEOUT_MS,
    });
    if (status === 401) return fails(`${hostOf(input)} does not accept the token (401).`);
    if (status !== 200)
      return fails(`${hostOf(input)} answered ${status}, so the token was not checked.`, status >= 500);
    return meSchema.safeParse(parsed(body)).success
      ? { kind: 'works', checked: `${hostOf(input)} answered 200 and knows the account`, method: 'GET me, Bearer' }
      : fails(`${hostOf(input)} answered 200, but not with an account.`);
  } catch (error) {
    return outage(input, 'token', error);
  }
}
