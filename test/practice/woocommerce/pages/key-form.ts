import { type Html, type HtmlPart, html, raw, when } from '../html.ts';
import type { PracticeKey } from '../keys.ts';
import { lastAccess, PERMISSION_WORDS } from './keys-list.ts';
import { settingsPage } from './settings.ts';
import { nonceOf, revokeUrl, type Visit } from './visit.ts';

const SCRIPTS = [
  '/wp-content/plugins/woocommerce/assets/js/select-woo.js',
  '/wp-content/plugins/woocommerce/assets/js/key-pattern.js',
  '/wp-content/plugins/woocommerce/assets/js/admin/api-keys.js',
];

/** The form for a new key; with `key`, the one for an existing key, which shows no more than its ending. */
export function keyFormPage(visit: Visit, key?: PracticeKey): Html {
  const panel = html`<div id="key-fields" class="settings-panel">
<h2>Key details</h2>
<div class="inline notice"><ul class="advice"><li>API keys open up access to potentially sensitive information. Only share them with organizations you trust.</li><li>Stick to one key per client: this makes it easier to revoke access in the future for a single client, without causing disruption for others.</li></ul></div>
<input type="hidden" id="key_id" value="${key?.id ?? 0}">
<table id="api-keys-options" class="form-table"><tbody>
${descriptionRow(key)}
${ownerRow(visit)}
${when(!visit.shop.isPermissionsMissing, permissionsRow(key))}
${key ? knownRows(key) : undefined}
</tbody></table>
${key ? savePart(visit, key) : generatePart(visit)}
</div>`;
  return settingsPage(visit, { tab: 'advanced', section: 'keys', panel, scripts: SCRIPTS, after: parameters(visit) });
}

function row(forId: string, label: string, tip: string, content: Html): Html {
  const help = html`<span class="woocommerce-help-tip" tabindex="0" aria-label="${tip}" data-tip="${tip}"></span>`;
  return html`<tr valign="top"><th scope="row" class="titledesc"><label for="${forId}">${label} ${help}</label></th><td class="forminp">${content}</td></tr>`;
}

function descriptionRow(key: PracticeKey | undefined): Html {
  const content = html`<input maxlength="200" id="key_description" type="text" class="input-text regular-input" value="${key?.description ?? ''}">
<p class="description">Add a meaningful description, including a note of the person, company or app you are sharing the key with.</p>`;
  return row('key_description', 'Description', 'Friendly name for identifying this key.', content);
}

/** The label points at the select, which a widget hides: the visible combobox is named by its value alone. */
function ownerRow(visit: Visit): Html {
  const { id, username, email } = visit.shop.owner;
  const content = html`<select class="wc-customer-search" id="key_user" data-placeholder="Search for a user…" data-allow_clear="true" data-security="${nonceOf(visit, 'search-customers')}"><option value="${id}" selected>${username} (#${id} – ${email})</option></select>`;
  return row('key_user', 'User', 'Owner of these keys.', content);
}

function permissionsRow(key: PracticeKey | undefined): Html {
  const options = Object.entries(PERMISSION_WORDS).map(
    ([value, words]) =>
      html`<option value="${value}"${value === key?.permissions ? html` selected` : undefined}>${words}</option>`,
  );
  const content = html`<select id="key_permissions" class="wc-enhanced-select">${options}</select>
<p class="conditional description" data-depends-on="#key_permissions" data-show-if-equals="write" hidden>Write-only keys do not prevent clients from seeing information about the entities they are updating.</p>`;
  return row('key_permissions', 'Permissions', 'Select the access type of these keys.', content);
}

function knownRows(key: PracticeKey): Html {
  return html`<tr valign="top"><th scope="row" class="titledesc">Consumer key ending in</th><td class="forminp"><code>…${key.consumerKeyEnding}</code></td></tr>
<tr valign="top"><th scope="row" class="titledesc">Last access</th><td class="forminp"><span>${lastAccess(key)}</span></td></tr>`;
}

function generatePart({ shop }: Visit): Html {
  const hold = shop.nextHold;
  shop.nextHold = undefined;
  const held = hold && html` disabled data-hold="${shop.holds.push(hold) - 1}"`;
  return html`<p class="submit"><input type="submit" name="update_api_key" id="update_api_key" class="button button-primary" value="Generate API key"${held}></p>`;
}

function savePart(visit: Visit, key: PracticeKey): Html {
  return html`<p class="submit"><input type="submit" name="update_api_key" id="update_api_key" class="button button-primary" value="Save changes"> <a class="revoke-link" href="${revokeUrl(visit, key.id)}">Revoke key</a></p>`;
}

/** What WooCommerce hands its script: where to post, and the nonce without which nothing is made. */
function parameters(visit: Visit): HtmlPart {
  const values = {
    ajax_url: `${visit.shop.origin}/wp-admin/admin-ajax.php`,
    update_api_nonce: nonceOf(visit, 'update-api-key'),
    clipboard_failed: 'Copying to clipboard failed. Please press Ctrl/Cmd+C to copy.',
  };
  // The values are ours and hold no "<", so that they can't close the script element.
  return html`<script id="woocommerce_admin_api_keys-js-extra">var woocommerce_admin_api_keys = ${raw(JSON.stringify(values))};</script>
${RESULT_TEMPLATE}`;
}

/** Filled in by api-keys.js after "Generate API key". The two fields have neither label nor name, as in WooCommerce. */
const RESULT_TEMPLATE = html`<template id="tmpl-api-keys-template"><p id="copy-error"></p>
<table class="form-table"><tbody>
<tr valign="top"><th scope="row" class="titledesc">Consumer key</th><td class="forminp"><input id="key_consumer_key" type="text" size="55" readonly="readonly"> <button type="button" class="button-secondary button copy-key" data-tip="Copied!">Copy</button></td></tr>
<tr valign="top"><th scope="row" class="titledesc">Consumer secret</th><td class="forminp"><input id="key_consumer_secret" type="text" size="55" readonly="readonly"> <button type="button" class="button-secondary button copy-secret" data-tip="Copied!">Copy</button></td></tr>
<tr valign="top"><th scope="row" class="titledesc">QRCode</th><td class="forminp"><div id="keys-qrcode"></div></td></tr>
</tbody></table></template>`;
