import { type Html, html } from '../../core/markup.ts';
import type { ConnectField, ConnectView, RevealedField } from '../../core/ports/connect.ts';

type SignInView = Extract<ConnectView, { kind: 'sign_in' }>;
type KeyView = Extract<ConnectView, { kind: 'key' }>;
type GrantView = Extract<ConnectView, { kind: 'grant' }>;
type CodeView = Extract<ConnectView, { kind: 'code' }>;
type TrailView = Extract<ConnectView, { kind: 'trail' }>;
type RevealView = Extract<ConnectView, { kind: 'reveal' }>;

const UNENCRYPTED = html`<p class="caution"><strong>Not encrypted.</strong> The address of this shop begins with http, not https. Your password would travel to it as you type it, and anybody on the way could read it. If the shop can be opened with https, close this page and ask again with that address.</p>`;

/** The form for a sign-in. */
export function signInPage(view: SignInView, errors: Texts, typed: Texts): string {
  return fieldsPage(view, errors, typed, {
    before: html`${facts(view, 'Used on')}${view.isUnencrypted && UNENCRYPTED}`,
    wrong: 'Something is missing. Nothing was sent yet.',
    after: view.keptUntil
      ? `It goes straight into an encrypted vault, is typed into that site's own sign-in page and nowhere else, and for repairs of this key alone. It is deleted on ${view.keptUntil.toISOString().slice(0, 10)}, or as soon as somebody takes the consent back. It never appears in chat.`
      : "It goes straight into an encrypted vault, is typed into that site's own sign-in page and nowhere else, and is deleted when the operation ends. It never appears in chat.",
    beginsAtOnce: view.keptUntil === undefined,
  });
}

/** The steps by which somebody makes a key, and beneath them the form that takes it. */
export function keyPage(view: KeyView, errors: Texts, typed: Texts): string {
  return fieldsPage(view, errors, typed, {
    before: html`${facts(view, 'Made at')}
    <h2>What to do there</h2>
    <ol class="guide">${view.guide.map((step) => html`<li>${linked(step)}</li>`)}</ol>`,
    wrong: 'This is not what was asked for. Nothing was kept.',
    after:
      'It goes straight into an encrypted vault and is tried at once. If it is not what was approved, it is not kept, and the thread says why. It never appears in chat.',
    beginsAtOnce: false,
  });
}

type Texts = Readonly<Record<string, string>>;

/** What was typed into plain fields is kept when something is wrong; a secret is never written back. */
function fieldsPage(
  { title, fields }: SignInView | KeyView,
  errors: Texts,
  typed: Texts,
  words: {
    readonly before: Html;
    readonly wrong: string;
    readonly after: string;
    /** The first field has the cursor, although nothing is wrong. */
    readonly beginsAtOnce: boolean;
  },
): string {
  const isWrong = Object.keys(errors).length > 0;
  const first = isWrong || words.beginsAtOnce ? firstOf(fields, errors) : undefined;
  const inputs = fields.map((field, at) =>
    input(field, errors[field.name], field.isSecret ? '' : (typed[field.name] ?? ''), at === first),
  );
  return page(
    isWrong ? `Error: ${title}` : title,
    html`<h1>${title}</h1>
    ${words.before}
    ${isWrong && html`<p class="alarm" role="alert">${words.wrong}</p>`}
    <form method="post" novalidate>
      ${inputs}
      <button class="primary" type="submit">Send it to the vault</button>
    </form>
    <p class="quiet">${words.after}</p>`,
  );
}

/** Addresses open beside this page: what was typed here stays. */
function linked(step: string): readonly Html[] {
  return step
    .split(/(https?:\/\/[^\s)]+)/)
    .map((part) =>
      /^https?:\/\//.test(part)
        ? html`<a href="${part}" target="_blank" rel="noopener noreferrer">${part}</a>`
        : html`${part}`,
    );
}

/** The way to the vendor's own page: nothing is entered here. */
export function grantPage(view: GrantView): string {
  return page(
    view.title,
    html`<h1>${view.title}</h1>
    ${facts(view, 'Made at')}
    <p>${view.vendor} asks you to sign in there, shows what the key may do, and asks for your yes.</p>
    <a class="primary" href="${view.url}" rel="noreferrer">Approve it in ${view.vendor}</a>
    <p class="quiet">Then the shop itself sends the key into the encrypted vault, where it is tried at once. No password passes through here, and nobody sees the key on its way.</p>`,
  );
}

/** After the vendor's page. */
export function grantedPage(isApproved: boolean): string {
  return isApproved
    ? thanksPage('key')
    : page(
        'Nothing was approved',
        html`<h1>Nothing was approved</h1><p>No key was made. The link in the thread still leads back to the question; to end the request, press Stop there.</p><p class="quiet">You can close this page.</p>`,
      );
}

/** The form for a one-time code; what was typed is never written back. */
export function codePage(view: CodeView, error?: string): string {
  const title = 'Enter the one-time code';
  return page(
    error ? `Error: ${title}` : title,
    html`<h1>${title}</h1>
    ${facts(view, 'Used on')}
    <form method="post" novalidate>
      <div class="field${error && ' wrong'}">
        <label for="field-code">Code</label>
        <input class="one-time" id="field-code" name="code" type="text" inputmode="numeric" autocomplete="one-time-code" autocapitalize="none" spellcheck="false" maxlength="100" required autofocus aria-describedby="${error ? 'field-code-error ' : ''}field-code-help"${error && html` aria-invalid="true"`}>
        ${error && html`<p class="alarm" id="field-code-error" role="alert">${error}</p>`}
        <p class="quiet" id="field-code-help">From the app, text message or e-mail where this account gets its codes.</p>
      </div>
      <button class="primary" type="submit">Send the code</button>
    </form>
    <p class="quiet">It is typed into that site's own page and nowhere else, once, within 2 minutes, and then deleted. It never appears in chat.</p>`,
  );
}

