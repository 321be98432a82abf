import { z } from 'zod';
import type { Grant } from '../service.ts';

/** What the shop's server posts. Seen in WooCommerce 11.0.1 (`WC_Auth`). */
const sentSchema = z.object({
  key_id: z.number(),
  user_id: z.string(),
  consumer_key: z.string(),
  consumer_secret: z.string(),
  key_permissions: z.string(),
});

/** WordPress posts to no other ports, and WooCommerce to https alone. Source: `wp_http_validate_url`, `WC_Auth`. */
const PORTS = ['', '80', '8080'];

/**
 * WooCommerce's own page for connecting a program: the person signs in at the shop, sees what the key may do, and the
 * shop's server posts the key, once. Unless we take it, the shop deletes it again.
 */
export const grant: Grant = {
  worksAt: ({ protocol, port }) => protocol === 'https:' && PORTS.includes(port),
  url({ base, label, values, reference, callbackUrl, returnUrl }) {
    const url = new URL(`${base}/wc-auth/v1/authorize`);
    url.search = new URLSearchParams({
      app_name: label,
      scope: values.scope ?? '',
      user_id: reference,
      return_url: returnUrl,
      callback_url: callbackUrl,
    }).toString();
    return url.href;
  },
  read(sent, { reference, values }) {
    const { data } = sentSchema.safeParse(sent);
    if (!data || data.user_id !== reference || data.key_permissions !== values.scope) return undefined;
    return { consumer_key: data.consumer_key, consumer_secret: data.consumer_secret };
  },
};
