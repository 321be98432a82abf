import { z } from 'zod';
import { type HttpResponse, isUnencrypted } from '../../ports/http.ts';
import { apiError, fails, hostOf, outage, parsed } from '../answers.ts';
import type { RevokeResult, VerifyInput } from '../service.ts';
import { ask, isNotTaken, isWhole, refusal } from './rest.ts';

const LIST = '/wp/v2/users/me/application-passwords';
/** `WP_REST_Application_Passwords_Controller`, since WordPress 5.7. */
const ownSchema = z.object({ uuid: z.uuid() });
const deletedSchema = z.object({ deleted: z.literal(true) });

/**
 * Ends the application password by its own power: it says which one it is (`introspect`), and that one is deleted. A password
 * of which WordPress says for sure that it is none has been ended already.
 */
export async function revoke(input: VerifyInput): Promise<RevokeResult> {
  if (!isWhole(input)) return fails('User name or application password is missing.');
  if (isUnencrypted(input.origin)) return fails(`${hostOf(input)} is opened by http, so the password was not sent.`);
  try {
    const own = await ask(input, 'GET', `${LIST}/introspect`);
    if (isGone(own)) return { kind: 'revoked' };
    const { uuid } = ownSchema.safeParse(parsed(own.body)).data ?? {};
    if (own.status !== 200 || uuid === undefined) return failed(input, own);
    const deleted = await ask(input, 'DELETE', `${LIST}/${uuid}`);
    if (deleted.status === 200 && deletedSchema.safeParse(parsed(deleted.body)).success) return { kind: 'revoked' };
    return isGone(deleted) ? { kind: 'revoked' } : failed(input, deleted);
  } catch (error) {
    return outage(input, 'password', error);
  }
}

function failed(input: VerifyInput, answer: HttpResponse): RevokeResult {
  const { reason, isRetryable, refusedWith } = refusal(input, answer);
  return { kind: 'fails', reason, isRetryable, isNotTaken: refusedWith !== undefined };
}

/** Somebody has ended it before. */
function isGone(answer: HttpResponse): boolean {
  return answer.status === 401 && isNotTaken(apiError(answer)?.code);
}
