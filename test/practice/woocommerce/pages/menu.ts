import { type Html, html, when } from '../html.ts';
import { type IconName, icon } from './icons.ts';

/** The entry that is marked as current: `woocommerce`, or `woocommerce/settings` for one below it. */
export type MenuPlace = string;

interface MenuEntry {
  readonly slug: string;
  readonly label: string;
  readonly href: string;
  readonly icon: IconName;
  readonly below?: readonly (readonly [slug: string, label: string, href: string])[];
}

const ADMIN = '/wp-admin/';

/** "Settings" stands here twice, below WooCommerce and on its own, as in a real shop. */
const MENU: readonly (MenuEntry | 'separator')[] = [
  {
    slug: 'dashboard',
    label: 'Dashboard',
    href: 'index.php',
    icon: 'dashboard',
    below: [
      ['home', 'Home', 'index.php'],
      ['updates', 'Updates', 'update-core.php'],
    ],
  },
  'separator',
  { slug: 'posts', label: 'Posts', href: 'edit.php', icon: 'posts' },
  { slug: 'media', label: 'Media', href: 'upload.php', icon: 'media' },
  { slug: 'pages', label: 'Pages', href: 'edit.php?post_type=page', icon: 'pages' },
  { slug: 'comments', label: 'Comments', href: 'edit-comments.php', icon: 'comments' },
  'separator',
  {
    slug: 'woocommerce',
    label: 'WooCommerce',
    href: 'admin.php?page=wc-admin',
    icon: 'woocommerce',
    below: [
      ['home', 'Home', 'admin.php?page=wc-admin'],
      ['orders', 'Orders', 'admin.php?page=wc-orders'],
      ['customers', 'Customers', 'admin.php?page=wc-admin&path=%2Fcustomers'],
      ['reports', 'Reports', 'admin.php?page=wc-reports'],
      ['settings', 'Settings', 'admin.php?page=wc-settings'],
      ['status', 'Status', 'admin.php?page=wc-status'],
      ['extensions', 'Extensions', 'admin.php?page=wc-admin&path=%2Fextensions'],
    ],
  },
  {
    slug: 'products',
    label: 'Products',
    href: 'edit.php?post_type=product',
    icon: 'products',
    below: [
      ['all', 'All Products', 'edit.php?post_type=product'],
      ['new', 'Add new product', 'post-new.php?post_type=product'],
      ['categories', 'Categories', 'edit-tags.php?taxonomy=product_cat&post_type=product'],
      ['attributes', 'Attributes', 'edit.php?post_type=product&page=product_attributes'],
    ],
  },
  { slug: 'payments', label: 'Payments', href: 'admin.php?page=wc-settings&tab=checkout', icon: 'payments' },
  { slug: 'analytics', label: 'Analytics', href: 'admin.php?page=wc-admin&path=%2Fanalytics', icon: 'analytics' },
  { slug: 'marketing', label: 'Marketing', href: 'admin.php?page=wc-admin&path=%2Fmarketing', icon: 'marketing' },
  'separator',
  { slug: 'appearance', label: 'Appearance', href: 'themes.php', icon: 'appearance' },
  { slug: 'plugins', label: 'Plugins', href: 'plugins.php', icon: 'plugins' },
  { slug: 'users', label: 'Users', href: 'users.php', icon: 'people' },
  { slug: 'tools', label: 'Tools', href: 'tools.php', icon: 'tools' },
  {
    slug: 'settings',
    label: 'Settings',
    href: 'options-general.php',
    icon: 'settings',
    below: [
      ['general', 'General', 'options-general.php'],
      ['writing', 'Writing', 'options-writing.php'],
      ['reading', 'Reading', 'options-reading.php'],
      ['permalinks', 'Permalinks', 'options-permalink.php'],
      ['privacy', 'Privacy', 'options-privacy.php'],
    ],
  },
];

export function adminMenu(place: MenuPlace): Html {
  const [parent = '', child = ''] = place.split('/');
  return html`<div id="adminmenumain" role="navigation" aria-label="Main menu">
<a href="#wpbody-content" class="screen-reader-shortcut">Skip to main content</a>
<div id="adminmenuback"></div>
<div id="adminmenuwrap">
<ul id="adminmenu">
${MENU.map((entry) => (entry === 'separator' ? SEPARATOR : menuItem(entry, parent, child)))}
<li id="collapse-menu" class="hide-if-no-js"><button type="button" id="collapse-button" aria-label="Collapse Main Menu" aria-expanded="true">${icon('collapse')}<span class="collapse-button-label" aria-hidden="true">Collapse Menu</span></button></li>
</ul>
</div>
</div>`;
}

const SEPARATOR = html`<li class="wp-not-current-submenu wp-menu-separator" aria-hidden="true"><div class="separator"></div></li>
`;

function menuItem(entry: MenuEntry, parent: string, child: string): Html {
  const isOpen = entry.slug === parent;
  const state = isOpen ? 'wp-has-current-submenu wp-menu-open' : 'wp-not-current-submenu';
  return html`<li class="${entry.below ? 'wp-has-submenu ' : ''}${state} menu-top" id="menu-${entry.slug}">
<a href="${ADMIN}${entry.href}" class="${state} menu-top"><div class="wp-menu-image" aria-hidden="true">${icon(entry.icon)}</div><div class="wp-menu-name">${entry.label}</div></a>
${when(entry.below !== undefined, subMenu(entry, isOpen ? child : ''))}</li>
`;
}

function subMenu(entry: MenuEntry, child: string): Html {
  const items = (entry.below ?? []).map(([slug, label, href]) => {
    const current = slug === child ? html` class="current" aria-current="page"` : undefined;
    return html`<li${slug === child ? html` class="current"` : undefined}><a href="${ADMIN}${href}"${current}>${label}</a></li>`;
  });
  return html`<ul class="wp-submenu wp-submenu-wrap"><li class="wp-submenu-head" aria-hidden="true">${entry.label}</li>${items}</ul>`;
}
