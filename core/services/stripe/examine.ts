import { bad, good } from '../answers.ts';
import type { ExamineInput, Finding } from '../service.ts';
import { apiOf } from './target.ts';

const TIMEOUT_MS = 10_000;

/** Whether Stripe's API can be reached from here: to whoever has no key it says so. */
export async function examine({ base, http }: ExamineInput): Promise<readonly Finding[]> {
  const origin = apiOf(base);
  const url = `${origin}/v1/balance`;
  const { status } = await http.request({ method: 'GET', url, origins: [origin], timeoutMs: TIMEOUT_MS });
  return [
    status === 401
      ? good('Its API answers, and asks for a key.')
      : bad(`Its API answers ${status} where it should ask for a key (401): something may stand between it and here.`),
  ];
}
