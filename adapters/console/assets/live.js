import { createFeed } from './feed.js';

/** A server that says nothing for so long does not answer. */
const PATIENCE_MS = 10_000;
/** Where a page without anything else that is live asks for the counts beside the names of pages. */
const COUNTS = '/console/counts';
const UNANSWERED = 'The server does not answer. What you see may be old; trying again.';
const LOST = 'The connection is lost. This page looks by itself until it is back.';
const SIGNED_OUT =
  'You are signed out, so this is not live any more. Write “console” to Countersign in chat for a link that signs you in.';
const AGAIN = 'Live again.';
const AGAIN_MS = 5_000;

/** A form's own number is another one each time, and says nothing new. */
const ONCE = /name="once" value="[^"]*"/g;

/**
 * Keeps the counts beside the names of pages, and a part of the page, if it has one, as they are on the server; that until
 * what it shows is over. The focus stays where it is, and so does what was unfolded. `first` is what it held as it came;
 * `changed` is called after each change.
 * With `data-tells` nothing is put in place of what somebody reads before they decide: a line says that it has changed.
 */
export async function follow(root, first, words, changed) {
  let seen = first.replace(ONCE, '');
  let isAnswered = true;
  let isLive = true;
  let wasSaid = '';
  let rootLookedAt = performance.now();
  const feed = createFeed((now) => {
    isLive = now;
    tellStanding();
  });
  let step = root?.dataset.step;

  function tellStanding() {
    const now = !isAnswered ? UNANSWERED : !isLive ? LOST : '';
    if (now === wasSaid) return;
    wasSaid = now;
    if (now !== '') return warn(words, now);
    warn(words, AGAIN);
    words.classList.add('again');
    setTimeout(() => words.textContent === AGAIN && say(words, ''), AGAIN_MS);
  }

  const isOpen = () => root?.querySelector('[data-state]')?.dataset.state === 'open';
  const isDue = () => performance.now() - rootLookedAt >= Number(root.dataset.apart ?? 0) * 1_000;

  async function look(source) {
    if (source !== COUNTS) rootLookedAt = performance.now();
    const response = await fetch(step && source !== COUNTS ? `${source}?step=${step}` : source, {
      headers: { accept: 'text/html' },
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    count(response.headers);
    if (response.status === 401 || response.status === 404) return 'signed out';
    if (!response.ok) throw new Error(String(response.status));
    if (source === COUNTS) return 'same';
    const template = document.createElement('template');
    template.innerHTML = await response.text();
    if (root.dataset.tells) return markIn(template.content) === markIn(root) ? 'same' : 'other';
    const now = template.innerHTML.replace(ONCE, '');
    if (now === seen) return 'same';
    seen = now;
    put(root, template.content);
    changed();
    return 'new';
  }

  root?.addEventListener('click', async (event) => {
    const link = event.target.closest?.('a[data-step]');
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    step = link.dataset.step;
    history.replaceState(null, '', link.href);
    await look(root.dataset.live).catch(() => location.assign(link.href));
    const panel = root.querySelector('[data-shown]');
    if (!panel) return;
    if (wasSaid === '') say(words, `${panel.ariaLabel}: ${link.textContent}`);
    // Beneath the steps, where there is no room beside them, nobody would see it.
    if (panel.getBoundingClientRect().top > innerHeight - 40) panel.scrollIntoView({ block: 'nearest' });
  });

  for (;;) {
    await feed.wait();
    try {
      const found = await look(isOpen() && isDue() ? root.dataset.live : COUNTS);
      feed.answered(true, found === 'new');
      if (found === 'signed out') {
        feed.stop();
        return warn(words, SIGNED_OUT);
      }
      isAnswered = true;
      tellStanding();
      if (found === 'other') tell(words, root.dataset.tells);
      else if (found === 'new' && isLive && words.textContent !== AGAIN) say(words, standing(root));
    } catch {
      isAnswered = false;
      feed.answered(false, false);
      tellStanding();
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

function markIn(root) {
  return root.querySelector('[data-mark]')?.dataset.mark;
}

function put(root, content) {
  const focused = focusIn(root);
  const open = new Set([...root.querySelectorAll('details[open]')].map(nameOf));
  root.replaceChildren(content);
  for (const details of root.querySelectorAll('details')) if (open.has(nameOf(details))) details.open = true;
  if (!focused) return;
  // Where it is gone, the focus goes to nothing that acts: whoever presses Enter meant what stood there before.
  root.tabIndex = -1;
  (marked(root, focused.mark)[focused.at] ?? root).focus({ preventScroll: true });
}

/** What has the focus, by what it is and says; `at`: of several that are alike, which one. */
function focusIn(root) {
  const element = document.activeElement;
  if (element === root) return { mark: '', at: 0 };
  if (!root.contains(element)) return undefined;
  const mark = markOf(element);
  return { mark, at: marked(root, mark).indexOf(element) };
}

function marked(root, mark) {
  return [...root.querySelectorAll('a, button, summary, [tabindex]')].filter((each) => markOf(each) === mark);
}

function markOf(element) {
  const leads = element.getAttribute('href') ?? element.form?.getAttribute('action') ?? '';
  const says = element.getAttribute('aria-label') ?? element.textContent;
  return element.dataset.key ?? `${element.tagName} ${leads} ${says}`;
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
