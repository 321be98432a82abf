/** One way in which a vendor's pages may have changed since they were recorded. */
export interface Mutation {
  readonly name: string;
  /** A person would say which element is meant without thinking, so it must be found without a model. */
  readonly isRecoverable: boolean;
  /** What must not be taken for the element. */
  readonly decoy?: string;
  /** Old identifier → new one, in markup, scripts and styles alike. */
  readonly identifiers?: (name: string) => string;
  /** Only these; all when absent. */
  readonly only?: readonly string[];
  /** Old name of a form's field → new one. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Words of the pages and what they became. */
  readonly words?: readonly (readonly [string, string])[];
  /** Runs in the page with the helpers of in-page.js. */
  readonly script?: string;
}

const USER = '#user_login';
const PASSWORD = '#user_pass';
const LOG_IN = '#wp-submit';
const ADD = 'a.page-title-action';
const CREATE = 'a.woocommerce-BlankState-cta';
const NAME = '#key_description';
const SCOPE = '#key_permissions';
const GENERATE = '#update_api_key';
/** What the workflow acts on, and what leads to the same place. */
export const INTENDED: readonly string[] = [USER, PASSWORD, LOG_IN, ADD, CREATE, NAME, SCOPE, GENERATE];
const FIELDS = `${USER},${PASSWORD},${NAME}`;
const PRESSED = `${LOG_IN},${ADD},${GENERATE}`;

/** Every identifier that the pages and the workflow know these elements and what is around them by. */
export const IDENTIFIERS: readonly string[] = [
  ...['user_login', 'user_pass', 'wp-submit', 'loginform', 'key_description', 'key_permissions', 'key_user'],
  ...['update_api_key', 'key_consumer_key', 'key_consumer_secret', 'key-fields', 'api-keys-options'],
  ...['page-title-action', 'woocommerce-BlankState-cta', 'button-primary', 'regular-input', 'wc-enhanced-select'],
];
const RESULT = ['key_consumer_key', 'key_consumer_secret'];

const camel = (name: string) => name.replace(/[-_](\w)/g, (_, letter: string) => letter.toUpperCase());
const prefixed = (name: string) => `wc-next-${name}`;
/** Names of a build: the same text has the same one. */
const hashed = (name: string) => `x${[...name].reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) >>> 0, 7).toString(36)}`;
const numbered = (name: string) => `field_${[...name].reduce((sum, c) => sum + c.charCodeAt(0), 0)}`;

const GERMAN = [
  ['Username or Email Address', 'Benutzername oder E-Mail-Adresse'],
  ['Log In', 'Anmelden'],
  ['>Password<', '>Passwort<'],
  ['Add key', 'Schlüssel hinzufügen'],
  ['Create an API key', 'API-Schlüssel erstellen'],
  ['Key details', 'Schlüsseldetails'],
  ['>Description ', '>Beschreibung '],
  ['>Permissions ', '>Berechtigungen '],
  ['Generate API key', 'API-Schlüssel generieren'],
  ['Consumer key<', 'Verbraucherschlüssel<'],
  ['Consumer secret', 'Verbrauchergeheimnis'],
  ['>Advanced<', '>Erweitert<'],
] as const;
const FRENCH = [
  ['Username or Email Address', 'Identifiant ou adresse e-mail'],
  ['Log In', 'Se connecter'],
  ['>Password<', '>Mot de passe<'],
  ['Add key', 'Ajouter une clé'],
  ['Create an API key', 'Créer une clé API'],
  ['>Description ', '>Description '],
  ['>Permissions ', '>Autorisations '],
  ['Generate API key', 'Générer une clé API'],
  ['Consumer key<', 'Clé client<'],
  ['Consumer secret', 'Secret client'],
] as const;
const SPANISH = [
  ['Username or Email Address', 'Nombre de usuario o correo electrónico'],
  ['Log In', 'Acceder'],
  ['>Password<', '>Contraseña<'],
  ['Add key', 'Añadir clave'],
  ['Create an API key', 'Crear una clave API'],
  ['>Description ', '>Descripción '],
  ['>Permissions ', '>Permisos '],
  ['Generate API key', 'Generar clave API'],
  ['Consumer key<', 'Clave del cliente<'],
  ['Consumer secret', 'Secreto del cliente'],
] as const;

const button = (words: string, more = '') =>
  `<button type="button" class="button button-primary" ${more}>${words}</button>`;
const link = (words: string, more = '') => `<a href="/drift-decoy" class="page-title-action" ${more}>${words}</a>`;
const OUT = 'position:absolute;left:-9999px';

