import { type Html, type HtmlPart, html, when } from '../html.ts';
import { icon } from './icons.ts';
import { adminMenu, type MenuPlace } from './menu.ts';
import { nonceOf, type Visit } from './visit.ts';

export interface AdminPage {
  readonly title: string;
  readonly place: MenuPlace;
  readonly bodyClass?: string;
  /** WooCommerce's own bar above the page, with its heading. */
  readonly heading?: string;
  readonly content: Html;
  /** Scripts beside the common ones, by asset path. */
  readonly scripts?: readonly string[];
  /** Elements that stand after everything else, such as templates. */
  readonly after?: HtmlPart;
}

const ASSET_VERSION = '11.0.1';

export function script(path: string): Html {
  return html`<script src="${path}?ver=${ASSET_VERSION}"></script>
`;
}

export function stylesheet(path: string): Html {
  return html`<link rel="stylesheet" href="${path}?ver=${ASSET_VERSION}" media="all">
`;
}

/** The frame of every admin page: bar, menu, hidden notices, content, footer. */
export function adminPage(visit: Visit, page: AdminPage): Html {
  return html`<!DOCTYPE html>
<html class="wp-toolbar" lang="en-US">
<head>
<meta charset="UTF-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${page.title} ‹ ${visit.shop.name} — WordPress</title>
${stylesheet('/wp-admin/css/forms.css')}${stylesheet('/wp-admin/css/common.css')}${stylesheet('/wp-content/plugins/woocommerce/assets/css/admin.css')}<link rel="icon" href="/wp-content/uploads/store-icon.png" sizes="32x32">
</head>
<body class="wp-admin wp-core-ui js ${page.bodyClass ?? ''}">
<div id="wpwrap">
${adminMenu(page.place)}
<div id="wpcontent">
${adminBar(visit)}
<div id="wpbody" role="main">
${when(page.heading !== undefined, wooHeader(page.heading ?? ''))}
<div id="wpbody-content">
${when(page.heading === undefined, SCREEN_LINKS)}
${HIDDEN_NOTICES}
${page.content}
<div class="clear"></div>
</div>
</div>
</div>
${FOOTER}
</div>
${page.after}
${script('/wp-admin/js/common.js')}${(page.scripts ?? []).map(script)}</body>
</html>
`;
}

const SCREEN_LINKS = html`<div id="screen-meta-links"><button type="button" class="button show-settings" aria-expanded="false">Screen Options</button><button type="button" class="button show-settings" aria-expanded="false">Help</button></div>`;

/** Real admin pages carry such notices too; none of them is visible. */
const HIDDEN_NOTICES = html`<div id="wc-lost-connection-notice" class="notice notice-error hidden" style="display: none;"><p><span class="spinner"></span> <strong>Connection lost.</strong> Saving has been disabled until you are reconnected. This page is kept in your browser, just in case.</p></div>
<div id="local-storage-notice" class="hidden notice is-dismissible" style="display: none;"><p class="local-restore">The backup of this page in your browser is different from the version below.</p></div>
<div class="notice notice-warning woocommerce-no-js hidden" style="display: none;"><p>JavaScript is needed for some of the settings on this page.</p></div>`;

const FOOTER = html`<div id="wpfooter" role="contentinfo">
<p id="footer-left" class="alignleft">Practice shop: a simulation</p>
<p id="footer-upgrade" class="alignright">Version 7.1</p>
<div class="clear"></div>
</div>`;

function wooHeader(heading: string): Html {
  return html`<div class="woocommerce-layout__header"><div class="woocommerce-layout__header-wrapper">
<h1 class="woocommerce-layout__header-heading">${heading}</h1>
<div class="woocommerce-layout__activity-panel"><button type="button" class="woocommerce-layout__activity-panel-tab" aria-expanded="false">Activity</button><button type="button" class="woocommerce-layout__activity-panel-tab" aria-expanded="false">Finish setup</button></div>
</div></div>`;
}

function adminBar(visit: Visit): Html {
  const { shop } = visit;
  const logout = `/wp-login.php?action=logout&_wpnonce=${nonceOf(visit, 'log-out')}`;
  return html`<div id="wpadminbar" class="nojq">
<a class="screen-reader-shortcut" href="#wp-toolbar" tabindex="1">Skip to toolbar</a>
<div class="quicklinks" id="wp-toolbar" role="navigation" aria-label="Toolbar">
<ul role="menu" id="wp-admin-bar-root-default" class="ab-top-menu">
<li role="group" id="wp-admin-bar-site-name"><a class="ab-item" role="menuitem" href="/">${icon('home')} ${shop.name}</a></li>
<li role="group" id="wp-admin-bar-woocommerce-site-visibility-badge"><a class="ab-item" role="menuitem" href="/wp-admin/admin.php?page=wc-settings&amp;tab=site-visibility"><span class="woocommerce-site-status-badge">Store coming soon</span></a></li>
<li role="group" id="wp-admin-bar-comments"><a class="ab-item" role="menuitem" href="/wp-admin/edit-comments.php">${icon('comments')} <span aria-hidden="true">0</span><span class="screen-reader-text">0 Comments in moderation</span></a></li>
<li role="group" id="wp-admin-bar-new-content"><a class="ab-item" role="menuitem" href="/wp-admin/post-new.php">${icon('plus')} New</a></li>
</ul>
<ul role="menu" id="wp-admin-bar-top-secondary" class="ab-top-secondary ab-top-menu">
<li role="group" id="wp-admin-bar-my-account" class="menupop"><a class="ab-item" role="menuitem" aria-expanded="false" href="/wp-admin/profile.php">Howdy, <span class="display-name">${shop.owner.username}</span></a>
<ul class="ab-submenu" role="menu"><li role="group"><a class="ab-item" role="menuitem" href="/wp-admin/profile.php">Edit Profile</a></li><li role="group"><a class="ab-item" role="menuitem" href="${logout}">Log Out</a></li></ul></li>
</ul>
</div>
</div>`;
}

/** WordPress's bare page for a refusal: `wp_die`. */
export function diePage(message: string): Html {
  return html`<!DOCTYPE html>
<html lang="en-US">
<head>
<meta charset="UTF-8">
<meta name="viewport" content="width=device-width">
<title>WordPress › Error</title>
${stylesheet('/wp-admin/css/login.css')}</head>
<body id="error-page">
<div class="wp-die-message">${message}</div>
<p class="simulation">Practice shop: a simulation</p>
</body>
</html>
`;
}
