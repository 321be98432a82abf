// Pages of well-known kinds of sites before and after a redesign, in the shape in which the survey describes them. Two tables and
// hardly a line of code: a row is read beside its like.
import { expect, test } from 'vitest';
import { type Fingerprint, relocate } from '../../../core/agent/relocate.ts';

type More = Partial<Fingerprint>;
const box = (x: number, y: number, width = 120, height = 32) => ({ x, y, width, height });
const made = (base: Fingerprint, name: string, isWorded: boolean, more: More): Fingerprint => ({
  ...base,
  ...(name ? { name, ...(isWorded ? { text: name } : {}) } : {}),
  ...more,
});
const button = (name: string, more: More = {}) =>
  made({ tag: 'button', type: 'button', role: 'button' }, name, true, more);
const submit = (name: string, more: More = {}) =>
  made({ tag: 'input', type: 'submit', role: 'button' }, name, false, more);
const link = (name: string, more: More = {}) => made({ tag: 'a', role: 'link' }, name, true, more);
const field = (name: string, more: More = {}) =>
  made({ tag: 'input', type: 'text', role: 'textbox' }, name, false, more);
const secret = (name: string, more: More = {}) => made({ tag: 'input', type: 'password' }, name, false, more);
const tick = (name: string, more: More = {}) =>
  made({ tag: 'input', type: 'checkbox', role: 'checkbox' }, name, false, more);
const radio = (name: string, more: More = {}) =>
  made({ tag: 'input', type: 'radio', role: 'radio' }, name, false, more);
const list = (name: string, more: More = {}) => made({ tag: 'select', role: 'combobox' }, name, false, more);
const item = (role: string, name: string, more: More = {}) => made({ tag: 'div', role }, name, true, more);

interface Case {
  readonly what: string;
  readonly was: Fingerprint;
  /** What else is on the later page. */
  readonly others: readonly Fingerprint[];
  /** The same element there; absent: nothing there may be taken for it. */
  readonly now?: Fingerprint;
}

const githubTokens = {
  neighbours: ['Personal access tokens (classic)'],
  path: ['main', 'form'],
};
const wordpress = { path: ['main', 'form'], classes: ['button', 'button-primary'] };
const row = (beside: readonly string[], y: number, more: More = {}): More => ({
  neighbours: [...beside],
  path: ['main', 'table'],
  box: box(900, y, 60),
  ...more,
});

