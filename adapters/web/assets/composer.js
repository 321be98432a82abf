/** @file Writing: the draft that survives, Enter and Shift+Enter, commands, dictation, and sending once. */

import { createCompletion } from './completion.js';
import { newNonce, post, setStatus } from './dom.js';
import { offerSpeech } from './speech.js';

const form = document.querySelector('#composer');
const text = document.querySelector('#text');
const send = form.querySelector('.send');
const draftKey = `draft ${form.elements.thread.value}`;

let isSending = false;
let isLeaving = false;
/** Kept until it arrives: what is sent again after a silence is the same message. */
let pending;

const completion = createCompletion(
  text,
  document.querySelector('#commands'),
  JSON.parse(form.dataset.commands),
  changed,
);

function changed() {
  sessionStorage.setItem(draftKey, text.value);
  text.style.height = 'auto';
  text.style.height = `${text.scrollHeight}px`;
}

/** Puts words there to be looked at and sent. */
export function fill(words) {
  text.value = words;
  changed();
  text.focus();
}

/** Sends what is written; `isLive` says whether the thread will show it by itself. */
export async function sendText(isLive) {
  const words = text.value.trim();
  if (words === '' || isSending) return;
  isSending = true;
  send.setAttribute('aria-disabled', 'true');
  if (pending?.words !== words) pending = { words, nonce: newNonce() };
  const reply = await post('/messages', { thread: form.elements.thread.value, text: words, nonce: pending.nonce });
  isSending = false;
  send.removeAttribute('aria-disabled');
  setStatus(reply.isDone ? '' : reply.message);
  if (!reply.isDone) return;
  pending = undefined;
  if (text.value.trim() === words) text.value = '';
  changed();
  if (isLive() && form.elements.thread.value !== 'new') return;
  isLeaving = true;
  location.assign(reply.url);
}

/** Shows the newest thread in place of the first screen, unless the page is on its way to one that it began itself. */
export function makeWay() {
  if (!isSending && !isLeaving) location.reload();
}

export function startComposer() {
  text.value = sessionStorage.getItem(draftKey) ?? '';
  changed();
  text.addEventListener('input', () => {
    changed();
    completion.onInput();
  });
  text.addEventListener('keydown', (event) => {
    if (completion.onKey(event) || event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.noValidate = true;
  offerSpeech(document.querySelector('#speak'), text, changed);
  if (matchMedia('(hover: hover)').matches) text.focus({ preventScroll: true });
}
