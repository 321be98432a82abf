/** @file The buttons under messages: confirmed where the card asks for it, sent once, and busy until answered. */

import { confirm } from './dialogs.js';
import { keyOf, newNonce, post, setStatus } from './dom.js';

const busy = new Set();
/** The button that was pressed last: a form that it opens gives the focus back to it. */
let last;

function nameOf(form) {
  return `${form.closest('.message')?.id} ${keyOf(form.querySelector('button'))}`;
}

/** Marks those buttons of a message that are on their way: a newer version of it may have come meanwhile. */
export function markBusy(root) {
  for (const form of root.querySelectorAll('form.act')) {
    const button = form.querySelector('button');
    if (busy.has(nameOf(form))) button.setAttribute('aria-disabled', 'true');
    else button.removeAttribute('aria-disabled');
  }
}

export async function press(form) {
  const name = nameOf(form);
  if (busy.has(name)) return;
  const { title, text, yes, safe } = form.dataset;
  const isDanger = form.querySelector('.danger') !== null;
  last = { message: form.closest('.message')?.id, key: keyOf(form.querySelector('button')) };
  if (title !== undefined && !(await confirm({ title, text, yes, isDanger, isSafe: safe !== undefined }))) return;
  busy.add(name);
  markBusy(document);
  setStatus('');
  const { action, value } = Object.fromEntries(new FormData(form));
  const confirmed = title === undefined ? {} : { confirmed: 'yes' };
  const reply = await post(form.getAttribute('action'), { action, value, nonce: newNonce(), ...confirmed });
  busy.delete(name);
  markBusy(document);
  if (!reply.isDone) setStatus(reply.message);
}

export async function dismiss(form) {
  const reply = await post(form.getAttribute('action'), {});
  if (!reply.isDone) setStatus(reply.message);
}

/** Gives the focus back to the button that was pressed last, or else to the composer. */
export function focusLastPressed() {
  const forms = document.getElementById(last?.message)?.querySelectorAll('form.act') ?? [];
  const form = [...forms].find((each) => keyOf(each.querySelector('button')) === last.key);
  (form?.querySelector('button') ?? document.querySelector('#text')).focus();
}
