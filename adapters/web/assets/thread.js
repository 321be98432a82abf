/** @file The messages on the page: putting in, replacing, taking out, and where the page is scrolled to. */

import { markBusy } from './buttons.js';
import { announce, focusAgain, focusKey, localizeTimes, parse } from './dom.js';

const NEAR_PX = 90;

const thread = document.querySelector('#thread');
const pill = document.querySelector('#newer');
let isAtBottom = true;

const page = document.documentElement;
/**
 * As the reader last saw the page: a message that came since must not count as their having scrolled up. Asked whenever
 * it matters, for the browser tells of scrolling a frame late.
 */
let height = page.scrollHeight;

function look() {
  isAtBottom = window.scrollY + window.innerHeight > height - NEAR_PX;
  if (isAtBottom) pill.hidden = true;
}

function toBottom() {
  height = page.scrollHeight;
  window.scrollTo({ top: height, behavior: 'instant' });
  isAtBottom = true;
  pill.hidden = true;
}

/** Shows a message, new or changed; a new one keeps its place in the order in which they were posted. */
export function show({ id, html, isOwn, announce: words }) {
  look();
  const next = parse(html);
  localizeTimes(next);
  const old = document.getElementById(id);
  if (old) replace(old, next);
  else insert(next);
  markBusy(next);
  if (words) announce(words);
  if (isOwn && !old) toBottom();
  else if (!old && !isAtBottom) pill.hidden = false;
}

function insert(next) {
  thread.querySelector('.welcome')?.remove();
  const later = [...thread.querySelectorAll('.message')].find(
    ({ dataset }) => Number(dataset.n) > Number(next.dataset.n),
  );
  next.classList.add('arriving');
  if (later) later.before(next);
  else thread.append(next);
}

/** Keeps pictures that are loaded, folds that are open, and the focus. */
function replace(old, next) {
  const key = focusKey(old, document.activeElement);
  const pictures = new Map([...old.querySelectorAll('img')].map((picture) => [picture.getAttribute('src'), picture]));
  for (const picture of next.querySelectorAll('img')) {
    const loaded = pictures.get(picture.getAttribute('src'));
    if (!loaded) continue;
    pictures.delete(picture.getAttribute('src'));
    loaded.alt = picture.alt;
    picture.replaceWith(loaded);
  }
  const opened = new Set([...old.querySelectorAll('details[open] > summary')].map(({ textContent }) => textContent));
  for (const summary of next.querySelectorAll('details > summary')) {
    if (opened.has(summary.textContent)) summary.parentElement.open = true;
  }
  old.replaceWith(next);
  if (key !== undefined && !focusAgain(next, key)) {
    next.tabIndex = -1;
    next.focus({ preventScroll: true });
  }
}

export function remove(id) {
  const message = document.getElementById(id);
  const hadFocus = message?.contains(document.activeElement);
  message?.remove();
  if (hadFocus) document.querySelector('#text').focus();
}

export function watchScrolling() {
  history.scrollRestoration = 'manual';
  localizeTimes(document);
  window.addEventListener('scroll', look);
  // Pictures and growing cards move the end of the page: who was there stays there.
  new ResizeObserver(() => {
    look();
    if (isAtBottom) toBottom();
    height = page.scrollHeight;
  }).observe(thread);
  pill.addEventListener('click', () => {
    toBottom();
    document.querySelector('#text').focus({ preventScroll: true });
  });
  if (location.hash === '') toBottom();
  else look();
}
