/** @file The page's script. Without it the page works too, by plain forms; with it, it is a live thread. */

import { dismiss, press } from './buttons.js';
import { fill, makeWay, sendText, startComposer } from './composer.js';
import { submitForm, syncForms } from './dialogs.js';
import { refill } from './dom.js';
import { enlarge } from './lightbox.js';
import { isLive, keepConnected } from './live.js';
import { remove, show, watchScrolling } from './thread.js';

const submitted = {
  '#composer': () => sendText(isLive),
  '.act': press,
  '[data-dismiss]': dismiss,
  '[data-form]': submitForm,
  '[data-example]': (form) => fill(form.elements.text.value),
};

const received = {
  message: show,
  gone: ({ id }) => remove(id),
  forms: ({ forms }) => syncForms(forms),
  around: ({ menu, people }) => {
    refill(document.querySelector('#menu'), menu);
    refill(document.querySelector('#people'), people);
  },
  reload: makeWay,
  ready: () => undefined,
};

document.addEventListener('submit', (event) => {
  const found = Object.entries(submitted).find(([selector]) => event.target.matches(selector));
  if (!found) return;
  event.preventDefault();
  void found[1](event.target);
});

document.addEventListener('click', (event) => {
  const picture = event.target.closest('[data-picture]');
  if (picture && !event.metaKey && !event.ctrlKey) {
    event.preventDefault();
    enlarge(picture);
  }
  const menu = document.querySelector('.menu[open]');
  if (menu && !menu.contains(event.target)) menu.open = false;
});

document.addEventListener('keydown', (event) => {
  const menu = document.querySelector('.menu[open]');
  if (event.key !== 'Escape' || !menu) return;
  menu.open = false;
  menu.querySelector('summary').focus();
});

if (document.querySelector('#thread')) {
  watchScrolling();
  startComposer();
  keepConnected((message) => received[message.type](message));
}
