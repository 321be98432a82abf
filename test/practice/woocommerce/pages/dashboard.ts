import { type Html, html, when } from '../html.ts';
import { adminPage } from './shell.ts';
import { dayOf, nonceOf, type Visit } from './visit.ts';

export function dashboardPage(visit: Visit): Html {
  const { shop } = visit;
  const content = html`<div class="wrap">
<h1>Dashboard</h1>
${when(shop.isWelcomePanelOpen, welcomePanel(visit))}
<div id="dashboard-widgets-wrap"><div id="dashboard-widgets" class="metabox-holder">
${postBox('dashboard_right_now', 'At a Glance', atAGlance(visit))}
${postBox('woocommerce_dashboard_status', 'WooCommerce Status', storeStatus(visit))}
${postBox('dashboard_activity', 'Activity', html`<p>Recently published: <a href="/">Hello world!</a>, ${dayOf(new Date(Date.UTC(2026, 8, 1)))}</p>`)}
${postBox('dashboard_quick_press', 'Quick Draft', QUICK_DRAFT)}
</div></div>
</div>`;
  return adminPage(visit, { title: 'Dashboard', place: 'dashboard/home', bodyClass: 'index-php', content });
}

function welcomePanel(visit: Visit): Html {
  return html`<div id="welcome-panel" class="welcome-panel" data-nonce="${nonceOf(visit, 'welcome-panel')}">
<a class="welcome-panel-close" href="/wp-admin/?welcome=0" aria-label="Dismiss the welcome panel">Dismiss</a>
<div class="welcome-panel-header"><h2>Welcome to WordPress!</h2><p>Learn more about the 7.1 version.</p></div>
<div class="welcome-panel-column-container">
<div class="welcome-panel-column"><h3>Author rich content with blocks and patterns</h3><a href="/wp-admin/post-new.php?post_type=page">Add a new page</a></div>
<div class="welcome-panel-column"><h3>Customize your entire site with block themes</h3><a href="/wp-admin/site-editor.php">Open site editor</a></div>
<div class="welcome-panel-column"><h3>Switch up your site’s look &amp; feel with Styles</h3><a href="/wp-admin/site-editor.php?path=styles">Edit styles</a></div>
</div>
</div>`;
}

function postBox(id: string, title: string, content: Html): Html {
  return html`<div id="${id}" class="postbox"><div class="postbox-header"><h2 class="hndle">${title}</h2></div><div class="inside">${content}</div></div>`;
}

function atAGlance(visit: Visit): Html {
  const count = visit.shop.catalogue.products().length;
  return html`<ul><li><a href="/wp-admin/edit.php">1 Post</a></li><li><a href="/wp-admin/edit.php?post_type=page">5 Pages</a></li><li><a href="/wp-admin/edit.php?post_type=product">${count} Products</a></li></ul>
<p>WordPress 7.1 running the <a href="/wp-admin/themes.php">Practice</a> theme.</p>`;
}

function storeStatus(visit: Visit): Html {
  const orders = visit.shop.catalogue.orders();
  const waiting = orders.filter((order) => order.status === 'processing').length;
  return html`<ul class="wc_status_list"><li><a href="/wp-admin/admin.php?page=wc-orders"><strong>${orders.length} orders</strong> this quarter</a></li><li><a href="/wp-admin/admin.php?page=wc-orders"><strong>${waiting} order</strong> awaiting processing</a></li></ul>`;
}

const QUICK_DRAFT = html`<form class="initial-form" action="/wp-admin/" method="get"><p><label for="title">Title</label><input type="text" id="title" name="post_title" autocomplete="off"></p><p><label for="content">Content</label><textarea id="content" name="content" rows="3" placeholder="What’s on your mind?"></textarea></p><p class="submit"><input type="submit" id="save-post" class="button button-primary" value="Save Draft"></p></form>`;