export function trailPage(view: TrailView, format: 'json' | 'csv' | 'jsonl'): string {
  return page(
    'Audit trail',
    html`<h1>Audit trail</h1>
    ${facts(view, 'Target')}
    <form method="post" action="?format=${format}"><button class="primary" type="submit">Download ${format === 'jsonl' ? 'JSON Lines' : format.toUpperCase()}</button></form>
    <p class="quiet">This link works once.</p>`,
  );
}

/** Asks before it shows: opening the link, as a preview does, spends nothing. */
export function revealPage(view: RevealView): string {
  return page(
    'Show a stored key',
    html`<h1>Show the key “${view.label}”</h1>
    ${facts(view, 'Works at')}
    <form method="post"><button class="primary" type="submit">Show it once</button></form>
    <p class="quiet">It comes out of the vault for this one page. That it was shown, and to whom, goes on record; whoever sees your screen sees it, too.</p>`,
  );
}

/** Hidden until asked for, with a click that works without a script; only copying needs one. */
export function revealedPage(fields: readonly RevealedField[]): string {
  return page(
    'The stored key',
    html`<h1>The stored key</h1>
    <p>This page is shown once. Copy what you need, then close it.</p>
    ${fields.map(secretField)}
    <p class="quiet" role="status" id="copied"></p>
    <p class="quiet">Keep it where only the program that needs it can read it. If it went astray, press Revoke in the thread.</p>`,
    html`<script src="/connect.js" defer></script>`,
  );
}

function secretField({ label, secret }: RevealedField, at: number): Html {
  return html`<div class="secret">
        <h2 id="label-${at}">${label}</h2>
        <details aria-labelledby="label-${at}"><summary><span class="dots" aria-hidden="true">••••••••••••</span><span class="show">Show</span><span class="hide">Hide</span></summary><code id="secret-${at}" translate="no">${secret.reveal()}</code></details>
        <button type="button" class="plain" data-copies="secret-${at}" data-label="${label}" hidden>Copy<span class="unseen"> ${label}</span></button>
      </div>`;
}

export function thanksPage(what: 'sign_in' | 'key' | 'kept'): string {
  const words = {
    key: 'The key is sealed, and is tried now. The thread says what came of it.',
    sign_in: 'The sign-in is in the vault. The work goes on in the thread, where you can watch it.',
    kept: 'The sign-in is in the vault, and stays there for repairs of this key alone. Each of them is shown in the thread.',
  }[what];
  return page('Thank you', html`<h1>Thank you</h1><p>${words}</p><p class="quiet">You can close this page.</p>`);
}

export function answeredPage(): string {
  return page(
    'Thank you',
    html`<h1>Thank you</h1><p>The worker goes on now. You can watch it in the thread; it asks again there if the site does not take the code.</p><p class="quiet">You can close this page.</p>`,
  );
}

export function gonePage(
  words = 'It was used already, has expired, or never existed. Ask for a new one in the thread.',
): string {
  return page('This link does not work', html`<h1>This link does not work</h1><p>${words}</p>`);
}

/** A page of a heading and some sentences, for whatever has no form: plain text in, a whole document out. */
export function plainPage({
  title,
  sentences,
  link,
}: {
  readonly title: string;
  readonly sentences: readonly string[];
  readonly link?: { readonly words: string; readonly url: string };
}): string {
  return page(
    title,
    html`<h1>${title}</h1>
    ${sentences.map((words) => html`<p>${words}</p>`)}
    ${link && html`<a class="primary" href="${link.url}">${link.words}</a>`}`,
  );
}

function facts(view: ConnectView, targetLabel: string): Html {
  const minutes = Math.max(1, Math.round((view.expiresAt.getTime() - Date.now()) / 60_000));
  return html`<dl>
      <div><dt>For</dt><dd>${view.person}, and nobody else</dd></div>
      <div><dt>${targetLabel}</dt><dd><code>${view.origin}</code></dd></div>
      <div><dt>Operation</dt><dd><code>${view.operationId}</code></dd></div>
      <div><dt>Good</dt><dd>once, within ${minutes} ${minutes === 1 ? 'minute' : 'minutes'}</dd></div>
    </dl>`;
}

function firstOf(fields: readonly ConnectField[], errors: Readonly<Record<string, string>>): number {
  return Math.max(
    0,
    fields.findIndex((field) => errors[field.name]),
  );
}

function input(field: ConnectField, error: string | undefined, value: string, hasFocus: boolean): Html {
  const id = `field-${field.name}`;
  const described = [`${id}-help`, ...(error ? [`${id}-error`] : [])].join(' ');
  return html`<div class="field${error && ' wrong'}">
        <label for="${id}">${field.label}</label>
        <input id="${id}" name="${field.name}" type="${field.isSecret ? 'password' : 'text'}" autocomplete="${field.autocomplete}" autocapitalize="none" spellcheck="false" required aria-describedby="${described}"${error && html` aria-invalid="true"`}${hasFocus && ' autofocus'} value="${value}">
        ${error && html`<p class="alarm" id="${id}-error">${error}</p>`}
        <p class="quiet" id="${id}-help">${field.help}</p>
      </div>`;
}

function page(title: string, body: Html, script?: Html): string {
  return `<!doctype html>
${
  html`<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${title} · Countersign</title>
    <link rel="stylesheet" href="/connect.css">
    ${script}
  </head>
  <body>
    <header><span class="mark">Counter<b>sign</b></span></header>
    <main>${body}</main>
  </body>
</html>`.markup
}
`;
}
