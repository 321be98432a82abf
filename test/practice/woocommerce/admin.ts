import { type Request, Router } from 'express';
import { answerAjax } from './ajax.ts';
import { field, fields } from './input.ts';
import { loginUrl, sessionOf } from './login.ts';
import { dashboardPage } from './pages/dashboard.ts';
import { keyFormPage } from './pages/key-form.ts';
import { keysListPage } from './pages/keys-list.ts';
import { absentPage, generalOptionsPage, ordersPage, productsPage } from './pages/lists.ts';
import { settingsPage } from './pages/settings.ts';
import { diePage } from './pages/shell.ts';
import { KEYS_PATH, nonceOf, type Visit } from './pages/visit.ts';
import { WIZARD_PATH, wizardPage, wooHomePage } from './pages/wizard.ts';
import { page, type Reply, redirect, sendReply } from './reply.ts';
import { type Shop, takeFault } from './state.ts';

/** `/wp-admin/…`: everything behind the sign-in. */
export function createAdminRoutes(shop: Shop): Router {
  const router = Router();
  router.all(['/wp-admin', '/wp-admin/{*rest}'], async (request, response) => {
    if (takeFault(shop, 'signed-out')) shop.sessions.closeAll();
    const body: unknown = request.body;
    const isCreation = field(body, 'action') === 'woocommerce_update_api_key' && field(body, 'key_id') === '0';
    if (isCreation) await shop.creations.pass('before');
    const reply = gate(shop, request);
    if (isCreation) await shop.creations.pass('after');
    sendReply(response, reply);
  });
  return router;
}

function gate(shop: Shop, request: Request): Reply {
  const session = sessionOf(shop, request);
  if (request.path === '/wp-admin/admin-ajax.php') return answerAjax(shop, session, request.body);
  if (!session) return redirect(loginUrl(shop, request.originalUrl));
  if (takeFault(shop, 'page-error')) return CRITICAL_ERROR;
  return answer(visitOf(shop, session, request), request.path);
}

const CRITICAL_ERROR = page(diePage('There has been a critical error on this website.'), 500);
const EXPIRED = page(diePage('The link you followed has expired. Please try again.'), 403);

function visitOf(shop: Shop, session: string, request: Request): Visit {
  const form: unknown = request.method === 'POST' ? request.body : {};
  return { shop, session, path: request.originalUrl, query: request.query, form };
}

function answer(visit: Visit, path: string): Reply {
  if (visit.shop.wizard === 'due') {
    visit.shop.wizard = 'open';
    return redirect(WIZARD_PATH);
  }
  switch (path) {
    case '/wp-admin':
      return redirect('/wp-admin/');
    case '/wp-admin/':
    case '/wp-admin/index.php':
      return dashboard(visit);
    case '/wp-admin/options-general.php':
      return page(generalOptionsPage(visit));
    case '/wp-admin/edit.php':
      return page(field(visit.query, 'post_type') === 'product' ? productsPage(visit) : absentPage(visit));
    case '/wp-admin/admin.php':
      return pluginPage(visit);
    default:
      return page(absentPage(visit));
  }
}

function dashboard(visit: Visit): Reply {
  if (field(visit.query, 'welcome') === '0') visit.shop.isWelcomePanelOpen = false;
  return page(dashboardPage(visit));
}

function pluginPage(visit: Visit): Reply {
  switch (field(visit.query, 'page')) {
    case 'wc-admin':
      return wooPage(visit);
    case 'wc-orders':
      return page(ordersPage(visit));
    case 'wc-settings':
      return settings(visit);
    default:
      return page(absentPage(visit));
  }
}

function wooPage(visit: Visit): Reply {
  const { shop } = visit;
  const path = field(visit.query, 'path');
  if (path !== '' && path !== '/setup-wizard') return page(absentPage(visit));
  if (path === '') return shop.wizard === 'open' ? redirect(WIZARD_PATH) : page(wooHomePage(visit));
  if (field(visit.form, 'step') === '') return page(wizardPage(visit));
  if (field(visit.form, '_wpnonce') !== nonceOf(visit, 'setup-wizard')) return EXPIRED;
  shop.wizard = 'skipped';
  return redirect('/wp-admin/admin.php?page=wc-admin');
}

function settings(visit: Visit): Reply {
  const tab = field(visit.query, 'tab') || 'general';
  const section = field(visit.query, 'section');
  if (tab === 'advanced' && section === 'keys') return keys(visit);
  const isSaved = field(visit.form, '_wpnonce') === nonceOf(visit, 'woocommerce-settings');
  const notice = isSaved ? 'Your settings have been saved.' : undefined;
  return page(settingsPage(visit, { tab, section, notice }));
}

function keys(visit: Visit): Reply {
  const { query, form, shop } = visit;
  if (field(query, 'revoke-key') !== '') return revoke(visit);
  const marked = fields(form, 'key[]');
  const isBulk = field(form, 'action') === 'revoke' || field(form, 'action2') === 'revoke';
  if (isBulk && marked.length > 0) return revokeMarked(visit, marked);
  if (field(query, 'create-key') !== '') return page(keyFormPage(visit));
  const edited = field(query, 'edit-key');
  if (edited === '') return page(keysListPage(visit, field(form, 's') || field(query, 's')));
  // An unknown key opens the form for a new one, as in WooCommerce.
  return page(
    keyFormPage(
      visit,
      shop.keys.live().find((key) => String(key.id) === edited),
    ),
  );
}

/** A GET that revokes without a question: the nonce is all that guards it. */
function revoke(visit: Visit): Reply {
  if (field(visit.query, '_wpnonce') !== nonceOf(visit, 'revoke')) return EXPIRED;
  const isRevoked = visit.shop.keys.revoke(Number.parseInt(field(visit.query, 'revoke-key'), 10));
  if (isRevoked) return redirect(`${visit.shop.origin}${KEYS_PATH}&revoked=1`);
  return page(diePage('You do not have permission to revoke this API Key'), 500);
}

function revokeMarked(visit: Visit, marked: readonly string[]): Reply {
  if (field(visit.form, '_wpnonce') !== nonceOf(visit, 'woocommerce-settings')) return EXPIRED;
  const revoked = marked.filter((id) => visit.shop.keys.revoke(Number.parseInt(id, 10)));
  return redirect(`${visit.shop.origin}${KEYS_PATH}&revoked=${revoked.length}`);
}
