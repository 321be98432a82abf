/** @file Questions before a button is sent, and the forms that the conversation opens. */

import { focusLastPressed } from './buttons.js';
import { newNonce, parse, post } from './dom.js';

function open(content, labelledBy) {
  const dialog = document.createElement('dialog');
  dialog.setAttribute('aria-labelledby', labelledBy);
  dialog.append(...content);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Asks; Escape and Cancel mean no, and so does Enter unless agreeing is the safe side. */
export function confirm({ title, text, yes, isDanger, isSafe }) {
  const heading = element('h2', { id: 'question', className: 'heading', textContent: title });
  const words = element('p', { className: 'text', textContent: text });
  const agree = element('button', {
    value: 'yes',
    className: `button ${isDanger ? 'danger' : 'primary'}`,
    textContent: yes,
    autofocus: isSafe,
  });
  const cancel = element('button', {
    value: '',
    className: 'button plain',
    textContent: 'Cancel',
    autofocus: !isSafe,
  });
  const form = element('form', { method: 'dialog', className: 'actions' }, agree, cancel);
  const dialog = open([heading, words, form], 'question');
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
  });
}

const openForms = new Map();

/** Brings the dialogs in line with the forms that are open on the server. */
export function syncForms(forms) {
  const ids = new Set(forms.map(({ id }) => id));
  for (const [id, dialog] of openForms) {
    if (ids.has(id)) continue;
    openForms.delete(id);
    dialog.close();
  }
  for (const { id, html } of forms) if (!openForms.has(id)) openForm(id, html);
}

function openForm(id, html) {
  const form = parse(html);
  form.append(element('p', { className: 'error', role: 'alert' }));
  const dialog = open([form], `${id}-title`);
  openForms.set(id, dialog);
  form.querySelector('[data-cancel]').addEventListener('click', (event) => {
    event.preventDefault();
    dialog.close();
  });
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (openForms.delete(id)) void post(`/forms/${id}/close`, {});
    focusLastPressed();
  });
}

export async function submitForm(form) {
  const submit = form.querySelector('.button.primary');
  if (submit.getAttribute('aria-disabled') === 'true') return;
  submit.setAttribute('aria-disabled', 'true');
  const data = new FormData(form);
  const fields = Object.fromEntries([...new Set(data.keys())].map((name) => [name, data.getAll(name)]));
  delete fields.as;
  const reply = await post(form.getAttribute('action'), { ...fields, nonce: newNonce() });
  submit.removeAttribute('aria-disabled');
  if (reply.isDone) {
    openForms.delete(form.dataset.form);
    form.closest('dialog').close();
    return;
  }
  showErrors(form, reply.errors ?? {});
  form.querySelector('[role="alert"]').textContent = reply.errors ? '' : reply.message;
}

function showErrors(form, errors) {
  for (const line of form.querySelectorAll('[data-error]')) {
    const words = errors[line.dataset.error] ?? '';
    line.textContent = words;
    for (const control of line.parentElement.querySelectorAll('input, textarea')) {
      if (words === '') control.removeAttribute('aria-invalid');
      else control.setAttribute('aria-invalid', 'true');
    }
  }
  form.querySelector('[aria-invalid]')?.focus();
}
