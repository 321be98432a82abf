import { createFeed } from './feed.js';

/** A server that says nothing for so long does not answer. */
const PATIENCE_MS = 10_000;

/** A form's own number is another one each time, and says nothing new. */
const ONCE = /name="once" value="[^"]*"/g;

/**
 * Keeps a part of the page as it is on the server, until what it shows is over. The focus stays where it is, and so does
 * what was unfolded. `changed` is called after each change. With `data-tells` nothing is put in place of what somebody reads
 * before they decide: a line says that it has changed.
 */
export async function follow(root, words, changed) {
  let seen = '';
  let isLost = false;
  const feed = createFeed();
  let step = root.dataset.step;

  async function look() {
    const response = await fetch(step ? `${root.dataset.live}?step=${step}` : root.dataset.live, {
      headers: { accept: 'text/html' },
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    count(response.headers);
    if (response.status === 401 || response.status === 404) return 'signed out';
    if (!response.ok) throw new Error(String(response.status));
    const markup = await response.text();
    if (root.dataset.tells)
      return markOf(markup) === root.querySelector('[data-mark]')?.dataset.mark ? 'same' : 'other';
    if (markup.replace(ONCE, '') === seen) return 'same';
    seen = markup.replace(ONCE, '');
    put(root, markup);
    changed();
    return 'new';
  }

  root.addEventListener('click', async (event) => {
    const link = event.target.closest?.('a[data-step]');
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    step = link.dataset.step;
    history.replaceState(null, '', link.href);
    await look().catch(() => location.assign(link.href));
  });

  while (root.querySelector('[data-state]')?.dataset.state === 'open') {
    await feed.wait();
    try {
      const found = await look();
      feed.answered(true);
      if (found === 'signed out') return warn(words, 'You are signed out, so this is not live any more.');
      if (found === 'other') tell(words, root.dataset.tells);
      else if (found === 'new' || isLost) say(words, standing(root));
      isLost = false;
    } catch {
      isLost = true;
      feed.answered(false);
      warn(words, 'The server does not answer. What you see may be old; trying again.');
    }
  }
}

/** The counts beside the names of pages. */
function count(headers) {
  for (const element of document.querySelectorAll('[data-count]')) {
    const now = headers.get(`countersign-${element.dataset.count}`);
    if (now === null) continue;
    element.hidden = now === '0';
    const number = element.firstElementChild;
    const text = Number(now).toLocaleString('en-GB');
    if (number.textContent !== text) number.textContent = text;
  }
}

function markOf(markup) {
  const template = document.createElement('template');
  template.innerHTML = markup;
  return template.content.querySelector('[data-mark]')?.dataset.mark;
}

function put(root, markup) {
  const focused = document.activeElement?.closest?.('[data-key]')?.dataset.key;
  const open = new Set([...root.querySelectorAll('details[open]')].map(nameOf));
  root.innerHTML = markup;
  for (const details of root.querySelectorAll('details')) if (open.has(nameOf(details))) details.open = true;
  if (focused) root.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function nameOf(details) {
  return details.querySelector('summary')?.textContent;
}

/** What a screen reader hears: where it stands, and the step that is being done; of a list nothing, which changes too often. */
function standing(root) {
  const state = root.querySelector('h1 .badge')?.textContent ?? '';
  const step = root.querySelector('.steps tr.running a')?.textContent;
  return step ? `${state}: ${step}` : state;
}

/** For whoever hears the page: everybody else sees it. */
function say(element, words) {
  if (!element) return;
  element.className = 'unseen';
  if (element.textContent !== words) element.textContent = words;
}

/** For everybody. */
function warn(element, words) {
  say(element, words);
  if (element) element.className = 'lost';
}

/** Once: whoever hears the page is not told again and again. */
function tell(element, words) {
  if (!element || element.querySelector('a')) return;
  const link = document.createElement('a');
  link.href = location.pathname;
  link.textContent = 'Show it as it is now';
  warn(element, `${words} `);
  element.append(link);
}
