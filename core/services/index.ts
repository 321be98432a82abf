import type { Service } from './service.ts';
import { shopify } from './shopify/index.ts';
import { stripe } from './stripe/index.ts';
import { woocommerce } from './woocommerce/index.ts';
import { wordpress } from './wordpress/index.ts';

/** Every service, one line each. */
export const services: readonly Service[] = [woocommerce, wordpress, stripe, shopify];

/** The service with this id; `undefined` when there is none. */
export function getService(id: string): Service | undefined {
  return services.find((service) => service.id === id);
}