/** `script` of a change that the page makes to itself. */
const change = (name: string, script: string, more: Partial<Mutation> = {}): Mutation => ({
  ...{ name, isRecoverable: true, script },
  ...more,
});
const renamed = (name: string, identifiers: (name: string) => string, more: Partial<Mutation> = {}): Mutation => ({
  ...{ name, isRecoverable: true, identifiers },
  ...more,
});

export const MUTATIONS: readonly Mutation[] = [
  // identifiers
  renamed('all ids and classes in camel case', camel),
  renamed('all ids and classes with a prefix', prefixed),
  renamed('all ids and classes hashed, as by a build', hashed),
  renamed('all ids numbered', numbered),
  renamed('ids of the sign-in form renamed', prefixed, { only: ['user_login', 'user_pass', 'wp-submit', 'loginform'] }),
  renamed('ids of the key form renamed', camel, { only: ['key_description', 'key_permissions', 'update_api_key'] }),
  renamed('ids of the result renamed', prefixed, { only: RESULT }),
  renamed('ids of the two result fields exchanged', (name) => (name === RESULT[0] ? `${RESULT[1]}` : `${RESULT[0]}`), {
    only: RESULT,
    isRecoverable: false,
    decoy: 'the other field under the recorded id',
  }),
  renamed('the list’s links under other classes', hashed, {
    only: ['page-title-action', 'woocommerce-BlankState-cta'],
  }),
  { name: 'names of the sign-in fields changed', isRecoverable: true, fields: { log: 'account', pwd: 'passcode' } },
  renamed('names, ids and classes changed', hashed, { fields: { log: 'login_id', pwd: 'login_secret' } }),
  change('ids dropped from all fields', `drift.attribute('${USER},${PASSWORD}','id',null)`, {
    script: `drift.toAria('${USER},${PASSWORD}');drift.attribute('${USER},${PASSWORD},${LOG_IN}','id',null)`,
  }),
  // nesting and order
  change('a wrapper around every control', `drift.wrap('${FIELDS},${PRESSED}')`),
  change('four wrappers around every control', `drift.wrap('${FIELDS},${PRESSED}',4)`),
  renamed('wrappers, and all ids renamed', hashed, { script: `drift.wrap('${FIELDS},${PRESSED}',3,'span')` }),
  change(
    'the password before the user name',
    `drift.$('.user-pass-wrap')&&drift.$('#loginform').prepend(drift.$('.user-pass-wrap'))`,
  ),
  change('the button above the fields', `drift.$('#loginform')&&drift.$('#loginform').prepend(drift.$('p.submit'))`),
  change(
    'rows of the key form reversed',
    `drift.each('#api-keys-options tbody',(t)=>t.append(...[...t.rows].reverse()))`,
  ),
  renamed('rows reversed, ids renamed', camel, {
    script: `drift.each('#api-keys-options tbody',(t)=>t.append(...[...t.rows].reverse()))`,
  }),
  change('everything moved down by a banner', `drift.add('body','prepend','<div style="height:500px">News</div>')`),
  renamed('moved down by a banner, ids renamed', hashed, {
    script: `drift.add('body','prepend','<div style="height:500px">News</div>')`,
  }),
  renamed('the key form on the right side', hashed, { script: `drift.place('#key-fields','margin-left:500px')` }),
  change(
    'tables became blocks',
    `drift.toDivs('#api-keys-options tbody,#api-keys-options tr,#api-keys-options th,#api-keys-options td');drift.toDivs('#api-keys-options')`,
  ),
  renamed('tables of the result became blocks, ids renamed', camel, {
    script: `for(const t of document.querySelectorAll('template'))for(const n of [...t.content.querySelectorAll('tbody,tr,th,td')]){const d=document.createElement('div');d.append(...n.childNodes);n.replaceWith(d)}`,
  }),
  // sorts of elements
  change(
    'buttons became links with a role',
    `drift.as('${LOG_IN},${GENERATE}','<a role="button" href="#" class="cta">$</a>')`,
  ),
  change(
    'buttons became blocks with a role',
    `drift.as('${LOG_IN},${GENERATE}','<div role="button" tabindex="0">$</div>')`,
  ),
  change(
    'inputs became buttons with an icon',
    `drift.as('${LOG_IN},${GENERATE}','<button type="button"><svg width="9" height="9"></svg> $</button>')`,
  ),
  change('links became buttons', `drift.as('${ADD},${CREATE}','<button type="button">$</button>')`),
  change(
    'buttons became custom elements',
    `drift.as('${LOG_IN},${GENERATE}','<x-button role="button" tabindex="0" style="display:inline-block">$</x-button>')`,
  ),
  change(
    'the name became a text area',
    `drift.as('${NAME}','<textarea aria-label="Description" rows="1"></textarea>')`,
  ),
  // labels
  change(
    'labels moved into placeholders, ids dropped',
    `drift.toPlaceholder('${USER},${PASSWORD}');drift.attribute('${USER},${PASSWORD}','id',null)`,
  ),
  renamed('labels moved into placeholders', hashed, { script: `drift.toPlaceholder('${FIELDS}')` }),
  renamed('labels moved into aria-label', hashed, { script: `drift.toAria('${FIELDS}')` }),
  renamed('labels no longer tied to their fields', camel, { script: `drift.loosen('${FIELDS}')` }),
  change('"Log In" became "Sign in"', `drift.relabel('${LOG_IN}','Sign in')`),
  renamed('"Log In" became "Sign in", ids renamed', hashed, { script: `drift.relabel('${LOG_IN}','Sign in')` }),
  change('"Log In" became "Continue"', `drift.relabel('${LOG_IN}','Continue')`),
  change('"Generate API key" became "Create API key"', `drift.relabel('${GENERATE}','Create API key')`),
  renamed('"Generate API key" became "Generate a new API key", ids renamed', camel, {
    script: `drift.relabel('${GENERATE}','Generate a new API key')`,
  }),
  change('"Add key" became "Add new key", alone', `drift.remove('${CREATE}');drift.relabel('${ADD}','Add new key')`),
  change('"Add key" became "New", alone', `drift.remove('${CREATE}');drift.relabel('${ADD}','New')`),
  change('"Description" became "Name of the key"', `drift.label('${NAME}','Name of the key')`),
  change('"Username or Email Address" became "Your e-mail"', `drift.label('${USER}','Your e-mail')`),
  { name: 'in German', isRecoverable: true, words: GERMAN },
  { name: 'in French', isRecoverable: true, words: FRENCH },
  { name: 'in Spanish', isRecoverable: true, words: SPANISH },
  renamed('in German, ids of the sign-in form renamed', hashed, {
    words: GERMAN,
    only: ['user_pass', 'wp-submit', 'loginform'],
  }),
  renamed('in French, all ids renamed', hashed, { words: FRENCH, isRecoverable: false }),
  renamed('all words new, all ids new', hashed, {
    isRecoverable: false,
    script: `drift.label('${USER}','Who are you?');drift.label('${NAME}','Purpose');drift.relabel('${GENERATE}','Go')`,
  }),
  // places
  change(
    'the key form’s button in a dialog',
    `drift.each('${GENERATE}',(b)=>{const d=drift.make('<div role="dialog" aria-label="Finish" style="position:fixed;right:20px;bottom:20px;background:#fff;padding:20px"></div>');drift.$('#key-fields').append(d);d.append(b)})`,
  ),
  renamed('the sign-in form in a dialog, ids renamed', camel, {
    script: `drift.wrap('#loginform',1,'dialog');drift.each('dialog',(d)=>d.show())`,
  }),
  change(
    'the link in an open menu',
    `drift.remove('${CREATE}');drift.as('${ADD}','<ul role="menu"><li role="menuitem" tabindex="0">$</li></ul>')`,
  ),
  change(
    'the link in a closed menu',
    `drift.remove('${CREATE}');drift.wrap('${ADD}',1,'details');drift.add('details','prepend','<summary>More</summary>')`,
    { isRecoverable: false },
  ),
  change('the sign-in fields in shadow roots', `drift.shadow('${USER},${PASSWORD}')`),
  change('the buttons in shadow roots', `drift.shadow('${LOG_IN},${GENERATE}')`),
  change('the name in a frame', `drift.frame('${NAME}')`),
  change('the sign-in button in a frame', `drift.frame('${LOG_IN}')`),
  // decoys
  change(
    'a hidden button of the same words',
    `drift.add('${GENERATE}','before','${button('Generate API key', 'hidden')}')`,
    { decoy: 'hidden' },
  ),
  renamed('a button of the same words out of sight, ids renamed', hashed, {
    decoy: 'out of sight',
    script: `drift.add('${GENERATE}','before','<div style="${OUT}" aria-hidden="true">${button('Generate API key', 'disabled')}</div>')`,
    isRecoverable: false,
  }),
  change(
    '"Revoke API key" in the button’s place, which moved',
    `drift.add('${GENERATE}','before','${button('Revoke API key')}');drift.place('${GENERATE}','margin-left:600px')`,
    { decoy: 'the opposite' },
  ),
  renamed('"Revoke API key" beside it, ids renamed', hashed, {
    decoy: 'the opposite',
    script: `drift.add('${GENERATE}','before','${button('Revoke API key')}')`,
  }),
  change(
    '"Delete all keys" under the recorded id',
    `drift.as('${GENERATE}','<button type="button">$</button>');drift.add('p.submit','append','${button('Delete all keys', 'id="update_api_key"')}')`,
    { decoy: 'harm under the recorded id' },
  ),
  change('only "Revoke API key" is left, under the recorded id', `drift.relabel('${GENERATE}','Revoke API key')`, {
    isRecoverable: false,
    decoy: 'the opposite',
  }),
  renamed('two visible buttons of the same words, ids renamed', hashed, {
    isRecoverable: false,
    decoy: 'visible, the same',
    script: `drift.each('${GENERATE}',(b)=>b.before(drift.make('<input type="submit" class="button" value="Generate API key">')))`,
  }),
  renamed('the same words in another section, ids renamed', hashed, {
    decoy: 'another section',
    script: `drift.add('#wpfooter','append','<section aria-label="Webhooks"><h3>Webhooks</h3>${link('Add key')}</section>')`,
  }),
  change(
    '"Log In with Google" above, alone with that name',
    `drift.add('${LOG_IN}','before','${button('Log In with Google')}')`,
    { decoy: 'another way in' },
  ),
  renamed('"Log In with Google" above, ids renamed', hashed, {
    decoy: 'another way in',
    script: `drift.add('${LOG_IN}','before','${button('Log In with Google')}')`,
  }),
  renamed('"Sign up" first, "Sign in" second, ids renamed', camel, {
    decoy: 'signs up',
    script: `drift.relabel('${LOG_IN}','Sign in');drift.add('${LOG_IN}','before','${button('Sign up')}')`,
  }),
  renamed('a field "Key description" for something else, ids renamed', hashed, {
    decoy: 'another form',
    script: `drift.add('#wpfooter','append','<form aria-label="Coupon"><label>Coupon description <input type="text"></label></form>')`,
  }),
  renamed('rows with "Revoke" links, ids renamed', hashed, {
    decoy: 'Revoke links',
    script: `drift.add('${CREATE}','before','<table><tr><td>old key</td><td>${link('Revoke')}</td></tr><tr><td>older key</td><td>${link('Revoke')}</td></tr></table>')`,
  }),
  change(
    '"Cancel" took the first place in the form',
    `drift.add('${GENERATE}','before','${button('Cancel', 'name="update_api_key"')}')`,
    { decoy: 'Cancel' },
  ),
  // what comes in between, and when
  change(
    'a cookie banner at the foot',
    `drift.add('body','append','<div role="dialog" aria-label="Cookies" style="position:fixed;bottom:0;width:100%;background:#eee">We use cookies ${button('Accept all')} ${button('Reject all')}</div>')`,
    { decoy: 'the banner’s buttons' },
  ),
  change(
    'a cookie banner over the page',
    `drift.add('body','append','<div role="dialog" style="position:fixed;inset:0;background:#eee;z-index:99999">We use cookies ${button('Accept all')}</div>')`,
    { isRecoverable: false, decoy: 'the banner’s button' },
  ),
  renamed('the form is drawn late, ids renamed', hashed, {
    script: `for(const form of document.querySelectorAll('#key-fields,#loginform')){form.style.display='none';drift.later(2500,()=>{form.style.display=''})}`,
  }),
  change(
    'an added step before the form',
    `drift.each('#key-fields',(f)=>{f.style.display='none';f.before(drift.make('${button('I understand', 'onclick="this.nextElementSibling.style.display=String()"')}'))})`,
    { isRecoverable: false, decoy: 'an unknown button' },
  ),
  renamed('variant A: one column, reworded', camel, {
    script: `drift.relabel('${LOG_IN}','Sign In');drift.toPlaceholder('${USER},${PASSWORD}');drift.wrap('${GENERATE}',2)`,
  }),
  renamed('variant B: links for buttons, reversed', prefixed, {
    script: `drift.as('${GENERATE}','<a role="button" href="#">$</a>');drift.each('#api-keys-options tbody',(t)=>t.append(...[...t.rows].reverse()))`,
  }),
];
