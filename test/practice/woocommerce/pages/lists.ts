import { type Html, html } from '../html.ts';
import { adminPage } from './shell.ts';
import { dayOf, type Visit } from './visit.ts';

/** Products > All Products. */
export function productsPage(visit: Visit): Html {
  const rows = visit.shop.catalogue
    .products()
    .map(
      (product) =>
        html`<tr><td><strong><a class="row-title" href="/wp-admin/post.php?post=${product.id}&action=edit">${product.name}</a></strong></td><td>${product.sku}</td><td>In stock (${product.stock})</td><td>$${product.price}</td><td>Published<br>${dayOf(product.createdAt)}</td></tr>`,
    );
  const content = html`<div class="wrap"><h1 class="wp-heading-inline">Products</h1> <a href="/wp-admin/post-new.php?post_type=product" class="page-title-action">Add new product</a><hr class="wp-header-end">
${table('products', ['Name', 'SKU', 'Stock', 'Price', 'Date'], rows)}</div>`;
  return adminPage(visit, { title: 'Products', place: 'products/all', content });
}

/** WooCommerce > Orders. */
export function ordersPage(visit: Visit): Html {
  const rows = visit.shop.catalogue
    .orders()
    .map(
      (order) =>
        html`<tr><td><strong><a class="row-title" href="/wp-admin/admin.php?page=wc-orders&action=edit&id=${order.id}">#${order.id} ${order.customerName}</a></strong></td><td>${dayOf(order.createdAt)}</td><td>${order.status}</td><td>$${order.total}</td></tr>`,
    );
  const content = html`<div class="wrap">${table('orders', ['Order', 'Date', 'Status', 'Total'], rows)}</div>`;
  return adminPage(visit, { title: 'Orders', place: 'woocommerce/orders', heading: 'Orders', content });
}

/** Settings > General, where "Update" of the email check leads. */
export function generalOptionsPage(visit: Visit): Html {
  const { shop } = visit;
  const rows: readonly (readonly [id: string, label: string, value: string])[] = [
    ['blogname', 'Site Title', shop.name],
    ['siteurl', 'WordPress Address (URL)', shop.origin],
    ['home', 'Site Address (URL)', shop.origin],
    ['new_admin_email', 'Administration Email Address', shop.owner.email],
  ];
  const content = html`<div class="wrap"><h1>General Settings</h1><form method="post" action="/wp-admin/options-general.php"><table class="form-table" role="presentation"><tbody>${rows.map(
    ([id, label, value]) =>
      html`<tr><th scope="row"><label for="${id}">${label}</label></th><td><input type="text" id="${id}" name="${id}" class="regular-text" value="${value}"></td></tr>`,
  )}</tbody></table><p class="submit"><input type="submit" name="submit" id="submit" class="button button-primary" value="Save Changes"></p></form></div>`;
  return adminPage(visit, { title: 'General Settings', place: 'settings/general', content });
}

/** A page that a real shop has and this one leaves out. */
export function absentPage(visit: Visit): Html {
  const content = html`<div class="wrap"><h1>Not in the practice shop</h1><p>A real shop has a page here. This simulation leaves it out. <a href="/wp-admin/">Back to the dashboard</a></p></div>`;
  return adminPage(visit, { title: 'Not in the practice shop', place: '', content });
}

/** What visitors see at the shop's front. */
export function storefrontPage(name: string, origin: string): Html {
  return html`<!DOCTYPE html>
<html lang="en-US">
<head>
<meta charset="UTF-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="WordPress 7.1">
<link rel="https://api.w.org/" href="${origin}/wp-json/">
<title>${name}</title>
<link rel="stylesheet" href="/wp-admin/css/login.css?ver=7.1">
</head>
<body class="coming-soon"><main><h1>${name}</h1><p>This shop opens soon.</p><p class="simulation">Practice shop: a simulation</p></main></body>
</html>
`;
}

function table(kind: string, heads: readonly string[], rows: readonly Html[]): Html {
  return html`<table class="wp-list-table widefat fixed striped ${kind}"><thead><tr>${heads.map((head) => html`<th scope="col" class="manage-column">${head}</th>`)}</tr></thead><tbody id="the-list">${rows}</tbody></table>`;
}
