import { bad, good } from '../answers.ts';
import type { ExamineInput, Finding } from '../service.ts';

const TIMEOUT_MS = 10_000;

/** Whether Shopify knows a store of this name, by its front page: which may be closed to visitors without being closed. */
export async function examine({ base, origin, http }: ExamineInput): Promise<readonly Finding[]> {
  const { status } = await http.request({ method: 'GET', url: `${base}/`, origins: [origin], timeoutMs: TIMEOUT_MS });
  if (status === 404)
    return [
      bad('Shopify has no store of this name, or it is closed (404). In Shopify, Settings › Domains shows its name.'),
    ];
  if (status === 402 || status === 423) return [bad(`Shopify has closed this store for now (${status}).`)];
  if (status === 429 || status >= 500) return [bad(`Shopify answers ${status} just now. Look again later.`)];
  return [good('Shopify knows a store of this name.')];
}
