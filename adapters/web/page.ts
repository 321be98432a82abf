import { type Html, html } from '../../core/markup.ts';
import type { Person } from '../../core/ports/chat.ts';
import { renderCard, renderTime } from './cards.ts';
import type { WebChatConfig } from './config.ts';
import { renderForm } from './forms.ts';
import { icons } from './icons.ts';
import type { Message } from './store.ts';
import { NEW_THREAD } from './thread.ts';
import type { Attention, ThreadSummary, Views } from './views.ts';

/** What the drawing of a page needs to know. */
export interface PageDeps {
  readonly config: WebChatConfig;
  readonly people: readonly Person[];
  readonly views: Views;
  /** Where the style sheet and the scripts are: it changes whenever one of them does. */
  readonly assetsPath: string;
  readonly ownOrigins: () => ReadonlySet<string>;
  readonly nonce: () => string;
}

export interface Page {
  readonly me: Person;
  /** `new` on the first screen. */
  readonly threadId: string;
  /** The first screen shown for want of a thread: it gives way as soon as there is one. */
  readonly isWaiting: boolean;
}

export interface Pages {
  thread(page: Page): string;
  message(message: Message, userId: string): Html;
  menu(page: Page): Html;
  people(page: Page): Html;
  /** One form or one question alone on a page, for browsers without script. */
  alone(title: string, content: Html): string;
}

export function createPages(deps: PageDeps): Pages {
  const { config, people } = deps;

  function message(each: Message, userId: string): Html {
    return renderMessage(each, { userId, people, ownOrigins: deps.ownOrigins() });
  }

  function thread(page: Page): string {
    const shown = deps.views.messages(page.threadId, page.me.userId);
    const last = deps.views.last();
    const list = shown.length > 0 ? shown.map((each) => message(each, page.me.userId)) : firstScreen(page, config);
    const forms = deps.views.forms(page.me.userId, page.threadId);
    const content = html`
${header(page)}
<main id="main">
<div id="thread" data-thread="${page.threadId}" data-last="${last}"${page.isWaiting && html` data-waiting`}>${list}</div>
<noscript>${forms.map((open) => html`<div class="card alone">${renderForm(open, { people })}</div>`)}<p class="aside"><a href="">Show what is new</a></p></noscript>
${composer(page)}
</main>
<div class="unseen" id="announcements" role="log" aria-live="polite" aria-label="New messages"></div>`;
    return document(`# ${config.channelName} · Countersign`, content, page.me.userId);
  }

  function header(page: Page): Html {
    return html`<a class="skip" href="#main">Skip to the messages</a><header class="top"><a class="wordmark" href="/">Counter<span>sign</span></a><h1 class="channel"># ${config.channelName}</h1><div id="menu">${menu(page)}</div><nav class="people" aria-label="Speak as" id="people">${peopleSwitch(page)}</nav></header>`;
  }

  function menu(page: Page): Html {
    const threads = deps.views.threads(page.me.userId);
    return renderMenu(threads, page.threadId);
  }

  function peopleSwitch(page: Page): Html {
    return html`<form method="post" action="/person"><input type="hidden" name="thread" value="${page.isWaiting ? '' : page.threadId}">${people.map((person) => renderPerson(person, page, deps.views.attention(person.userId)))}</form>`;
  }

  function composer({ me, threadId }: Page): Html {
    const commands = config.commands.map(({ command, hint, help }) => ({ command: `/${command}`, hint, help }));
    return html`<div class="dock"><button class="pill" id="newer" type="button" hidden>New messages</button>
<form class="composer" id="composer" method="post" action="/messages" aria-label="Write a message" data-commands="${JSON.stringify(commands)}"><input type="hidden" name="as" value="${me.userId}"><input type="hidden" name="thread" value="${threadId}"><input type="hidden" name="nonce" value="${deps.nonce()}"><div id="commands" class="completions" role="listbox" aria-label="Commands" hidden></div><textarea name="text" id="text" rows="1" maxlength="8000" required aria-label="Message as ${me.name}" aria-describedby="status" placeholder="Message as ${me.name}"></textarea><button class="tool" id="speak" type="button" aria-pressed="false" aria-label="Dictate" title="Dictate" hidden>${icons.speak}</button><button class="tool send" aria-label="Send" title="Send">${icons.send}</button></form>
<p class="status"><span id="status" role="status"></span><span class="keys" aria-hidden="true"><kbd>Enter</kbd> sends, <kbd>/</kbd> for commands</span></p></div>`;
  }

  function document(title: string, content: Html, userId: string): string {
    const { assetsPath } = deps;
    const styles = ['look', 'chat', 'thread', 'cards', 'dialogs'].map(
      (name) => html`<link rel="stylesheet" href="${assetsPath}/${name}.css">`,
    );
    return `<!doctype html>${
      html`<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>${title}</title><link rel="icon" href="${assetsPath}/icon.svg" type="image/svg+xml">${styles}<script type="module" src="${assetsPath}/chat.js"></script></head><body data-person="${userId}">${content}</body></html>`
        .markup
    }`;
  }

  function alone(title: string, content: Html): string {
    return document(
      title,
      html`<main id="main" class="single"><p class="wordmark">Counter<span>sign</span></p><h1 class="unseen">${title}</h1><div class="card">${content}</div></main>`,
      '',
    );
  }

  return { thread, message, menu, people: peopleSwitch, alone };
}

