import { type Html, html } from '../html.ts';
import { adminPage, stylesheet } from './shell.ts';
import { nonceOf, type Visit } from './visit.ts';

export const WIZARD_PATH = '/wp-admin/admin.php?page=wc-admin&path=%2Fsetup-wizard';

/** Full screen, without bar and menu; its tracking box is ticked, as in a fresh WooCommerce. */
export function wizardPage(visit: Visit): Html {
  return html`<!DOCTYPE html>
<html lang="en-US">
<head>
<meta charset="UTF-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Setup wizard ‹ ${visit.shop.name} — WooCommerce</title>
${stylesheet('/wp-admin/css/forms.css')}${stylesheet('/wp-content/plugins/woocommerce/assets/css/admin.css')}</head>
<body class="woocommerce-profile-wizard__body wp-core-ui js">
<form class="woocommerce-profiler" method="post" action="${WIZARD_PATH}">
<h1>Welcome to Woo!</h1>
<p>It’s great to have you here with us! We’ll be guiding you through the setup process – first, answer a few questions to tailor your experience.</p>
<p><button type="submit" name="step" value="set-up" class="components-button is-primary button button-primary">Set up my store</button></p>
<p><button type="submit" name="step" value="skip" class="components-button is-link">Skip guided setup</button></p>
<p class="woocommerce-profiler-tracking"><input type="checkbox" id="tracking" name="tracking" value="1" checked> <label for="tracking">I agree to share my data to tailor my store setup experience, get more relevant content, and help make WooCommerce better for everyone.</label></p>
<input type="hidden" name="_wpnonce" value="${nonceOf(visit, 'setup-wizard')}">
</form>
<p class="simulation">Practice shop: a simulation</p>
</body>
</html>
`;
}

export function wooHomePage(visit: Visit): Html {
  const steps = ['You added your products', 'Set up payments', 'Collect sales tax', 'Launch your store'];
  const content = html`<div class="wrap woocommerce"><div class="postbox woocommerce-homescreen"><div class="inside"><h2>Start customizing your store</h2><ol>${steps.map((step) => html`<li>${step}</li>`)}</ol></div></div></div>`;
  return adminPage(visit, { title: 'Home', place: 'woocommerce/home', heading: 'Home', content });
}
