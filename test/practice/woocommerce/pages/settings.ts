import { type Html, type HtmlPart, html, when } from '../html.ts';
import { type SettingsRow, settingsRows } from './settings-rows.ts';
import { adminPage } from './shell.ts';
import { nonceOf, type Visit } from './visit.ts';

interface SettingsView {
  readonly tab: string;
  readonly section: string;
  readonly notice?: string | undefined;
  /** Instead of the rows of settings with their "Save changes". */
  readonly panel?: Html;
  readonly scripts?: readonly string[];
  readonly after?: HtmlPart;
}

const TABS: readonly (readonly [slug: string, label: string])[] = [
  ['general', 'General'],
  ['products', 'Products'],
  ['shipping', 'Shipping'],
  ['checkout', 'Payments'],
  ['account', 'Accounts & Privacy'],
  ['email', 'Emails'],
  ['integration', 'Integration'],
  ['site-visibility', 'Site visibility'],
  ['point-of-sale', 'Point of Sale'],
  ['advanced', 'Advanced'],
];

const SECTIONS: Readonly<Record<string, readonly (readonly [slug: string, label: string])[]>> = {
  products: [
    ['', 'General'],
    ['inventory', 'Inventory'],
    ['downloadable', 'Downloadable products'],
  ],
  shipping: [
    ['', 'Shipping zones'],
    ['options', 'Shipping settings'],
    ['classes', 'Classes'],
  ],
  advanced: [
    ['', 'Page setup'],
    ['keys', 'REST API keys'],
    ['webhooks', 'Webhooks'],
    ['woocommerce_com', 'WooCommerce.com'],
    ['blueprint', 'Blueprint (beta)'],
    ['features', 'Features'],
  ],
};

const SETTINGS_PATH = '/wp-admin/admin.php?page=wc-settings';

/** WooCommerce > Settings: one form around tabs, sub links and whatever the section holds. */
export function settingsPage(visit: Visit, view: SettingsView): Html {
  const label = TABS.find(([slug]) => slug === view.tab)?.[1] ?? 'General';
  const content = html`<div class="wrap woocommerce">
<form method="post" id="mainform" action="" enctype="application/x-www-form-urlencoded">
<nav class="nav-tab-wrapper woo-nav-tab-wrapper" aria-label="Secondary menu">${TABS.map((tab) => tabLink(tab, view.tab))}</nav>
<h1 class="screen-reader-text">${label}</h1>
${when(view.notice !== undefined, html`<div id="message" class="updated inline"><p><strong>${view.notice}</strong></p></div>`)}
${subLinks(view)}
${view.panel ?? rowsPanel(settingsRows(visit.shop, view.tab, view.section))}
<input type="hidden" id="_wpnonce" name="_wpnonce" value="${nonceOf(visit, 'woocommerce-settings')}"><input type="hidden" name="_wp_http_referer" value="${visit.path}">
</form>
</div>`;
  return adminPage(visit, {
    title: `WooCommerce settings`,
    place: 'woocommerce/settings',
    bodyClass: 'woocommerce-page woocommerce_page_wc-settings',
    heading: 'Settings',
    content,
    scripts: ['/wp-content/plugins/woocommerce/assets/js/admin/settings.js', ...(view.scripts ?? [])],
    after: view.after,
  });
}

function tabLink([slug, label]: readonly [string, string], current: string): Html {
  const state = slug === current ? html`class="nav-tab nav-tab-active" aria-current="page"` : html`class="nav-tab"`;
  return html`<a href="${SETTINGS_PATH}&tab=${slug}" ${state}>${label}</a>`;
}

function subLinks(view: SettingsView): HtmlPart {
  const sections = SECTIONS[view.tab];
  if (!sections) return undefined;
  const links = sections.map(([slug, label], index) => {
    const state = slug === view.section ? html` class="current" aria-current="page"` : undefined;
    const end = index < sections.length - 1 ? ' | ' : '';
    return html`<li><a href="${SETTINGS_PATH}&tab=${view.tab}&section=${slug}"${state}>${label}</a>${end}</li>`;
  });
  return html`<ul class="subsubsub">${links}</ul><br class="clear">`;
}

function rowsPanel(group: {
  readonly title: string;
  readonly intro: string;
  readonly rows: readonly SettingsRow[];
}): Html {
  return html`<h2>${group.title}</h2><div><p>${group.intro}</p></div>
<table class="form-table"><tbody>${group.rows.map(settingsRow)}</tbody></table>
<p class="submit"><button name="save" class="button-primary woocommerce-save-button components-button is-primary" type="submit" value="Save changes">Save changes</button></p>`;
}

function settingsRow(row: SettingsRow): Html {
  const id = `woocommerce_${row.id}`;
  return html`<tr class="${row.kind}"><th scope="row" class="titledesc"><label for="${id}">${row.label}</label></th><td class="forminp">${control(row, id)}</td></tr>
`;
}

function control(row: SettingsRow, id: string): Html {
  switch (row.kind) {
    case 'text':
      return html`<input type="text" id="${id}" name="${id}" class="regular-input" value="${row.value}">`;
    case 'checkbox':
      return html`<input type="checkbox" id="${id}" name="${id}" value="1"${row.isChecked ? html` checked` : undefined}>`;
    case 'select':
      return html`<select id="${id}" name="${id}" class="wc-plain-select">${row.options.map((text) => html`<option>${text}</option>`)}</select>`;
    default:
      return row satisfies never;
  }
}