interface MessageView {
  readonly userId: string;
  readonly people: readonly Person[];
  readonly ownOrigins: ReadonlySet<string>;
}

function renderMessage(message: Message, view: MessageView): Html {
  const { id, body, from } = message;
  const name = from === undefined ? 'Countersign' : (view.people.find(({ userId }) => userId === from)?.name ?? from);
  const place = view.people.findIndex(({ userId }) => userId === from);
  const content =
    body.kind === 'words'
      ? html`<p class="words">${body.text}</p>`
      : renderCard(body.card, { userId: view.userId, messageId: id, ownOrigins: view.ownOrigins });
  const note =
    message.how === 'direct' ? 'Direct message' : message.visibleTo === undefined ? undefined : 'Only visible to you';
  return html`<article class="message${note !== undefined && html` private`}" id="${id}" data-n="${message.n}" aria-labelledby="${id}-by"><span class="avatar ${from === undefined ? 'ours' : `tint-${place % 3}`}" aria-hidden="true">${name.slice(0, 1)}</span><div class="said"><div class="by" id="${id}-by"><b>${name}</b><span class="when">${renderTime(message.at, 'message')}${message.isEdited && html` · edited`}${note !== undefined && html` · ${icons.eye}${note}`}</span>${message.how === 'ephemeral' && dismissal(id, view.userId)}</div>${content}</div></article>`;
}

function dismissal(messageId: string, userId: string): Html {
  return html`<form class="dismissal" method="post" action="/messages/${messageId}/dismiss" data-dismiss><input type="hidden" name="as" value="${userId}"><button class="quiet-button" aria-label="Dismiss this message" title="Dismiss">${icons.failed}</button></form>`;
}

function firstScreen({ me, threadId }: Page, config: WebChatConfig): Html {
  const examples = config.examples.map(
    (text) =>
      html`<li><form method="post" action="/messages" data-example><input type="hidden" name="as" value="${me.userId}"><input type="hidden" name="thread" value="${threadId}"><input type="hidden" name="text" value="${text}"><button class="example">${text}</button></form></li>`,
  );
  return html`<section class="welcome"><h2>What shall we set up?</h2><p>Write it the way you would to a colleague. Countersign shows exactly what it would do, and nothing runs until an approver countersigns it.</p>${examples.length > 0 && html`<ul role="list" aria-label="Examples">${examples}</ul>`}</section>`;
}

function renderMenu(threads: readonly ThreadSummary[], current: string): Html {
  const unread = threads.some(({ isUnread, id }) => isUnread && id !== current);
  const items = threads.map(
    ({ id, title, at, isUnread, status }) =>
      html`<li><a href="/t/${id}"${id === current && html` aria-current="page"`}><span class="title">${isUnread && html`<span class="unseen">Unread: </span>`}${title}</span>${renderTime(at, 'message')}${status && html`<span class="standing ${status.tone}">${status.words}</span>`}</a></li>`,
  );
  return html`<details class="menu"><summary>Threads${icons.chevron}${unread && html`<span class="dot"><span class="unseen"> (unread)</span></span>`}</summary><div class="menu-body"><a class="new" href="/t/${NEW_THREAD}">New thread</a>${threads.length > 0 && html`<ul role="list">${items}</ul>`}</div></details>`;
}

function renderPerson(person: Person, { me }: Page, { addressed, isUnread }: Attention): Html {
  const isMe = person.userId === me.userId;
  const badge =
    !isMe &&
    (addressed > 0
      ? html`<span class="badge">${addressed}<span class="unseen"> waiting</span></span>`
      : isUnread && html`<span class="dot"><span class="unseen"> (unread)</span></span>`);
  return html`<button name="person" value="${person.userId}" aria-pressed="${isMe ? 'true' : 'false'}" title="Speak as ${person.name}">${person.name}${badge}</button>`;
}
