import type { Shop } from '../state.ts';

export type SettingsRow = { readonly id: string; readonly label: string } & (
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'checkbox'; readonly isChecked: boolean }
  | { readonly kind: 'select'; readonly options: readonly string[] }
);

interface SettingsGroup {
  readonly title: string;
  readonly intro: string;
  readonly rows: readonly SettingsRow[];
}

const text = (id: string, label: string, value = ''): SettingsRow => ({ id, label, kind: 'text', value });
const tick = (id: string, label: string, isChecked = false): SettingsRow => ({
  id,
  label,
  kind: 'checkbox',
  isChecked,
});
const pick = (id: string, label: string, ...options: string[]): SettingsRow => ({ id, label, kind: 'select', options });

/** Settings of a tab that this shop shows but doesn't keep: enough to look like the real page, and to get lost on. */
export function settingsRows(shop: Shop, tab: string, section: string): SettingsGroup {
  const name = section === '' ? tab : `${tab}/${section}`;
  return GROUPS[name] ?? (tab === 'general' ? generalGroup(shop) : EMPTY);
}

function generalGroup(shop: Shop): SettingsGroup {
  return {
    title: 'Store Address',
    intro: `This is where ${shop.name} is located. Tax rates and shipping rates will use this address.`,
    rows: [
      text('store_address', 'Address line 1', '12 Example Street'),
      text('store_city', 'City', 'Portland'),
      pick('default_country', 'Country / State', 'United States (US) — Oregon', 'Canada — Ontario', 'Portugal'),
      text('store_postcode', 'Postcode / ZIP', '97201'),
      pick('allowed_countries', 'Selling location(s)', 'Sell to all countries', 'Sell to specific countries'),
      tick('calc_taxes', 'Enable taxes'),
      pick('currency', 'Currency', 'United States (US) dollar ($)', 'Euro (€)', 'Pound sterling (£)'),
    ],
  };
}

const EMPTY: SettingsGroup = {
  title: 'Nothing to set here',
  intro: 'This section is not part of the practice shop.',
  rows: [],
};

const GROUPS: Readonly<Record<string, SettingsGroup>> = {
  products: {
    title: 'Shop pages',
    intro: 'How products are shown and measured.',
    rows: [
      pick('shop_page_id', 'Shop page', 'Shop', 'Home'),
      tick('cart_redirect_after_add', 'Redirect to the cart page after successful addition'),
      pick('weight_unit', 'Weight unit', 'kg', 'g', 'lbs'),
      pick('dimension_unit', 'Dimensions unit', 'cm', 'in'),
    ],
  },
  'products/inventory': {
    title: 'Inventory',
    intro: 'Stock is counted per product.',
    rows: [
      tick('manage_stock', 'Enable stock management', true),
      text('hold_stock_minutes', 'Hold stock (minutes)', '60'),
    ],
  },
  shipping: {
    title: 'Shipping zones',
    intro: 'A shipping zone consists of the regions you would like to ship to and the methods offered.',
    rows: [pick('zone_default', 'Rest of the world', 'No shipping methods offered', 'Flat rate')],
  },
  checkout: {
    title: 'Payment providers',
    intro: 'Ways to pay that are offered at the checkout.',
    rows: [tick('bacs', 'Direct bank transfer', true), tick('cod', 'Cash on delivery')],
  },
  account: {
    title: 'Accounts and privacy',
    intro: 'Guest checkout and account creation.',
    rows: [
      tick('enable_guest_checkout', 'Enable guest checkout', true),
      tick('enable_signup', 'Allow account creation at checkout'),
    ],
  },
  email: {
    title: 'Email sender options',
    intro: 'How the sender appears in outgoing messages.',
    rows: [
      text('email_from_name', '"From" name', 'Practice shop'),
      text('email_from_address', '"From" address', 'owner@practice-shop.example'),
    ],
  },
  'site-visibility': {
    title: 'Site visibility',
    intro: 'Manage how your site appears to visitors.',
    rows: [
      pick('coming_soon', 'Visibility', 'Coming soon', 'Live'),
      tick('store_pages_only', 'Apply to store pages only', true),
    ],
  },
  'point-of-sale': {
    title: 'Store details',
    intro: 'What stands on a receipt.',
    rows: [text('pos_store_name', 'Store name', 'Practice shop'), text('pos_refund_policy', 'Refund & returns policy')],
  },
  advanced: {
    title: 'Page setup',
    intro: 'These pages need to be set so that WooCommerce knows where to send customers to checkout.',
    rows: [
      pick('cart_page_id', 'Cart page', 'Cart'),
      pick('checkout_page_id', 'Checkout page', 'Checkout'),
      pick('myaccount_page_id', 'My account page', 'My account'),
    ],
  },
  'advanced/features': {
    title: 'Features',
    intro: 'Start using new features that are being progressively rolled out.',
    rows: [tick('feature_analytics', 'Analytics', true), tick('feature_remote_logging', 'Remote logging')],
  },
};
