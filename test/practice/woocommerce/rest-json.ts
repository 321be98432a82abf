import type { PracticeOrder, PracticeProduct } from './catalogue.ts';
import type { Shop } from './state.ts';

/** The fields of `wc/v3` that integrations usually read; the real answers have many more. */
export function productJson(origin: string, product: PracticeProduct) {
  const slug = product.name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  return {
    id: product.id,
    name: product.name,
    slug,
    permalink: `${origin}/product/${slug}/`,
    date_created: wordPressDate(product.createdAt),
    type: 'simple',
    status: product.status,
    sku: product.sku,
    price: product.price,
    regular_price: product.price,
    manage_stock: true,
    stock_quantity: product.stock,
    stock_status: product.stock > 0 ? 'instock' : 'outofstock',
    categories: [{ id: 15, name: 'Uncategorized', slug: 'uncategorized' }],
    images: [],
  };
}

export function orderJson(order: PracticeOrder) {
  const [first_name, last_name = ''] = order.customerName.split(' ');
  return {
    id: order.id,
    number: String(order.id),
    status: order.status,
    currency: 'USD',
    date_created: wordPressDate(order.createdAt),
    total: order.total,
    billing: { first_name, last_name },
    line_items: [],
  };
}

export function systemStatusJson(shop: Shop) {
  return {
    environment: {
      home_url: shop.origin,
      site_url: shop.origin,
      version: '11.0.1',
      wp_version: '7.1',
      language: 'en_US',
      server_info: 'practice shop',
    },
    settings: { api_enabled: true, currency: 'USD', force_ssl: false },
    security: { secure_connection: shop.isSecure, hide_errors: true },
    active_plugins: [{ plugin: 'woocommerce/woocommerce.php', name: 'WooCommerce', version: '11.0.1' }],
  };
}

/** `2026-09-01T09:30:00`: without a zone, as WordPress writes it. */
function wordPressDate(date: Date): string {
  return date.toISOString().slice(0, 19);
}