const same: readonly Case[] = [
  {
    what: 'GitHub: “Generate token” under new classes',
    was: button('Generate token', {
      type: 'submit',
      classes: ['btn', 'btn-primary'],
      ...githubTokens,
      box: box(300, 900),
    }),
    others: [link('Cancel', { href: '/settings/tokens', box: box(450, 900) }), button('Copy', { classes: ['btn'] })],
    now: button('Generate token', {
      type: 'submit',
      classes: ['Button--primary', 'Button'],
      path: ['main', 'form'],
      box: box(310, 1_240),
    }),
  },
  {
    what: 'GitHub: “Generate new token (classic)” from a menu',
    was: link('Generate new token', {
      href: '/settings/tokens/new',
      classes: ['btn'],
      ...githubTokens,
      box: box(1_000, 140),
    }),
    others: [
      link('Generate new token', {
        href: '/settings/personal-access-tokens/new',
        classes: ['ActionListContent'],
        path: ['menu'],
        role: 'menuitem',
      }),
    ],
    now: link('Generate new token (classic)', {
      href: '/settings/tokens/new',
      classes: ['ActionListContent'],
      path: ['menu'],
      role: 'menuitem',
    }),
  },
  {
    what: 'GitHub: the note of a token, now called its name',
    was: field('Note', { id: 'oauth_access_description', fieldName: 'oauth_access[description]' }),
    others: [field('Search or jump to…', { type: 'search', role: 'searchbox' }), field('Expiration')],
    now: field('Token name', { id: 'token-name', fieldName: 'oauth_access[description]' }),
  },
  {
    what: 'GitHub: the expiry of a token',
    was: list('Expiration', { id: 'oauth_access_default_expires_at', classes: ['form-select'] }),
    others: [list('Resource owner', { classes: ['form-select'] })],
    now: list('Expiration', { id: 'expires', classes: ['FormControl-select'] }),
  },
  {
    what: 'GitHub: the scope “repo” among its parts',
    was: tick('repo', { fieldName: 'oauth_access[scopes][]', classes: ['js-checkbox-scope'] }),
    others: ['repo:status', 'repo_deployment', 'public_repo', 'workflow'].map((name) =>
      tick(name, { fieldName: 'oauth_access[scopes][]' }),
    ),
    now: tick('repo', { fieldName: 'scopes[]', box: box(300, 700, 14, 14) }),
  },
  {
    what: 'WordPress: “Add New” of plugins became “Add Plugin”',
    was: link('Add New', {
      href: '/wp-admin/plugin-install.php',
      classes: ['page-title-action'],
      neighbours: ['Plugins'],
    }),
    others: [link('Add New', { href: '/wp-admin/user-new.php', path: ['navigation'] })],
    now: link('Add Plugin', {
      href: '/wp-admin/plugin-install.php',
      classes: ['page-title-action'],
      neighbours: ['Plugins'],
    }),
  },
  {
    what: 'WordPress: an application password’s button in German',
    was: button('Add Application Password', {
      id: 'do_new_application_password',
      classes: ['button', 'button-secondary'],
    }),
    others: [
      submit('Profil aktualisieren', { id: 'submit', ...wordpress }),
      button('Alle Anwendungspasswörter widerrufen', { classes: ['button'] }),
    ],
    now: button('Anwendungspasswort hinzufügen', {
      id: 'do_new_application_password',
      classes: ['button', 'button-secondary'],
    }),
  },
  {
    what: 'WordPress: “Save Changes” in French, same id',
    was: submit('Save Changes', { id: 'submit', fieldName: 'submit', ...wordpress }),
    others: [link('Aide', { href: '#contextual-help' })],
    now: submit('Enregistrer les modifications', { id: 'submit', fieldName: 'submit', ...wordpress }),
  },
  {
    what: 'WordPress: “Log In” in Dutch without its id',
    was: submit('Log In', {
      id: 'wp-submit',
      classes: ['button', 'button-primary', 'button-large'],
      path: ['form'],
      box: box(700, 340),
    }),
    others: [link('Wachtwoord vergeten?', { href: '/wp-login.php?action=lostpassword' })],
    now: submit('Inloggen', {
      id: 'login-go',
      classes: ['button', 'button-primary'],
      path: ['form'],
      box: box(690, 352),
    }),
  },
  {
    what: 'Shopify: “Create app” from a bar into a card',
    was: button('Create an app', {
      classes: ['Polaris-Button', 'Polaris-Button--primary'],
      path: ['main App development'],
      box: box(1_000, 90),
    }),
    others: [
      button('Allow custom app development', { classes: ['Polaris-Button'] }),
      link('Learn more', { href: 'https://help.example.com' }),
    ],
    now: link('Create app', {
      href: '/apps/new',
      role: 'button',
      classes: ['Polaris-Button', 'Polaris-Button--variantPrimary'],
      path: ['main App development'],
      box: box(600, 500),
    }),
  },
  {
    what: 'Shopify: “Install app” beside “Uninstall app”',
    was: button('Install app', { classes: ['Polaris-Button'], path: ['main'], box: box(1_050, 60) }),
    others: [button('Uninstall app', { classes: ['Polaris-Button'], path: ['main'], box: box(1_050, 60) })],
    now: button('Install app', { classes: ['Polaris-Button', 'x'], path: ['main'], box: box(900, 60) }),
  },
  {
    what: 'Shopify: a permission’s box by its words',
    was: tick('read_products', { id: ':r5:', fieldName: 'scope' }),
    others: [
      tick('write_products', { id: ':r5:', fieldName: 'scope' }),
      tick('read_orders', { id: ':r6:', fieldName: 'scope' }),
    ],
    now: tick('read_products', { id: ':r9:', fieldName: 'scope' }),
  },
  {
    what: 'Shopify: “Reveal token once”, reworded',
    was: button('Reveal token once', { classes: ['Polaris-Button'], neighbours: ['Admin API access token'] }),
    others: [button('Copy', { classes: ['Polaris-Button'], neighbours: ['API key'] })],
    now: button('Show token once', { classes: ['Polaris-Button'], neighbours: ['Admin API access token'] }),
  },
  {
    what: 'Stripe: “Create secret key” with a plus sign',
    was: button('Create secret key', { classes: ['Button'], neighbours: ['Standard keys'], path: ['main'] }),
    others: [button('Create restricted key', { classes: ['Button'], neighbours: ['Restricted keys'], path: ['main'] })],
    now: button('+ Create secret key', { classes: ['db-Button'], neighbours: ['Standard keys'], path: ['main'] }),
  },
  {
    what: 'Stripe: an overflow menu by its row',
    was: button('', { title: 'More', name: 'More', ...row(['rk_live_…', 'Warehouse'], 300) }),
    others: [button('', { title: 'More', name: 'More', ...row(['rk_live_…', 'Website'], 300) })],
    now: button('', { title: 'More', name: 'More', ...row(['rk_live_…', 'Warehouse'], 360) }),
  },
  {
    what: 'Stripe: “Add endpoint” became “Add destination”, by its address',
    was: link('Add endpoint', { href: '/webhooks/create', classes: ['Button'], neighbours: ['Webhooks'] }),
    others: [link('Add an event', { href: '/events/create', classes: ['Button'] })],
    now: link('Add destination', { href: '/webhooks/create', classes: ['Button'], neighbours: ['Webhooks'] }),
  },
  {
    what: 'Magento: “Save Integration” under another id',
    was: button('Save', {
      id: 'save-split-button-button',
      classes: ['action-default', 'primary'],
      path: ['main'],
      box: box(1_100, 60),
    }),
    others: [
      button('Back', { id: 'back', classes: ['action-default', 'back'], box: box(900, 60) }),
      button('Reset', { id: 'reset', box: box(1_000, 60) }),
    ],
    now: button('Save', { id: 'save', classes: ['action-default', 'primary'], path: ['main'], box: box(1_100, 60) }),
  },
  {
    what: 'Magento: the administrator’s own password among others',
    was: secret('Your Password', { id: 'integration_properties_current_password', fieldName: 'current_password' }),
    others: [secret('New Password', { id: 'p1', fieldName: 'password' })],
    now: secret('Your Password', { id: 'x7', fieldName: 'admin_password' }),
  },
  {
    what: 'Magento: “Activate” of one integration',
    was: link('Activate', { ...row(['ERP'], 240), href: '#' }),
    others: [
      link('Reauthorize', { ...row(['ERP'], 240), href: '#' }),
      link('Activate', { ...row(['Shipping'], 280), href: '#' }),
    ],
    now: link('Activate', { ...row(['ERP'], 320), href: '#' }),
  },
  {
    what: 'Django admin: “Save” beside the other two',
    was: submit('Save', { fieldName: '_save', classes: ['default'], path: ['main', 'form'] }),
    others: [
      submit('Save and add another', { fieldName: '_addanother', path: ['main', 'form'] }),
      submit('Save and continue editing', { fieldName: '_continue', path: ['main', 'form'] }),
    ],
    now: submit('Save', { fieldName: '_save', classes: ['btn'], path: ['main', 'form'] }),
  },
  {
    what: 'Django admin: “Save” in Spanish beside the other two',
    was: submit('Save', { fieldName: '_save', classes: ['default'], path: ['main', 'form'] }),
    others: [
      submit('Guardar y añadir otro', { fieldName: '_addanother', path: ['main', 'form'] }),
      submit('Guardar y continuar editando', { fieldName: '_continue', path: ['main', 'form'] }),
    ],
    now: submit('Guardar', { fieldName: '_save', classes: ['default'], path: ['main', 'form'] }),
  },
  {
    what: 'Django admin: “Add user +” became “Add user”',
    was: link('Add user +', { href: '/admin/auth/user/add/', classes: ['addlink'] }),
    others: [link('Add', { href: '/admin/auth/group/add/', classes: ['addlink'] })],
    now: link('Add user', { href: '/admin/auth/user/add/', classes: ['addlink', 'button'] }),
  },
  {
    what: 'Jira: “Create API token” in a dialog, with other casing',
    was: button('Create API token', { testId: 'create-token', classes: ['css-1abc'] }),
    others: [
      button('Revoke all API tokens', { classes: ['css-1abc'] }),
      button('Create API token with scopes', { classes: ['css-1abc'] }),
    ],
    now: button('Create API Token', { classes: ['css-9xyz'] }),
  },
  {
    what: 'Jira: “Label” became “Name”, by its name',
    was: field('Label', { id: 'label-uid1', fieldName: 'label' }),
    others: [field('Expires on', { fieldName: 'expiry' })],
    now: field('Name', { id: 'label-uid4', fieldName: 'label' }),
  },
  {
    what: 'Jira: “Create” in the head of every page',
    was: button('Create', { id: 'createGlobalItem', path: ['navigation'], box: box(600, 10) }),
    others: [
      button('Create sprint', { path: ['main'], box: box(1_000, 300) }),
      link('Create project', { href: '/projects/create' }),
    ],
    now: button('Create', {
      testId: 'atlassian-navigation--create-button',
      path: ['banner', 'navigation'],
      box: box(640, 12),
    }),
  },
  {
    what: 'Google Forms: a question by what stands before it',
    was: field('', { neighbours: ['Your name *', 'Sign-up'], classes: ['whsOnd', 'zHQkBf'], path: ['form'] }),
    others: [field('', { neighbours: ['Your e-mail *', 'Sign-up'], classes: ['whsOnd', 'zHQkBf'], path: ['form'] })],
    now: field('', { neighbours: ['Your name *', 'Sign-up 2026'], classes: ['qQkBf2'], path: ['form'] }),
  },
  {
    what: 'Google Forms: “Submit” in German',
    was: item('button', 'Submit', { classes: ['uArJ5e'], path: ['form'] }),
    others: [item('button', 'Alle Eingaben löschen', { classes: ['uArJ5e'], path: ['form'] })],
    now: item('button', 'Senden', { classes: ['uArJ5e'], path: ['form'] }),
  },
  {
    what: 'Google Forms: a choice',
    was: item('radio', 'Vegetarian', { path: ['form'] }),
    others: [item('radio', 'Not vegetarian', { path: ['form'] }), item('radio', 'Vegan', { path: ['form'] })],
    now: item('radio', 'Vegetarian', { path: ['form'], classes: ['new'] }),
  },
  {
    what: 'a bank’s sign-in in Italian',
    was: button('Log in', { type: 'submit', id: 'login', path: ['main', 'form'], box: box(500, 400) }),
    others: [link('Hai dimenticato la password?', { href: '/recover' }), link('Registrati', { href: '/register' })],
    now: button('Accedi', { type: 'submit', id: 'btn-accedi', path: ['main', 'form'], box: box(500, 420) }),
  },
  {
    what: 'Mailchimp: “Create A Key”',
    was: button('Create A Key', { classes: ['button'], path: ['main'] }),
    others: [button('Revoke', row(['Key 1'], 300)), button('Revoke', row(['Key 2'], 340))],
    now: link('Create new key', { href: '/account/api/key/new', classes: ['button', 'p0'], path: ['main'] }),
  },
  {
    what: 'AWS: “Create access key” twice worded in one page, once as a heading’s link',
    was: button('Create access key', { testId: 'create-access-key-button', path: ['main', 'region Access keys'] }),
    others: [link('Learn how to create access keys', { href: '/docs/keys' })],
    now: button('Create access key', { classes: ['awsui_button'], path: ['main', 'region Access keys'] }),
  },
  {
    what: 'Cloudflare: “View” of one key',
    was: button('View', row(['Global API Key'], 500)),
    others: [button('View', row(['Origin CA Key'], 540)), button('Change', row(['Global API Key'], 500))],
    now: button('View', row(['Global API Key'], 620, { classes: ['c_1'] })),
  },
  {
    what: 'GitLab: “Add new token”, from a link to a button',
    was: link('Add new token', {
      href: '#',
      classes: ['gl-button', 'btn-confirm'],
      neighbours: ['Active personal access tokens'],
    }),
    others: [button('Cancel', { classes: ['gl-button'] })],
    now: button('Add a new token', { classes: ['gl-button'], neighbours: ['Active personal access tokens 3'] }),
  },
  {
    what: 'GitLab: “Create personal access token” became “Create token”',
    was: button('Create personal access token', {
      type: 'submit',
      testId: 'create-token-button',
      path: ['main', 'form'],
    }),
    others: [button('Cancel', { path: ['main', 'form'] })],
    now: button('Create token', { type: 'submit', testId: 'create-token-button', path: ['main', 'form'] }),
  },
  {
    what: 'Slack: “Create New App”',
    was: button('Create New App', {
      classes: ['c-button', 'c-button--primary'],
      neighbours: ['Your Apps'],
      path: ['main'],
    }),
    others: [link('Create an App Config Token', { href: '#', neighbours: ['Your App Configuration Tokens'] })],
    now: button('Create new app', { classes: ['btn'], neighbours: ['Your Apps'], path: ['main'] }),
  },
  {
    what: 'Twilio: “Show” beside one secret',
    was: button('Show', { neighbours: ['Auth Token', 'Account Info'] }),
    others: [button('Show', { neighbours: ['API secret', 'API keys'] })],
    now: button('Show', { neighbours: ['Auth Token', 'Account info'], classes: ['n'] }),
  },
  {
    what: 'PayPal: the live switch',
    was: made({ tag: 'button', type: 'button', role: 'switch' }, 'Live', true, { id: 'env-toggle' }),
    others: [made({ tag: 'button', type: 'button', role: 'switch' }, 'Vault', true, { id: 'vault' })],
    now: made({ tag: 'input', type: 'checkbox', role: 'switch' }, 'Live', false, { id: 'environment' }),
  },
  {
    what: 'Prestashop: “Generate!” beside a key in French',
    was: button('Generate!', { neighbours: ['Key'], classes: ['btn'], path: ['main', 'form'] }),
    others: [
      button('Enregistrer', { type: 'submit', path: ['main', 'form'] }),
      link('Annuler', { href: '/keys', path: ['main', 'form'] }),
    ],
    now: button('Générer', { neighbours: ['Clé'], classes: ['btn'], path: ['main', 'form'] }),
  },
  {
    what: 'Prestashop: a permission in a grid, by its row',
    was: tick('', { neighbours: ['orders', 'Permissions'], fieldName: 'resources[orders][GET]' }),
    others: [tick('', { neighbours: ['products', 'Permissions'], fieldName: 'resources[products][GET]' })],
    now: tick('', { neighbours: ['orders', 'Permissions'], fieldName: 'webservice[orders][GET]' }),
  },
  {
    what: 'HubSpot: a tab that became a link',
    was: item('tab', 'Access tokens', { path: ['main'] }),
    others: [link('Auth', { href: '#auth' }), link('Logs', { href: '#logs' })],
    now: link('Access tokens', { href: '#tokens', path: ['main', 'navigation'] }),
  },
  {
    what: 'Zendesk: “Add API token” in Portuguese',
    was: button('Add API token', {
      path: ['main'],
      neighbours: ['API tokens'],
      classes: ['c-btn'],
      box: box(1_000, 200),
    }),
    others: [link('Saiba mais', { href: '/help' })],
    now: button('Adicionar token de API', {
      path: ['main'],
      neighbours: ['Tokens de API'],
      classes: ['c-btn'],
      box: box(1_000, 200),
    }),
  },
  {
    what: 'Acme: “Save changes” became “Save”',
    was: button('Save changes', { type: 'submit', path: ['main', 'form'] }),
    others: [button('Cancel', { path: ['main', 'form'] })],
    now: button('Save', { type: 'submit', path: ['main', 'form'] }),
  },
  {
    what: 'Notion: an uploaded icon’s button by its label',
    was: button('', { name: 'Settings', title: 'Settings' }),
    others: [button('', { name: 'Notifications', title: 'Notifications' })],
    now: button('', { name: 'Settings', alt: 'gear' }),
  },
];

