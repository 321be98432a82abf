import type { ModelUsage } from '../../core/ports/model.ts';

/** US dollars for a million tokens. */
interface Price {
  readonly input: number;
  /** Into the cache, for five minutes. */
  readonly cacheWrite: number;
  readonly cacheRead: number;
  readonly output: number;
}

/** What one request used. */
export type Tokens = Pick<ModelUsage, 'inputTokens' | 'outputTokens' | 'cacheReadTokens' | 'cacheWriteTokens'>;

/**
 * By how a model's id begins, the first that fits. Source: platform.claude.com/docs/en/about-claude/pricing and the pages
 * of the 5.5 models, November 2026; a cache write costs 1.25 times an input token there.
 */
const PRICES: readonly (readonly [prefix: string, Price])[] = [
  ['claude-haiku-5-5', price(0.1, 0.01, 0.5)],
  ['claude-sonnet-5-5', price(2, 0.2, 10)],
  ['claude-opus-5-5', price(4, 0.2, 20)],
  ['claude-fable-5-', price(10, 0.25, 50)],
  ['claude-mythos-5-', price(10, 0.25, 50)],
  ['claude-fable-5', price(10, 1, 50)],
  ['claude-mythos-5', price(10, 1, 50)],
  ['claude-sonnet-5', price(2, 0.2, 10)],
  ['claude-opus-5', price(5, 0.5, 25)],
  ['claude-opus-4-8', price(5, 0.5, 25)],
  ['claude-opus-4-7', price(5, 0.5, 25)],
  ['claude-opus-4-6', price(5, 0.5, 25)],
  ['claude-opus-4-5', price(5, 0.5, 25)],
  ['claude-sonnet-4', price(3, 0.3, 15)],
  ['claude-haiku-4', price(1, 0.1, 5)],
];
/** What any other model is taken to cost: the dearest on that page (Opus 4.1), so that no budget is overrun unseen. */
const DEAREST = price(15, 1.5, 75);

/** Haiku 5.5 costs five times as much when a prompt is longer than this, in tokens; source as above. */
const LONG_PROMPT = 100_000;
const LONG_PROMPT_FACTOR = 5;

/** What one request cost, in US dollars. */
export function usdFor(model: string, tokens: Tokens): number {
  const { input, cacheWrite, cacheRead, output } = PRICES.find(([prefix]) => model.startsWith(prefix))?.[1] ?? DEAREST;
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens } = tokens;
  const millionths =
    inputTokens * input + cacheWriteTokens * cacheWrite + cacheReadTokens * cacheRead + outputTokens * output;
  const isLong = inputTokens + cacheReadTokens + cacheWriteTokens > LONG_PROMPT;
  const factor = model.startsWith('claude-haiku-5-5') && isLong ? LONG_PROMPT_FACTOR : 1;
  return (millionths * factor) / 1_000_000;
}

/** A 28 × 28 patch is a token: 1280 × 800 is 1,334. Source: platform.claude.com, vision. */
export function pictureTokens({ width, height }: { readonly width: number; readonly height: number }): number {
  return Math.ceil(width / 28) * Math.ceil(height / 28);
}

function price(input: number, cacheRead: number, output: number): Price {
  return { input, cacheWrite: input * 1.25, cacheRead, output };
}
