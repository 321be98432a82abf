import { z } from 'zod';
import { CountersignError } from '../../errors.ts';
import type { HttpResponse } from '../../ports/http.ts';
import type { Secret } from '../../secret.ts';
import { type Failed, fails, parsed } from '../answers.ts';
import type { VerifyInput, VerifyResult } from '../service.ts';
import { type Mode, modeOf } from './permissions.ts';
import { levelOf, OUTSIDE, RESOURCES } from './resources.ts';
import { apiOf } from './target.ts';
import { control, isMissing, writeProbes } from './write-probe.ts';

const TIMEOUT_MS = 10_000;
/** A generally available version of Stripe's API, so that what is read here does not change by itself. */
const VERSION = '2026-05-27.dahlia';

const errorSchema = z.object({ error: z.object({ code: z.string().optional(), message: z.string().optional() }) });
const balanceSchema = z.object({ object: z.literal('balance'), livemode: z.boolean() });

/** What an answer says of the key. */
type Meaning =
  | { readonly kind: 'allowed' }
  /** The key lives and may not do this; `account` where Stripe names it. */
  | { readonly kind: 'forbidden'; readonly account?: string }
  | Failed;

/**
 * Proves a restricted key without changing anything: by the balance, and with it the mode; by one entry of everything that was
 * consented to; by the refusal of the rest of the list, and of things outside it; and by changes of what there is not, which
 * tell who may write. Meanings of the answers: Stripe's API errors as public tests and captures show them.
 */
export async function verify(input: VerifyInput): Promise<VerifyResult> {
  const key = input.credential.restricted_key;
  if (key === undefined) return fails('The restricted key is missing.');
  const mode = modeOf(input.permissions);
  const problem = prefixProblem(key.reveal(), mode);
  if (problem !== undefined) return fails(problem);
  try {
    return await prove(input, key, mode);
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    if (error.code === 'network') return fails('Stripe could not be reached to check the key.', true);
    if (error.code === 'egress_refused')
      return fails('Stripe may not be reached from here, so the key was not checked.');
    throw error;
  }
}

/** @returns a sentence, without anything of the text, when it is no restricted key of this mode. */
export function prefixProblem(text: string, mode: Mode): string | undefined {
  if (/^sk_/.test(text))
    return 'That is a secret key (sk_…), which may do everything. Make a restricted key, which begins with rk_, and roll the secret key if others may have seen it.';
  if (/^pk_/.test(text))
    return 'That is a publishable key (pk_…), which can’t read anything. Enter the restricted key, which begins with rk_.';
  if (/^whsec_/.test(text))
    return 'That is the secret of a webhook (whsec_…). Enter the restricted key, which begins with rk_.';
  const found = /^rk_(test|live)_[A-Za-z0-9]{16,240}$/.exec(text)?.[1];
  if (found === undefined)
    return `That does not look like a restricted key: one begins with rk_${mode}_, and nothing of it is left out.`;
  if (found === mode) return undefined;
  return found === 'live'
    ? 'That key is for live mode, with real money, and test mode was approved.'
    : 'That key is for test mode, and live mode was approved.';
}

async function prove(input: VerifyInput, key: Secret, mode: Mode): Promise<VerifyResult> {
  const balance = await ask(input, key, '/v1/balance');
  const first = meaningOf(balance);
  if (first.kind === 'fails') return first;
  if (first.kind === 'forbidden')
    return fails(
      `Stripe knows the key${ofAccount(first.account)}, but it may not read the balance, which was approved.`,
    );
  const read = balanceSchema.safeParse(parsed(balance.body)).data;
  if (read === undefined) return fails('Stripe answered 200, but with something else than a balance.');
  if (read.livemode !== (mode === 'live'))
    return fails(
      read.livemode
        ? 'Stripe says that the key is for live mode, and test mode was approved.'
        : 'Stripe says that the key is for test mode, and live mode was approved.',
    );
  return power(input, key, mode);
}

/** Whether the key reads what was consented to, and nothing beside it. */
async function power(input: VerifyInput, key: Secret, mode: Mode): Promise<VerifyResult> {
  const wanted = RESOURCES.filter((resource) => levelOf(resource, input.permissions) !== 'none');
  const unwanted = RESOURCES.filter(
    (resource) => !wanted.includes(resource) && !wanted.some(({ id }) => id === resource.impliedBy),
  );
  const probes = [
    ...wanted.map(({ words, path }) => ({ words, path, isWanted: true })),
    ...[...unwanted, ...OUTSIDE].map(({ words, path }) => ({ words, path, isWanted: false })),
  ].filter(({ path }) => path !== '/v1/balance');
  const lacking: string[] = [];
  const excess: string[] = [];
  let account: string | undefined;
  for (const { words, path, isWanted } of probes) {
    const meaning = meaningOf(await ask(input, key, path));
    if (meaning.kind === 'fails') return meaning;
    if (meaning.kind === 'forbidden') account ??= meaning.account;
    if (isWanted && meaning.kind === 'forbidden') lacking.push(words);
    if (!isWanted && meaning.kind === 'allowed') excess.push(words);
  }
  if (excess.length > 0) return tooMuch(`it also reads ${listed(excess)}`);
  if (lacking.length > 0) return tooLittle(`it does not read ${listed(lacking)}`);
  const writing = await mayWrite(input, key);
  if (writing.kind === 'fails') return writing;
  const refused = probes.filter(({ isWanted }) => !isWanted).length;
  return {
    kind: 'works',
    checked: `Stripe answered 200 in ${mode} mode${ofAccount(account)}: the key reads what was approved, and ${refused} other things are refused to it${writing.words}`,
    method: 'GET balance and one entry of each resource, POST to nothing, Bearer over https',
  };
}