const other: readonly Case[] = [
  {
    what: 'GitHub: “Delete” took the place and the id of “Regenerate token”',
    was: button('Regenerate token', { id: 'token-action', ...githubTokens }),
    others: [button('Delete', { id: 'token-action', ...githubTokens })],
  },
  {
    what: 'GitHub: the fine-grained form instead of the classic',
    was: link('Generate new token (classic)', { href: '/settings/tokens/new' }),
    others: [link('Generate new token (fine-grained)', { href: '/settings/personal-access-tokens/new' })],
  },
  {
    what: 'GitHub: a token’s own “Delete” is gone, another’s is there',
    was: button('Delete', row(['deploy', 'Never used'], 200)),
    others: [button('Delete', row(['ci', 'Last used yesterday'], 200))],
  },
  {
    what: 'WordPress: “Revoke all” where “Add” was',
    was: button('Add Application Password', { path: ['main', 'form'], classes: ['button'], box: box(200, 900) }),
    others: [
      button('Revoke all application passwords', { path: ['main', 'form'], classes: ['button'], box: box(200, 900) }),
    ],
  },
  {
    what: 'WordPress: “Deactivate” for “Activate”, at the same address without its query',
    was: link('Activate', { href: '/plugins.php?action=activate&plugin=woo', ...row(['WooCommerce'], 300) }),
    others: [link('Deactivate', { href: '/plugins.php?action=deactivate&plugin=woo', ...row(['WooCommerce'], 300) })],
  },
  {
    what: 'WordPress: another plugin’s “Activate”',
    was: link('Activate', { href: '/plugins.php?action=activate&plugin=woo', ...row(['WooCommerce'], 300) }),
    others: [link('Activate', { href: '/plugins.php?action=activate&plugin=akismet', ...row(['Akismet'], 300) })],
  },
  {
    what: 'WordPress: “Posts per page” for “Blog name”',
    was: field('Site Title', { id: 'blogname', path: ['main', 'form'], box: box(300, 200) }),
    others: [field('Tagline', { id: 'blogdescription', path: ['main', 'form'], box: box(300, 200) })],
  },
  {
    what: 'Shopify: “Uninstall app” alone',
    was: button('Install app', { classes: ['Polaris-Button'], path: ['main'], box: box(1_050, 60) }),
    others: [button('Uninstall app', { classes: ['Polaris-Button'], path: ['main'], box: box(1_050, 60) })],
  },
  {
    what: 'Shopify: “Rotate API credentials”',
    was: button('Create API credentials', { classes: ['Polaris-Button'], path: ['main'], box: box(1_050, 60) }),
    others: [button('Rotate API credentials', { classes: ['Polaris-Button'], path: ['main'], box: box(1_050, 60) })],
  },
  {
    what: 'Shopify: write for read',
    was: tick('read_products', { fieldName: 'scope', box: box(100, 100) }),
    others: [tick('write_products', { fieldName: 'scope', box: box(100, 100) })],
  },
  {
    what: 'Stripe: “Create restricted key” for “Create secret key”',
    was: button('Create secret key', { classes: ['Button'], path: ['main'], neighbours: ['Keys'], box: box(900, 300) }),
    others: [
      button('Create restricted key', {
        classes: ['Button'],
        path: ['main'],
        neighbours: ['Keys'],
        box: box(900, 300),
      }),
    ],
  },
  {
    what: 'Stripe: “Roll key” beside the same key',
    was: button('Reveal live key', { ...row(['Secret key'], 300), classes: ['Button'] }),
    others: [button('Roll key', { ...row(['Secret key'], 300), classes: ['Button'] })],
  },
  {
    what: 'Stripe: the test key’s “Reveal”',
    was: button('Reveal', row(['Live secret key'], 300)),
    others: [button('Reveal', row(['Test secret key'], 300))],
  },
  {
    what: 'Stripe: publishable for secret',
    was: field('Secret key', { id: 'key', box: box(1, 1) }),
    others: [field('Publishable key', { id: 'pk', box: box(1, 1) })],
  },
  {
    what: 'Magento: “Reset” for “Save”',
    was: button('Save', { classes: ['action-default'], path: ['main'], box: box(1_100, 60) }),
    others: [button('Reset', { classes: ['action-default'], path: ['main'], box: box(1_100, 60) })],
  },
  {
    what: 'Magento: consumer secret for consumer key',
    was: field('Consumer Key', { id: 'consumer_key', path: ['dialog', 'form'] }),
    others: [field('Consumer Secret', { id: 'consumer_secret', path: ['dialog', 'form'] })],
  },
  {
    what: 'Django admin: “Save as new” for “Save”',
    was: submit('Save', { fieldName: '_save', classes: ['default'], path: ['main', 'form'], box: box(900, 800) }),
    others: [
      submit('Save as new', {
        fieldName: '_saveasnew',
        classes: ['default'],
        path: ['main', 'form'],
        box: box(900, 800),
      }),
    ],
  },
  {
    what: 'Django admin: “Save and add another” for “Save”',
    was: submit('Save', { fieldName: '_save', path: ['main', 'form'], classes: ['default'], box: box(900, 800) }),
    others: [
      submit('Save and add another', {
        fieldName: '_addanother',
        path: ['main', 'form'],
        classes: ['default'],
        box: box(900, 800),
      }),
    ],
  },
  {
    what: 'Django admin: “Eliminar” for “Guardar”',
    was: submit('Save', { id: 'row-action' }),
    others: [submit('Eliminar', { id: 'row-action' })],
  },
  {
    what: 'Jira: “Revoke” of another token',
    was: button('Revoke', row(['Backup', 'never'], 200)),
    others: [button('Revoke', row(['Build', 'today'], 200)), button('Revoke', row(['Wiki', 'today'], 240))],
  },
  {
    what: 'Jira: “Create project” for “Create”',
    was: button('Create', { id: 'createGlobalItem', path: ['navigation'], box: box(600, 10) }),
    others: [button('Create project', { id: 'create-project', path: ['navigation'], box: box(600, 10) })],
  },
  {
    what: 'Google Forms: “Clear form” for “Submit”',
    was: item('button', 'Submit', { classes: ['uArJ5e'], path: ['form'] }),
    others: [item('button', 'Clear form', { classes: ['uArJ5e'], path: ['form'] })],
  },
  {
    what: 'Google Forms: “Not vegetarian” for “Vegetarian”',
    was: item('radio', 'Vegetarian', { path: ['form'], classes: ['a'] }),
    others: [item('radio', 'Not vegetarian', { path: ['form'], classes: ['a'] })],
  },
  {
    what: 'a choice of the same group and name',
    was: radio('Blue', { fieldName: 'colour', box: box(10, 10) }),
    others: [radio('Light blue', { fieldName: 'colour', box: box(10, 10) }), radio('Red', { fieldName: 'colour' })],
  },
  {
    what: 'the only other choice of the same group',
    was: radio('Read', { fieldName: 'permission', box: box(10, 10) }),
    others: [radio('Read and write', { fieldName: 'permission', box: box(10, 10) })],
  },
  {
    what: 'boxes of one name',
    was: tick('Orders', { fieldName: 'scopes[]', path: ['main', 'form'] }),
    others: [
      tick('Customers', { fieldName: 'scopes[]', path: ['main', 'form'] }),
      tick('Refunds', { fieldName: 'scopes[]', path: ['main', 'form'] }),
    ],
  },
  {
    what: 'two submits of one name',
    was: submit('Approve', { fieldName: 'decision', path: ['main', 'form'] }),
    others: [
      submit('Request changes', { fieldName: 'decision', path: ['main', 'form'] }),
      submit('Comment', { fieldName: 'decision', path: ['main', 'form'] }),
    ],
  },
  {
    what: 'GitLab: “Rotate” for “Add”',
    was: button('Add new token', { classes: ['gl-button'], box: box(900, 100), path: ['main'] }),
    others: [button('Rotate token', { classes: ['gl-button'], box: box(900, 100), path: ['main'] })],
  },
  {
    what: 'an e-mail for its confirmation',
    was: field('E-mail', { id: 'email', fieldName: 'email', type: 'email' }),
    others: [field('Confirm e-mail', { id: 'email2', fieldName: 'email_confirmation', type: 'email' })],
  },
  {
    what: 'the new password for the current one',
    was: secret('Current password', { id: 'cur', path: ['main', 'form'], box: box(1, 1) }),
    others: [secret('New password', { id: 'new', path: ['main', 'form'], box: box(1, 1) })],
  },
  {
    what: 'billing’s address for shipping’s',
    was: field('Shipping address', { id: 's', path: ['main', 'form'], box: box(1, 1) }),
    others: [field('Billing address', { id: 'b', path: ['main', 'form'], box: box(1, 1) })],
  },
  {
    what: 'AWS: “Deactivate” in the row',
    was: button('Activate', row(['AKIA…1', 'Inactive'], 300)),
    others: [button('Deactivate', row(['AKIA…1', 'Active'], 300))],
  },
  {
    what: 'Mailchimp: “Pause” for “Start”',
    was: button('Start sending', { id: 'send', classes: ['p0'] }),
    others: [button('Pause sending', { id: 'send', classes: ['p0'] })],
  },
  {
    what: 'French: “Ne pas accepter” for “Accepter”',
    was: button('Accepter', { id: 'ok', box: box(5, 5) }),
    others: [button('Ne pas accepter', { id: 'ok', box: box(5, 5) })],
  },
  {
    what: 'German: “Abmelden” for “Anmelden”',
    was: link('Anmelden', { id: 'session', href: '/session' }),
    others: [link('Abmelden', { id: 'session', href: '/session' })],
  },
  {
    what: 'Spanish: “Descargar” for “Cargar”',
    was: button('Cargar', { box: box(5, 5), path: ['main'] }),
    others: [button('Descargar', { box: box(5, 5), path: ['main'] })],
  },
  {
    what: 'another numbered page',
    was: link('Page 2', { href: '/list?page=2' }),
    others: [link('Page 3', { href: '/list?page=3' })],
  },
  {
    what: '“Unfollow” for “Follow”',
    was: button('Follow', { id: 'f', classes: ['btn'] }),
    others: [button('Unfollow', { id: 'f', classes: ['btn'] })],
  },
  {
    what: '“Unlock” for “Lock”',
    was: button('Lock', { id: 'lock', classes: ['btn'] }),
    others: [button('Unlock', { id: 'lock', classes: ['btn'] })],
  },
  {
    what: '“Make private” for “Make public”',
    was: button('Make public', { id: 'vis', classes: ['btn'] }),
    others: [button('Make private', { id: 'vis', classes: ['btn'] })],
  },
  {
    what: '“Collapse all” for “Expand all”',
    was: button('Expand all', { id: 'x' }),
    others: [button('Collapse all', { id: 'x' })],
  },
  {
    what: '“Sign up” with the sign-in’s test id',
    was: button('Sign in', { testId: 'auth-submit' }),
    others: [button('Sign up', { testId: 'auth-submit' })],
  },
];

test.each(same)('finds $what', ({ was, others, now }) => {
  const page = now === undefined ? others : [...others, now];
  expect(relocate(was, page)).toMatchObject({ kind: 'found', index: others.length });
});

test.each(other)('takes nothing for it: $what', ({ was, others }) => {
  expect(relocate(was, others)).toMatchObject({ kind: 'abstain' });
});
