import { randomUUID } from 'node:crypto';
import type { Role } from '../../core/customers/customers.ts';
import { type Html, html } from '../../core/markup.ts';
import { type Call, hasRole, type NavName } from './routes.ts';
import { number } from './words.ts';

interface Counts {
  readonly open: number;
  readonly waiting: number;
}

const NAV: readonly { readonly name: NavName; readonly label: string; readonly role: Role }[] = [
  { name: 'operations', label: 'Operations', role: 'merchant' },
  { name: 'approvals', label: 'Approvals', role: 'approver' },
  { name: 'connections', label: 'Connections', role: 'admin' },
  { name: 'workflows', label: 'Workflows', role: 'admin' },
  { name: 'audit', label: 'Audit', role: 'admin' },
  { name: 'people', label: 'People', role: 'admin' },
  { name: 'queue', label: 'Queue', role: 'admin' },
  { name: 'health', label: 'Health', role: 'admin' },
];

/** A whole page of somebody who has signed in. */
export function wholePage(
  call: Call,
  { title, nav, body }: { readonly title: string; readonly nav: NavName; readonly body: Html },
  counts: Counts,
): string {
  const { member } = call;
  const items = NAV.filter(({ role }) => hasRole(member, role)).map(
    ({ name, label }) =>
      html`<li><a href="/console/${name}"${name === nav && html` aria-current="page"`}>${label}${badgeOf(name, counts)}</a></li>`,
  );
  const role = ROLES.find((each) => member.roles.includes(each)) ?? 'merchant';
  return document(
    call.assetsPath,
    title,
    html`<a class="skip" href="#main">Skip to the content</a>
<div class="frame">
<header class="side"><div>
<a class="wordmark" href="/console/operations">Counter<span>sign</span></a>
<nav aria-label="Console"><ul role="list">${items}</ul></nav>
<div class="me"><p><b>${member.person.name}</b><span>${role}</span></p>${form(call, '/console/sign-out', html`<button class="link">Sign out</button>`)}</div>
</div></header>
<main id="main" tabindex="-1"><p class="unseen" id="live-words" role="status"></p>${body}</main>
</div>`,
  );
}

const ROLES = ['admin', 'approver', 'merchant'] as const;

function badgeOf(name: NavName, { open, waiting }: Counts): Html | undefined {
  if (name !== 'operations' && name !== 'approvals') return undefined;
  const [count, words] = name === 'operations' ? [open, 'open'] : [waiting, 'waiting'];
  return html`<span class="count" data-count="${words}"${count === 0 && html` hidden`}><span>${number(count)}</span><span class="unseen"> ${words}</span></span>`;
}

/**
 * A part of a page that its script keeps as it is on the server, asked for at `source`. `tells`: what is said, instead, when it has
 * changed. `apartSeconds`: so far apart are two looks at it, at least, for what takes the server some time.
 */
export function livePart(
  source: string,
  content: Html,
  {
    step,
    tells,
    apartSeconds,
  }: { readonly step?: number | undefined; readonly tells?: string; readonly apartSeconds?: number } = {},
): Html {
  return html`<div id="live" data-live="${source}"${step !== undefined && html` data-step="${String(step)}"`}${tells !== undefined && html` data-tells="${tells}"`}${apartSeconds !== undefined && html` data-apart="${String(apartSeconds)}"`}>${content}</div>`;
}

/** What a live part holds, as long as it goes on. */
export function liveView(content: Html): Html {
  return html`<div class="view" data-state="open">${content}</div>`;
}

/** A page of a heading and some words, for whoever has not signed in. */
export function plainDocument(assetsPath: string, title: string, body: Html): string {
  return document(
    assetsPath,
    title,
    html`<main id="main" class="alone"><p class="wordmark">Counter<span>sign</span></p><h1>${title}</h1>${body}</main>`,
  );
}

function document(assetsPath: string, title: string, body: Html): string {
  return `<!doctype html>\n${
    html`<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>${title} · Countersign</title><link rel="icon" href="${assetsPath}/icon.svg" type="image/svg+xml"><link rel="stylesheet" href="${assetsPath}/look.css"><link rel="stylesheet" href="${assetsPath}/console.css"><script type="module" src="${assetsPath}/console.js"></script></head><body>${body}</body></html>`
      .markup
  }\n`;
}

/** A form that only this session can send, and that has one effect however often it is sent. */
export function form(
  { csrf }: Pick<Call, 'csrf'>,
  action: string,
  content: Html,
  values: Readonly<Record<string, string>> = {},
): Html {
  const hidden = Object.entries({ csrf, once: randomUUID(), ...values }).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
  );
  return html`<form method="post" action="${action}">${hidden}${content}</form>`;
}

/** The heading of a page, what it is for, and what can be done on it. */
export function heading(title: Html | string, sub?: Html | string, actions?: Html): Html {
  return html`<div class="heading"><div><h1>${title}</h1>${sub !== undefined && html`<p class="quiet">${sub}</p>`}</div>${actions}</div>`;
}

/** Where there is nothing yet: why, and what to do. */
export function nothingYet(title: string, words: Html | string): Html {
  return html`<div class="panel nothing"><h2>${title}</h2><p class="quiet">${words}</p></div>`;
}

/** Numbers that are looked at first. */
export function tiles(
  items: readonly { readonly label: string; readonly value: Html | string; readonly tone?: string }[],
): Html {
  return html`<dl class="tiles">${items.map(({ label, value, tone }) => html`<div class="panel tile"><dt>${label}</dt><dd${tone && html` class="${tone}"`}>${value}</dd></div>`)}</dl>`;
}

export function option(value: string, label: string, chosen: string | undefined): Html {
  return html`<option value="${value}"${value === (chosen ?? '') && html` selected`}>${label}</option>`;
}

/** The same list further back in time. */
export function older(
  path: string,
  query: Readonly<Record<string, string | undefined>>,
  next: string | undefined,
): Html {
  if (next === undefined && query.after === undefined) return html``;
  const { after: _, ...rest } = query;
  return html`<nav class="pages" aria-label="Pages">${query.after !== undefined && html`<a class="button" href="${link(path, rest)}">Newest</a>`}${next !== undefined && html`<a class="button" href="${link(path, { ...rest, after: next })}">Older</a>`}</nav>`;
}

export function link(path: string, query: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(query).filter(
    (pair): pair is [string, string] => pair[1] !== undefined && pair[1] !== '',
  );
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}
