// Pairs as other sites have them: an element as it was recorded, and a later page with it or with something like it. Two tables and
// hardly a line of code: a row is read beside its like.
import { describe, expect, test } from 'vitest';
import { type Fingerprint, relocate } from '../../../core/agent/relocate.ts';

const box = (x: number, y: number, width = 120, height = 32) => ({ x, y, width, height });
const button = (name: string, more: Partial<Fingerprint> = {}): Fingerprint => ({
  ...{ tag: 'button', type: 'button', role: 'button' },
  ...(name ? { name, text: name } : {}),
  ...more,
});
const link = (name: string, more: Partial<Fingerprint> = {}): Fingerprint => ({
  ...{ tag: 'a', role: 'link' },
  ...(name ? { name, text: name } : {}),
  ...more,
});
const field = (name: string, more: Partial<Fingerprint> = {}): Fingerprint => ({
  ...{ tag: 'input', type: 'text', role: 'textbox' },
  ...(name ? { name } : {}),
  ...more,
});
const secret = (name: string, more: Partial<Fingerprint> = {}): Fingerprint => ({
  ...{ tag: 'input', type: 'password' },
  ...(name ? { name } : {}),
  ...more,
});

const loginForm = [
  field('Email', { id: 'email', fieldName: 'email', type: 'email', box: box(500, 200, 280) }),
  secret('Password', { id: 'password', fieldName: 'password', box: box(500, 260, 280) }),
  button('Continue with Google', { classes: ['btn', 'btn-google'], box: box(500, 420, 280) }),
  link('Forgot your password?', { href: '/reset', box: box(500, 300) }),
  link('Sign up', { href: '/register', box: box(500, 480) }),
];
const logIn = button('Log in', {
  type: 'submit',
  id: 'login-btn',
  classes: ['btn', 'btn-primary'],
  neighbours: ['Forgot your password?'],
  path: ['main', 'form'],
  box: box(500, 340, 280),
});

/** Rows of a table, each with the same link; the recorded one is Alice's. */
const row = (who: string, y: number, more: Partial<Fingerprint> = {}) =>
  link('Edit', {
    classes: ['row-action'],
    neighbours: [`${who}@example.com`, who],
    path: ['main Members', 'table'],
    box: box(900, y, 40),
    ...more,
  });
const withoutBox = ({ box: _, ...rest }: Fingerprint): Fingerprint => rest;

const dashboard = [
  link('Home', { href: '/dashboard', path: ['navigation'], box: box(20, 80) }),
  link('Payments', { href: '/payments', path: ['navigation'], box: box(20, 120) }),
  link('Customers', { href: '/customers', path: ['navigation'], box: box(20, 160) }),
  button('Create payment link', { classes: ['Button', 'Button--primary'], box: box(1_050, 80) }),
  field('Search', { type: 'search', role: 'searchbox', placeholder: 'Search', box: box(300, 20, 400) }),
];
const stripeKey = button('Create restricted key', {
  testId: 'create-restricted-key',
  classes: ['Button', 'Button--secondary'],
  neighbours: ['Restricted keys'],
  path: ['main', 'region API keys'],
  box: box(1_000, 600, 160),
});

interface Found {
  readonly what: string;
  readonly recorded: Fingerprint;
  readonly page: readonly Fingerprint[];
  /** Stands last on the page. */
  readonly now: Fingerprint;
}