/** Whether the key may change what was consented to, and nothing beside it; `words` for the end of a sentence. */
async function mayWrite(
  input: VerifyInput,
  key: Secret,
): Promise<{ readonly kind: 'seen'; readonly words: string } | Extract<Meaning, { kind: 'fails' }>> {
  const change = async (path: string) => {
    const answer = await ask(input, key, path, 'POST');
    return isMissing(answer) ? ({ kind: 'allowed' } as const) : meaningOf(answer);
  };
  const unseen = { kind: 'seen', words: '; whether it may change anything could not be seen' } as const;
  const first = await change(control());
  if (first.kind === 'fails' && first.isRetryable) return first;
  if (first.kind !== 'forbidden') return unseen;
  let isSilent = false;
  const lacking: string[] = [];
  const excess: string[] = [];
  for (const { words, path, isWanted } of writeProbes(input.permissions)) {
    const meaning = await change(path);
    if (meaning.kind === 'fails' && meaning.isRetryable) return meaning;
    if (meaning.kind === 'fails') isSilent = true; // what the others say counts all the same
    if (isWanted && meaning.kind === 'forbidden') lacking.push(words);
    if (!isWanted && meaning.kind === 'allowed') excess.push(words);
  }
  if (excess.length > 0) return tooMuch(`it may also ${listed(excess)}`);
  if (lacking.length > 0) return tooLittle(`it may not ${listed(lacking)}`);
  return isSilent ? unseen : { kind: 'seen', words: '' };
}

function tooMuch(what: string) {
  return fails(
    `The key may do more than was approved: ${what}. Expire it in Stripe, and make one with exactly the rows that were approved.`,
  );
}

function tooLittle(what: string) {
  return fails(`The key may do less than was approved: ${what}. Edit its permissions in Stripe, or make another one.`);
}

function ask(input: VerifyInput, key: Secret, path: string, method: 'GET' | 'POST' = 'GET'): Promise<HttpResponse> {
  const origin = apiOf(input.base);
  return input.http.request({
    method,
    url: `${origin}${path}`,
    origins: [origin],
    auth: { kind: 'bearer', token: key },
    headers: { 'stripe-version': VERSION },
    timeoutMs: TIMEOUT_MS,
  });
}

/** Nothing of Stripe's own words is passed on: they quote head and tail of the key. */
function meaningOf({ status, body }: HttpResponse): Meaning {
  if (status === 200) return { kind: 'allowed' };
  const { code, message = '' } = errorSchema.safeParse(parsed(body)).data?.error ?? {};
  if (status === 401) return unauthorised(code, message);
  if (status === 403) return forbidden(code, message);
  if (status === 429 || code === 'lock_timeout' || status >= 500)
    return fails(`Stripe answered ${status}, so the key could not be checked now.`, true);
  return fails(`Stripe answered ${status}, so the key could not be checked.`);
}

function unauthorised(code: string | undefined, message: string): Failed {
  if (code === 'api_key_expired')
    return notTaken('Stripe says that the key has expired (401): it was expired, rotated or deleted.');
  if (/does not allow requests from your IP/i.test(message))
    return fails(
      'Stripe refuses this server’s address (401). The key itself may be good: an access policy or a list of addresses in Stripe does not name this server.',
    );
  return notTaken('Stripe does not know the key (401). It may be mutilated: copy it again, whole.');
}

function notTaken(reason: string): Failed {
  return { ...fails(reason), refusedWith: '401' };
}

function forbidden(code: string | undefined, message: string): Meaning {
  if (code === 'approval_required')
    return fails('Stripe wants somebody to approve what this key does (403), as it does for keys of an AI agent.');
  if (/does not have access to account/i.test(message))
    return fails('Stripe says that the key has no access to its account any more (403).');
  const account = /\bacct_[A-Za-z0-9]{1,40}\b/.exec(message)?.[0];
  const isOfPermissions = /does not have the required permissions|\brak_[a-z_]+/.test(message);
  if (isOfPermissions) return { kind: 'forbidden', ...(account === undefined ? {} : { account }) };
  return fails('Stripe refuses the request (403), without saying that it is the key’s permissions.');
}

function ofAccount(account: string | undefined): string {
  return account === undefined ? '' : ` of account ${account}`;
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}
