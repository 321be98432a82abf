import type { Intent } from '../../bot/intent.ts';
import type { Unclear } from '../../bot/intent-text.ts';
import type { Model } from '../../core/ports/model.ts';

/** Three services that somebody may name, by other names as well. */
export const SERVICES = [
  { id: 'woocommerce', name: 'WooCommerce', aliases: ['woo', 'woo commerce', 'wc'] },
  { id: 'wordpress', name: 'WordPress', aliases: ['word press', 'wp'] },
  { id: 'shopify', name: 'Shopify', aliases: [], targetName: /^[a-z0-9][a-z0-9-]{0,62}$/ },
];

export const setUp = (
  service: string | undefined,
  more: { target?: string; wantsWrite?: boolean; unknownService?: string; unclear?: Unclear } = {},
): Intent => ({
  kind: 'set_up',
  service,
  target: more.target,
  wantsWrite: more.wantsWrite ?? false,
  ...(more.unknownService !== undefined && { unknownService: more.unknownService }),
  ...(more.unclear && { unclear: more.unclear }),
});
export const unsure = (nearest?: string): Intent => ({ kind: 'unsure', ...(nearest && { nearest }) });

export const WOO = setUp('woocommerce');
export const wooFor = (address: string, wantsWrite = false) => setUp('woocommerce', { target: address, wantsWrite });

/** A model that answers what it is told to and keeps the texts it was shown. */
export function scriptedModel(answer: unknown): Model & { readonly texts: string[] } {
  const texts: string[] = [];
  return {
    texts,
    answer: async ({ text, schema }) => {
      texts.push(text);
      if (answer instanceof Error) throw answer;
      const parsed = schema.safeParse(answer);
      return parsed.success ? parsed.data : undefined;
    },
  };
}

/** What a model answers that sees a set-up. */
export const says = (more: object) => ({ kind: 'set_up', service: null, unknownService: null, target: null, ...more });
