import { createFeed } from './feed.js';

/** A form's own number is another one each time, and says nothing new. */
const ONCE = /name="once" value="[^"]*"/g;

/**
 * Keeps a part of the page as it is on the server, until what it shows is over. The focus stays where it is, and so does
 * what was unfolded. `changed` is called after each change.
 */
export async function follow(root, words, changed) {
  let seen = '';
  const feed = createFeed();
  let step = root.dataset.step;

  async function look() {
    const response = await fetch(step ? `${root.dataset.live}?step=${step}` : root.dataset.live, {
      headers: { accept: 'text/html' },
    });
    if (response.status === 401 || response.status === 404) return 'signed out';
    if (!response.ok) throw new Error(String(response.status));
    const markup = await response.text();
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
      if (found === 'signed out') return say(words, 'You are signed out, so this is not live any more.');
      if (found === 'new') say(words, standing(root));
    } catch {
      feed.answered(false);
      say(words, 'The connection is lost. What you see may be old; trying again.');
    }
  }
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

/** What a screen reader hears: where it stands, and the step that is being done. */
function standing(root) {
  const state = root.querySelector('h1 .badge')?.textContent ?? '';
  const step = root.querySelector('.steps tr.running a')?.textContent;
  return step ? `${state}: ${step}` : state;
}

function say(element, words) {
  if (element && element.textContent !== words) element.textContent = words;
}
