import type { Service } from '../../../core/services/service.ts';
import { shopify } from '../../../core/services/shopify/index.ts';
import type { PracticeShopify } from './server.ts';

/** Shopify as it is, but whatever store is named is the practice one: its name has to be one that Shopify's own could have. */
export function practiceService({ origin }: Pick<PracticeShopify, 'origin'>): Service {
  return {
    ...shopify,
    parseTarget(text) {
      const target = shopify.parseTarget(text);
      return target.kind === 'target' ? { kind: 'target', origin, base: origin } : target;
    },
  };
}
