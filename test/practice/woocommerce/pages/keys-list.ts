import { type Html, type HtmlPart, html, when } from '../html.ts';
import { field } from '../input.ts';
import type { KeyPermissions, PracticeKey } from '../keys.ts';
import { settingsPage } from './settings.ts';
import { dateAndTime, KEYS_PATH, revokeUrl, type Visit } from './visit.ts';

export const PERMISSION_WORDS: Readonly<Record<KeyPermissions, string>> = {
  read: 'Read',
  write: 'Write',
  read_write: 'Read/Write',
};

/** Keys on one page of the list; WordPress's default. */
const PAGE_SIZE = 10;

/** Settings > Advanced > REST API keys: blank state, or the table. */
export function keysListPage(visit: Visit, search: string): Html {
  const hasKeys = visit.shop.keys.live().length > 0;
  const panel = html`<h2 class="wc-table-list-header">REST API <a href="${KEYS_PATH}&create-key=1" class="page-title-action">Add key</a></h2>
${hasKeys ? keysTable(visit, search) : BLANK_STATE}`;
  return settingsPage(visit, { tab: 'advanced', section: 'keys', notice: revokedNotice(visit), panel });
}

/** The second link that leads to the form, beside "Add key". */
const BLANK_STATE = html`<div class="woocommerce-BlankState woocommerce-BlankState--api">
<h2 class="woocommerce-BlankState-message">The WooCommerce REST API allows external apps to view and manage store data. Access is granted only to those with valid API keys.</h2>
<a class="woocommerce-BlankState-cta button-primary button" href="${KEYS_PATH}&create-key=1">Create an API key</a>
</div>`;

function revokedNotice(visit: Visit): string | undefined {
  const count = Number.parseInt(field(visit.query, 'revoked'), 10);
  if (Number.isNaN(count)) return undefined;
  return `${count} API ${count === 1 ? 'key' : 'keys'} permanently revoked.`;
}

function keysTable(visit: Visit, search: string): Html {
  const keys = visit.shop.keys.live(search);
  const pages = Math.max(1, Math.ceil(keys.length / PAGE_SIZE));
  const wanted = Number.parseInt(field(visit.query, 'paged'), 10) || 1;
  const page = Math.min(Math.max(1, wanted), pages);
  const shown = keys.slice((page - 1) * PAGE_SIZE, page * PAGE_SIZE);
  return html`<input type="hidden" name="page" value="wc-settings"><input type="hidden" name="tab" value="advanced"><input type="hidden" name="section" value="keys">
<p class="search-box"><label class="screen-reader-text" for="key-search-input">Search key:</label><input type="search" id="key-search-input" name="s" value="${search}"> <input type="submit" id="search-submit" class="button" value="Search key"></p>
${tableNav('top', keys.length, page, pages)}
<table class="wp-list-table widefat fixed striped table-view-list keys">
<caption class="screen-reader-text">Table ordered by date, newest first.</caption>
<thead><tr>${columnHeads('1')}</tr></thead>
<tbody id="the-list">
${shown.length > 0 ? shown.map((key) => keyRow(visit, key)) : html`<tr class="no-items"><td class="colspanchange" colspan="6">No keys found.</td></tr>`}
</tbody>
<tfoot><tr>${columnHeads('2')}</tr></tfoot>
</table>
${tableNav('bottom', keys.length, page, pages)}`;
}

function columnHeads(which: '1' | '2'): Html {
  return html`<td class="manage-column column-cb check-column"><input id="cb-select-all-${which}" type="checkbox"><label for="cb-select-all-${which}"><span class="screen-reader-text">Select All</span></label></td>
<th scope="col" class="manage-column column-title column-primary">Description</th><th scope="col" class="manage-column column-truncated_key">Consumer key ending in</th><th scope="col" class="manage-column column-user">User</th><th scope="col" class="manage-column column-permissions">Permissions</th><th scope="col" class="manage-column column-last_access">Last access</th>`;
}

function keyRow(visit: Visit, key: PracticeKey): Html {
  const edit = `${KEYS_PATH}&edit-key=${key.id}`;
  const owner = visit.shop.owner;
  return html`<tr><th scope="row" class="check-column"><input type="checkbox" name="key[]" value="${key.id}"></th>
<td class="title column-title has-row-actions column-primary" data-colname="Description"><strong><a href="${edit}" class="row-title">${key.description}</a></strong>
<div class="row-actions"><span class="id">ID: ${key.id}</span> | <span class="edit"><a href="${edit}">View/Edit</a></span> | <span class="trash"><a class="submitdelete" aria-label="Revoke API key" href="${revokeUrl(visit, key.id)}">Revoke</a></span></div></td>
<td class="truncated_key column-truncated_key" data-colname="Consumer key ending in"><code>***${key.consumerKeyEnding}</code></td>
<td class="user column-user" data-colname="User"><a href="/wp-admin/user-edit.php?user_id=${owner.id}">${owner.username}</a></td>
<td class="permissions column-permissions" data-colname="Permissions">${PERMISSION_WORDS[key.permissions]}</td>
<td class="last_access column-last_access" data-colname="Last access">${lastAccess(key)}</td></tr>
`;
}

export function lastAccess(key: PracticeKey): string {
  return key.lastAccess ? dateAndTime(key.lastAccess) : 'Unknown';
}

function tableNav(where: 'top' | 'bottom', count: number, page: number, pages: number): Html {
  const select = `bulk-action-selector-${where}`;
  const action = where === 'top' ? 'action' : 'action2';
  const button = where === 'top' ? 'doaction' : 'doaction2';
  return html`<div class="tablenav ${where}"><div class="alignleft actions bulkactions"><label for="${select}" class="screen-reader-text">Select bulk action</label><select name="${action}" id="${select}"><option value="-1">Bulk actions</option><option value="revoke">Revoke</option></select> <input type="submit" id="${button}" class="button action" value="Apply"></div>
<div class="tablenav-pages"><span class="displaying-num">${count} ${count === 1 ? 'item' : 'items'}</span>${when(pages > 1, pageLinks(page, pages))}</div><br class="clear"></div>`;
}

function pageLinks(page: number, pages: number): HtmlPart {
  const link = (to: number, label: string, sign: string) =>
    to < 1 || to > pages
      ? html`<span class="tablenav-pages-navspan button disabled" aria-hidden="true">${sign}</span>`
      : html`<a class="button" href="${KEYS_PATH}&paged=${to}"><span class="screen-reader-text">${label}</span><span aria-hidden="true">${sign}</span></a>`;
  return html` <span class="pagination-links">${link(page - 1, 'Previous page', '‹')} <span class="paging-input">${page} of ${pages}</span> ${link(page + 1, 'Next page', '›')}</span>`;
}
