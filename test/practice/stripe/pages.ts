import { escapeHtml } from '../woocommerce/html.ts';
import type { StripeMode, StripeState } from './state.ts';

/** The words of the question and of the buttons: `B` as sighted from 2026-07 on, `A` as most guides still have them. */
export type Wording = 'A' | 'B';

const STYLE = `body{font:14px/1.5 system-ui,sans-serif;margin:0;color:#30313d;background:#f6f8fa}
header,nav{padding:12px 24px;background:#fff;border-bottom:1px solid #ebeef1}main{padding:24px;max-width:860px}
nav a{margin-right:16px}table{width:100%;border-collapse:collapse;background:#fff}td,th{text-align:left;padding:6px 8px;border-bottom:1px solid #ebeef1}
.category th{font-weight:700}.mark{background:#ffe5b4;padding:2px 8px;border-radius:4px}.live .mark{background:#d7f7c2}
[role=dialog]{position:fixed;inset:20% 25%;background:#fff;border:1px solid #c0c8d2;padding:24px;box-shadow:0 8px 40px #0003}
[role=status]{position:fixed;bottom:16px;left:16px;background:#30313d;color:#fff;padding:8px 16px}label{display:block}code{overflow-wrap:anywhere}`;

function documentOf(title: string, body: string, className = ''): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body class="${className}">${body}</body></html>`;
}

/** First the e-mail address, then, on the same page drawn anew, the password. */
export function loginPage(redirect: string, { email = '', problem = '', hasCaptcha = false } = {}): string {
  const to = `<input type="hidden" name="redirect" value="${escapeHtml(redirect)}">`;
  const form =
    email === ''
      ? `<label for="e">Email</label><input id="e" type="email" name="email" autocomplete="username"><button>Continue</button>`
      : `<p>${escapeHtml(email)}</p><input type="hidden" name="email" value="${escapeHtml(email)}"><label for="p">Password</label><input id="p" type="password" name="password" autocomplete="current-password"><label><input type="checkbox" checked name="remember"> Remember me</label><button>Sign in</button>`;
  return documentOf(
    'Sign in',
    `<main><h1>Sign in to your account</h1>${problem === '' ? '' : `<p role="alert">${escapeHtml(problem)}</p>`}<form method="post" action="/login">${to}${form}</form>${hasCaptcha ? '<iframe title="hCaptcha challenge" src="/captcha"></iframe>' : ''}<a href="/reset">Forgot your password?</a></main>`,
  );
}

export function codePage(redirect: string, problem = ''): string {
  return documentOf(
    'Two-step authentication',
    `<main><h1>Two-step authentication</h1><p>Enter the 6-digit code that was sent to the phone ending in 42.</p>${problem === '' ? '' : `<p role="alert">${escapeHtml(problem)}</p>`}
    <form method="post" action="/two-step"><input type="hidden" name="redirect" value="${escapeHtml(redirect)}"><label for="c">Code</label><input id="c" name="code" inputmode="numeric" autocomplete="one-time-code"><button>Continue</button></form>
    <button>Resend</button> <a href="/recover">Sign in another way</a></main>`,
  );
}

function shell(title: string, mode: StripeMode, content: string, script = ''): string {
  const root = mode === 'test' ? '/test' : '';
  const mark = mode === 'test' ? 'Test mode' : 'Live mode';
  return documentOf(
    title,
    `<header><strong>Practice account</strong> <span class="mark">${mark}</span></header>
    <nav aria-label="Main"><a href="${root}/">Home</a><a href="${root}/payments">Payments</a><a href="${root}/apikeys">API keys</a></nav>
    <main>${content}</main>${script}`,
    mode,
  );
}

export function refusedPage(mode: StripeMode): string {
  return shell('API keys', mode, '<h1>API keys</h1><p>You don’t have permission to create API keys.</p>');
}

export function homePage(mode: StripeMode): string {
  return shell('Home', mode, '<h1>Home</h1><p>Nothing happened today.</p>');
}

export function keysPage({ keys }: StripeState, mode: StripeMode, search: string): string {
  const rows = keys
    .filter((key) => key.mode === mode && !key.isExpired && key.name.includes(search))
    .map(
      ({ name, value }) =>
        `<tr><td>${escapeHtml(name)}</td><td>rk_${mode}_…${value.slice(-4)}</td><td>None</td><td>—</td><td>Today</td><td><button aria-label="More actions">⋯</button></td></tr>`,
    );
  const head = '<tr><th>Name</th><th>Token</th><th>Access policy</th><th>Last used</th><th>Created</th><th></th></tr>';
  const root = mode === 'test' ? '/test' : '';
  return shell(
    'API keys',
    mode,
    `<h1>API keys</h1><p><a href="${root}/apikeys/create">+ Create restricted key</a></p>
    <h2>Restricted keys</h2><table aria-label="Restricted keys"><thead>${head}</thead><tbody>${rows.join('')}</tbody></table>
    <h2>Standard keys</h2><table aria-label="Standard keys"><thead>${head}</thead><tbody><tr><td>Publishable key</td><td>pk_${mode}_…</td></tr><tr><td>Secret key</td><td>sk_${mode}_…</td></tr></tbody></table>`,
  );
}

export interface FormOptions {
  readonly wording: Wording;
  readonly asksPurpose: boolean;
  readonly offersTemplates: boolean;
  readonly asksAgain: false | 'button' | 'by itself';
  /** From a link that fills the form in. */
  readonly name: string;
  readonly raks: readonly string[];
}

/** The form is drawn by its script, anew at every change. */
export function createPage(mode: StripeMode, options: FormOptions): string {
  const data = JSON.stringify({ ...options, mode }).replaceAll('<', '\\u003c');
  return shell(
    'Create restricted key',
    mode,
    '<h1>Create restricted key</h1><div id="app"></div>',
    `<script type="application/json" id="data">${data}</script><script src="/assets/create-key.js"></script>`,
  );
}