const found: readonly Found[] = [
  {
    what: 'a reworded button with its id',
    recorded: logIn,
    page: loginForm,
    now: { ...logIn, name: 'Sign in', text: 'Sign in' },
  },
  {
    what: 'a reworded button without its id',
    recorded: logIn,
    page: loginForm,
    now: { ...logIn, name: 'Sign in', text: 'Sign in', id: 'f3' },
  },
  {
    what: 'a button under new id and classes, moved',
    recorded: logIn,
    page: loginForm,
    now: button('Log in', { type: 'submit', id: 'submit-2', classes: ['css-1x8k2j'], box: box(80, 700, 400, 48) }),
  },
  {
    what: 'a button that became a link with a role',
    recorded: logIn,
    page: loginForm,
    now: { tag: 'a', role: 'button', name: 'Log in', text: 'Log in', href: '#', box: box(500, 340, 280) },
  },
  {
    what: 'a button that became an input',
    recorded: logIn,
    page: loginForm,
    now: { tag: 'input', type: 'submit', role: 'button', name: 'Log In', id: 'wp-submit', box: box(510, 350) },
  },
  {
    what: 'the German button',
    recorded: logIn,
    page: loginForm,
    now: { ...logIn, name: 'Anmelden', text: 'Anmelden', id: 'x' },
  },
  {
    what: 'the French button',
    recorded: logIn,
    page: loginForm,
    now: { ...logIn, name: 'Se connecter', text: 'Se connecter', id: 'x' },
  },
  {
    what: 'the Spanish button',
    recorded: logIn,
    page: loginForm,
    now: { ...logIn, name: 'Iniciar sesión', text: 'Iniciar sesión', id: 'x' },
  },
  {
    what: 'a field that was renamed, by its label',
    recorded: loginForm[0] as Fingerprint,
    page: [],
    now: field('Email', { id: 'user_email_1', fieldName: 'session[email]', type: 'email', box: box(100, 500) }),
  },
  {
    what: 'a field with another label, by its name',
    recorded: loginForm[0] as Fingerprint,
    page: [field('First name', { id: 'fn' })],
    now: field('Your work address', { id: 'u1', fieldName: 'email', type: 'email' }),
  },
  {
    what: 'a field whose label went into its placeholder',
    recorded: field('Company name', { id: 'company' }),
    page: [field('Website', { id: 'site' })],
    now: field('Company name', { id: 'c-1', placeholder: 'Company name' }),
  },
  {
    what: 'a field whose label is only text before it',
    recorded: field('Description', { id: 'd' }),
    page: [field('', { neighbours: ['Valid until'] })],
    now: field('', { id: 'q', neighbours: ['Description'] }),
  },
  {
    what: 'the German password field',
    recorded: secret('Password', { id: 'user_pass', fieldName: 'pwd' }),
    page: [field('Benutzername', {})],
    now: secret('Passwort', { id: 'kennwort' }),
  },
  {
    what: 'one of two password fields, by its label',
    recorded: secret('New password', { id: 'a' }),
    page: [secret('Current password', { id: 'b1' }), secret('Confirm new password', { id: 'b3' })],
    now: secret('New password', { id: 'b2' }),
  },
  {
    what: 'a test id in a new design',
    recorded: stripeKey,
    page: dashboard,
    now: {
      tag: 'a',
      role: 'button',
      name: 'New restricted key',
      text: 'New restricted key',
      testId: 'create-restricted-key',
      box: box(300, 200),
    },
  },
  {
    what: 'a button whose test id was dropped',
    recorded: stripeKey,
    page: dashboard,
    now: button('Create restricted key', { classes: ['Btn'], box: box(1_000, 300) }),
  },
  {
    what: 'a button with one word more',
    recorded: stripeKey,
    page: dashboard,
    now: { ...stripeKey, testId: 'other', name: 'Create a new restricted key', text: 'Create a new restricted key' },
  },
  {
    what: 'a link by its address, reworded',
    recorded: link('Develop apps', { href: '/store/x/settings/apps/development' }),
    page: [link('App and sales channel settings', { href: '/store/x/settings/apps' })],
    now: link('Build apps in Dev Dashboard', { href: 'https://admin.example.com/store/x/settings/apps/development' }),
  },
  {
    what: 'a Shopify-like button under made-up names',
    recorded: button('Save', {
      id: ':r1a:',
      classes: ['Polaris-Button', 'Polaris-Button--variantPrimary'],
      box: box(1_100, 20),
    }),
    page: [button('Discard', { id: ':r1a:', classes: ['Polaris-Button'], box: box(1_000, 20) })],
    now: button('Save', { id: ':r7:', classes: ['Polaris-Button', 'Polaris-Button--primary'], box: box(1_110, 22) }),
  },
  {
    what: 'a label spelt a little differently',
    recorded: field('E-mail address', { id: 'a' }),
    page: [field('Address', { id: 'b' })],
    now: field('Email address', { id: 'c' }),
  },
  {
    what: 'a row’s link among others of its name',
    recorded: row('Alice', 200),
    page: [row('Bob', 200), row('Carol', 240), row('Dave', 320)],
    now: row('Alice', 280),
  },
  {
    what: 'a row’s link that has no place',
    recorded: withoutBox(row('Alice', 200)),
    page: [row('Bob', 1), row('Carol', 2)].map(withoutBox),
    now: withoutBox(row('Alice', 200)),
  },
  {
    what: 'a row’s link by its address',
    recorded: row('Alice', 200, { href: '/members/7/edit' }),
    page: [row('Bob', 200, { href: '/members/8/edit' })],
    now: row('A. Liddell', 240, { href: '/members/7/edit' }),
  },
  {
    what: 'an icon by its title',
    recorded: button('', { title: 'Copy', name: 'Copy', classes: ['icon'] }),
    page: [button('', { title: 'Delete', name: 'Delete', classes: ['icon'] })],
    now: button('', { title: 'Copy', name: 'Copy', classes: ['i-2'] }),
  },
  {
    what: 'an icon without any words, by its id',
    recorded: button('', { id: 'toggle-menu', classes: ['icon'] }),
    page: [button('', { id: 'toggle-theme', classes: ['icon'] })],
    now: button('', { id: 'toggle-menu', classes: ['ic'] }),
  },
  {
    what: 'an icon without any words that has got some, by its id',
    recorded: button('', { id: 'copy-key', classes: ['icon'] }),
    page: [button('Revoke', { id: 'revoke-key' })],
    now: button('Copy', { id: 'copy-key', classes: ['ic'] }),
  },
  {
    what: 'the e-mail of a newsletter, where that is what was recorded',
    recorded: field('Email', { id: 'newsletter-email', path: ['contentinfo'] }),
    page: [],
    now: field('Email', { id: 'nl-email', fieldName: 'newsletter', path: ['contentinfo'] }),
  },
  {
    what: 'a list by its label',
    recorded: { tag: 'select', role: 'combobox', name: 'Permissions', id: 'p' },
    page: [{ tag: 'select', role: 'combobox', name: 'Country', id: 'c' }],
    now: { tag: 'select', role: 'combobox', name: 'Berechtigungen', id: 'x9' },
  },
  {
    what: 'a tick by its label',
    recorded: { tag: 'input', type: 'checkbox', role: 'checkbox', name: 'Read products' },
    page: [{ tag: 'input', type: 'checkbox', role: 'checkbox', name: 'Write products' }],
    now: { tag: 'input', type: 'checkbox', role: 'checkbox', name: 'Read products', id: 'new' },
  },
  {
    what: 'a shown secret by the words beside it',
    recorded: field('', { id: 'k1', neighbours: ['Consumer key'] }),
    page: [field('', { id: 's9', neighbours: ['Consumer secret'] })],
    now: field('', { id: 'z1', neighbours: ['Consumer key'] }),
  },
  {
    what: 'a shown text by the words before it, whatever it says',
    recorded: { tag: 'code', classes: ['mono'], neighbours: ['Token'] },
    page: [{ tag: 'code', name: 'sk_9', text: 'sk_9', classes: ['mono'], neighbours: ['Secret'] }],
    now: { tag: 'code', name: 'tok_1', text: 'tok_1', classes: ['x'], neighbours: ['Token'] },
  },
  {
    what: 'what moved into a dialog',
    recorded: button('Invite member', { id: 'inv', path: ['main Team'], box: box(1_000, 100) }),
    page: [button('Cancel', { path: ['dialog Invite'] })],
    now: button('Invite member', { id: 'i2', path: ['dialog Invite'], box: box(600, 500) }),
  },
  {
    what: 'the original beside its opposite in its old place',
    recorded: stripeKey,
    page: [{ ...stripeKey, testId: 'revoke', name: 'Revoke restricted key', text: 'Revoke restricted key' }],
    now: { ...stripeKey, testId: 'new', box: box(100, 900), path: ['dialog'] },
  },
  {
    what: 'a link that became a button beside another one that is worded alike',
    recorded: link('Add key', {
      href: '/keys?create=1',
      classes: ['action'],
      neighbours: ['Advanced'],
      path: ['main', 'form'],
      box: box(268, 208, 69),
    }),
    page: [button('Create an API key', { neighbours: ['Advanced'], path: ['main', 'form'], box: box(659, 422) })],
    now: button('Add key', { neighbours: ['Advanced'], path: ['main', 'form'], box: box(264, 210, 64) }),
  },
  {
    what: 'an item in a menu',
    recorded: link('API keys', { href: '/account/apikeys', path: ['navigation Developers'] }),
    page: [link('Webhooks', { href: '/account/webhooks' })],
    now: { tag: 'div', role: 'menuitem', name: 'API keys', text: 'API keys', path: ['menu'] },
  },
  {
    what: 'a field of which the form says the rest',
    recorded: field('Token name', { id: 'pat_name', path: ['main', 'form Add a token'] }),
    page: [field('Description', { path: ['main', 'form Add a token'] })],
    now: field('Name', { id: 'n', path: ['main', 'form Add a token'] }),
  },
  {
    what: 'a dialog’s button that says what the dialog’s title says, beside the button that opens it',
    recorded: button('Create', { neighbours: ['Name'], path: ['dialog Create API key'] }),
    page: [button('Create API key', { path: ['main API keys'] })],
    now: button('Create key', { neighbours: ['Name'], path: ['dialog Create API key'] }),
  },
  {
    what: 'an icon of which the label before says the rest',
    recorded: button('Reveal', { neighbours: ['Signing secret', 'Webhooks'], path: ['main Webhooks'] }),
    page: [button('Change', { neighbours: ['API version'] })],
    now: button('Reveal signing secret', { neighbours: ['Signing secret', '2026-01-01'], path: ['main Webhooks'] }),
  },
  {
    what: 'a row’s button by the row’s name, whatever else is in the row',
    recorded: button('Edit', { neighbours: ['Off', 'ci'], path: ['main Keys', 'table', 'row ci'] }),
    page: [button('Edit', { neighbours: ['Off', 'web'], path: ['main Keys', 'row web'] })],
    now: button('Edit', { neighbours: ['On', 'today', 'ci'], path: ['main Keys', 'row ci'] }),
  },
  {
    what: '“Save” of one of two forms, by its title',
    recorded: button('Save', { classes: ['s'], neighbours: ['Webhook'], path: ['main', 'form Webhook'] }),
    page: [button('Save', { classes: ['s'], neighbours: ['Profile'], path: ['main', 'form Profile'] })],
    now: button('Save', { classes: ['t'], neighbours: ['Webhook'], path: ['main', 'form Webhook'] }),
  },
  {
    what: '“Save” of a form of which the title is translated',
    recorded: button('Save', { path: ['form Edit profile'] }),
    page: [button('Annulla', { path: ['form Modifica profilo'] })],
    now: button('Salva', { path: ['form Modifica profilo'] }),
  },
  {
    what: 'a field by its name, joined another way',
    recorded: field('City', { fieldName: 'shipping_city', path: ['group Shipping address'] }),
    page: [field('Town / City', { fieldName: 'billing-city', path: ['group Billing address'] })],
    now: field('Town / City', { fieldName: 'shipping-city', path: ['group Shipping address'] }),
  },
  {
    what: 'a field with a remark on how to fill it, under another counted id',
    recorded: field('Client name', { id: 'mat-input-3' }),
    page: [field('Redirect URI', { id: 'mat-input-3' })],
    now: field('Client name (optional)', { id: 'mat-input-9' }),
  },
  {
    what: 'a field of two contraries whose label and neighbour are translated',
    recorded: secret('New password', { fieldName: 'new', neighbours: ['Current password'] }),
    page: [secret('Mot de passe actuel', { fieldName: 'old' })],
    now: secret('Nouveau mot de passe', { fieldName: 'new', neighbours: ['Mot de passe actuel'] }),
  },
  {
    what: 'a tab that counts what it holds',
    recorded: link('Client secrets (1)', { role: 'tab' }),
    page: [link('Certificates (0)', { role: 'tab' })],
    now: button('Client secrets (3)', { role: 'tab' }),
  },
  {
    what: 'a tick that became a switch without “Enable”',
    recorded: { tag: 'input', type: 'checkbox', role: 'checkbox', name: 'Enable webhooks' },
    page: [{ tag: 'button', type: 'submit', role: 'switch', name: 'API' }],
    now: { tag: 'button', type: 'submit', role: 'switch', name: 'Webhooks' },
  },
  {
    what: 'the Japanese button, of which the words run together',
    recorded: button('Create token', { classes: ['t'] }),
    page: [button('すべて削除', { classes: ['u'] })],
    now: button('トークンを作成', { classes: ['u'] }),
  },
  {
    what: 'the e-mail of a form that now signs up as well',
    recorded: field('Email', { fieldName: 'email', path: ['form Log in'] }),
    page: [],
    now: field('Email', { fieldName: 'user', path: ['form Log in or sign up'] }),
  },
];

describe('finds', () => {
  test.each(found)('$what', ({ recorded, page, now }) => {
    expect(relocate(recorded, [...page, now])).toMatchObject({ kind: 'found', index: page.length });
    expect(relocate(recorded, [now, ...page])).toMatchObject({ kind: 'found', index: 0 });
  });
});

interface Gone {
  readonly what: string;
  readonly recorded: Fingerprint;
  readonly page: readonly Fingerprint[];
}

const gone: readonly Gone[] = [
  { what: 'the button is gone from its form', recorded: logIn, page: loginForm },
  {
    what: 'only "Log in with Google" is left, in its place',
    recorded: logIn,
    page: [...loginForm, { ...logIn, id: 'g', name: 'Log in with Google', text: 'Log in with Google' }],
  },
  {
    what: 'its place and id went to "Sign up"',
    recorded: logIn,
    page: [{ ...logIn, name: 'Sign up', text: 'Sign up' }],
  },
  {
    what: 'its id went to "Delete account"',
    recorded: logIn,
    page: [{ ...logIn, name: 'Delete account', text: 'Delete account' }],
  },
  { what: '"Next" became "Back"', recorded: button('Next', { id: 'nav' }), page: [button('Back', { id: 'nav' })] },
  {
    what: '"Enable" became "Disable"',
    recorded: button('Enable', { id: 'toggle' }),
    page: [button('Disable', { id: 'toggle' })],
  },
  {
    what: '"Create key" became "Schlüssel löschen"',
    recorded: button('Create key', { id: 'k' }),
    page: [button('Schlüssel löschen', { id: 'k' })],
  },
  {
    what: '"Create key" became "Régénérer la clé"',
    recorded: button('Create key', { id: 'k' }),
    page: [button('Régénérer la clé', { id: 'k' })],
  },
  { what: 'Alice’s row is gone', recorded: row('Alice', 200), page: [row('Bob', 200), row('Carol', 240)] },
  {
    what: 'only Bob’s row is left, where Alice’s was',
    recorded: row('Alice', 200, { href: '/members/7/edit' }),
    page: [row('Bob', 200, { href: '/members/8/edit' })],
  },
  {
    what: 'Bob’s row is where Alice’s was, and Carol’s far away',
    recorded: row('Alice', 200),
    page: [row('Bob', 200), row('Carol', 900)],
  },
  {
    what: 'of two with its words neither has anything else of it, and one its place',
    recorded: button('Add item', { id: 'x', box: box(100, 100) }),
    page: [button('Add item', { id: 'a', box: box(100, 100) }), button('Add item', { id: 'b', box: box(100, 600) })],
  },
  {
    what: 'a link to a form is gone, and the form’s own button does something similar',
    recorded: link('Add key', {
      href: '/keys?create=1',
      neighbours: ['Advanced', 'Settings'],
      path: ['main Settings', 'form Advanced'],
      box: box(268, 208),
    }),
    page: [
      button('Generate API key', {
        type: 'submit',
        neighbours: ['Advanced', 'Settings'],
        path: ['main Settings', 'form Advanced'],
        box: box(182, 251),
      }),
    ],
  },
  { what: 'two are exactly alike', recorded: logIn, page: [logIn, logIn] },
  {
    what: 'two have its words and neither has anything else of it',
    recorded: logIn,
    page: [button('Log in', { id: 'a' }), button('Log in', { id: 'b' })],
  },
  {
    what: 'a choice has a word more',
    recorded: { tag: 'input', type: 'radio', role: 'radio', name: 'Write' },
    page: [{ tag: 'input', type: 'radio', role: 'radio', name: 'Read and write' }],
  },
  {
    what: 'a numbered thing has another number',
    recorded: button('Open key number 1'),
    page: [button('Open key number 2')],
  },
  {
    what: 'the only icon left has no words either',
    recorded: button('', { id: 'pencil', classes: ['icon'], box: box(10, 10) }),
    page: [button('', { id: 'bin', classes: ['icon'], box: box(10, 10) })],
  },
  {
    what: 'a made-up id is on another button',
    recorded: button('Save', { id: ':r1:' }),
    page: [button('More actions', { id: ':r1:' })],
  },
  {
    what: 'a password field took a text field’s place',
    recorded: field('Username', { id: 'u' }),
    page: [secret('Username', { id: 'u' })],
  },
  {
    what: 'a text field has another label and another name',
    recorded: field('First name', { id: 'fn', box: box(1, 1) }),
    page: [field('Last name', { id: 'ln', box: box(1, 1) })],
  },
  {
    what: 'the sign-in’s e-mail is gone, and the footer’s newsletter asks for one',
    recorded: { ...(loginForm[0] as Fingerprint), path: ['main Sign in', 'form'] },
    page: [
      field('Email', { id: 'mc-email', fieldName: 'EMAIL', type: 'email', path: ['contentinfo'], box: box(500, 900) }),
    ],
  },
  {
    what: 'the sign-in’s e-mail is gone, and the one that is left is named after a newsletter',
    recorded: loginForm[0] as Fingerprint,
    page: [field('Email', { id: 'newsletter-email', type: 'email', box: box(500, 900) })],
  },
  {
    what: 'the code’s field is gone, and a voucher’s has its words',
    recorded: field('Code', { id: 'otp', fieldName: 'otp' }),
    page: [field('Code', { fieldName: 'coupon_code' })],
  },
  {
    what: 'a button without words has the word for an end of things now',
    recorded: button('', { testId: 'key-action', id: 'key-action', classes: ['icon'], box: box(10, 10) }),
    page: [button('Delete key', { testId: 'key-action', id: 'key-action', classes: ['icon'], box: box(10, 10) })],
  },
  {
    what: 'only the list’s look-alike widget is left',
    recorded: { tag: 'select', role: 'combobox', name: 'Permissions' },
    page: [{ tag: 'span', role: 'combobox', name: 'Permissions' }],
  },
  {
    what: 'the shipping address is gone, and the billing address has a city',
    recorded: field('City', { fieldName: 'shipping_city', path: ['form Billing address', 'group Shipping address'] }),
    page: [field('City', { fieldName: 'billing_city', path: ['form Billing address', 'group Billing address'] })],
  },
  {
    what: 'the keys of the tests are gone, and those in use have the same button',
    recorded: button('Reveal secret key', { classes: ['b'], path: ['main Test API keys'] }),
    page: [button('Reveal secret key', { classes: ['b'], path: ['main Live API keys'] })],
  },
  {
    what: 'a badge beside it says that it is in use, in another language',
    recorded: button('Create key', { neighbours: ['Keys', 'Sandbox'] }),
    page: [button('Schlüssel erstellen', { neighbours: ['Schlüssel', 'Live-Modus'] })],
  },
  {
    what: 'only another order’s row is left',
    recorded: button('Complete order', { neighbours: ['Processing', '#1042 Bob'], path: ['table', 'row #1042 Bob'] }),
    page: [button('Complete order', { neighbours: ['Processing', '#1041 Ann'], path: ['table', 'row #1041 Ann'] })],
  },
  {
    what: 'only a row is left that is named alike but for a letter',
    recorded: button('Send test event', { path: ['main', 'row https://a.example/hook'] }),
    page: [button('Send test event', { path: ['main', 'row https://b.example/hook'] })],
  },
  {
    what: 'only another row is left, and rows had no names when it was recorded',
    recorded: button('Complete order', { neighbours: ['Processing', '#1042 Bob'], path: ['main Orders', 'table'] }),
    page: [button('Complete order', { neighbours: ['Processing', '#1041 Ann'], path: ['main Orders', 'table'] })],
  },
  {
    what: 'the field of another row has its words',
    recorded: field('Quantity', { path: ['table', 'row Mug'] }),
    page: [field('Quantity', { path: ['table', 'row Cup'] })],
  },
  {
    what: 'the sign-in is gone, and the form that makes an account asks for an e-mail',
    recorded: field('Email', { id: 'u', path: ['form Log in'] }),
    page: [field('Email', { id: 'e', path: ['form Create an account'] })],
  },
  {
    what: 'its form deletes now, whatever its field is called',
    recorded: secret('Password', { id: 'p', fieldName: 'password', path: ['form Change email'] }),
    page: [secret('Password', { id: 'p', fieldName: 'password', path: ['form Delete your account'] })],
  },
  {
    what: 'another form saves',
    recorded: button('Save', { classes: ['s'], path: ['main', 'form Webhook'] }),
    page: [button('Save', { classes: ['s'], path: ['main', 'form Profile'] })],
  },
  {
    what: 'another form asks for a name',
    recorded: field('Name', { path: ['form New API key'] }),
    page: [field('Name', { path: ['form Company'] })],
  },
  {
    what: 'a counted id has moved on to another field',
    recorded: field('Client name', { id: 'mat-input-3' }),
    page: [field('Redirect URI', { id: 'mat-input-3' })],
  },
  {
    what: 'an id stayed, and what is sent is called otherwise',
    recorded: field('Authentication code', { id: 'code', fieldName: 'otp' }),
    page: [field('Recovery code', { id: 'code', fieldName: 'recovery' })],
  },
  {
    what: 'only the copy of a mightier key is left',
    recorded: button('Copy key', { classes: ['c'], neighbours: ['Key', 'Keys'], path: ['main Keys'] }),
    page: [button('Copy master key', { classes: ['c'], neighbours: ['Master key', 'Keys'], path: ['main Keys'] })],
  },
  {
    what: 'the only card is of something else',
    recorded: button('Set up', {
      classes: ['k'],
      neighbours: ['Stripe payments', 'Providers'],
      path: ['main Providers'],
    }),
    page: [button('Set up', { classes: ['k'], neighbours: ['PayPal', 'Providers'], path: ['main Providers'] })],
  },
  {
    what: 'the dialog is closed, and what opens it is called alike',
    recorded: button('Create', { classes: ['b'], neighbours: ['Name'], path: ['dialog Create API key'] }),
    page: [button('Create API key', { classes: ['b'], path: ['main API keys'] })],
  },
  {
    what: 'it deletes, in a language whose words run together',
    recorded: button('Create API key', { id: 'k' }),
    page: [button('APIキーを削除', { id: 'k' })],
  },
];

describe('abstains when', () => {
  test.each(gone)('$what', ({ recorded, page }) => {
    expect(relocate(recorded, page)).toMatchObject({ kind: 'abstain' });
  });
});

test('500 candidates are scored in no time that a person would feel', () => {
  const many = Array.from({ length: 500 }, (_, i) =>
    button(`Edit product number ${i}`, {
      id: `b-${i}`,
      classes: ['btn', 'row'],
      neighbours: [`Product ${i}`, 'In stock'],
      path: ['main Products', 'table'],
      box: box(i, i),
    }),
  );
  const recorded = { ...(many[250] as Fingerprint), id: 'was' };
  const times = Array.from({ length: 7 }, () => {
    const before = process.threadCpuUsage();
    expect(relocate(recorded, many)).toMatchObject({ kind: 'found', index: 250 });
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1000;
  });
  expect(Math.min(...times)).toBeLessThan(200); // a few milliseconds
});
