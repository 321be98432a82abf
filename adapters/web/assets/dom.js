/** @file What all parts of the page use: posting, saying something, and times in the reader's own time zone. */

export const me = document.body.dataset.person;

/** Posts to this page's server. Never throws: without an answer, `message` says so. */
export async function post(path, fields) {
  try {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
      body: JSON.stringify({ as: me, ...fields }),
    });
    return { isDone: response.ok, ...(await response.json()) };
  } catch {
    return { isDone: false, isUnanswered: true, message: 'Not sent: the chat does not answer. Please try again.' };
  }
}

/** One for each thing that is sent, the same when it is sent again. */
export function newNonce() {
  return crypto.randomUUID();
}

/** The line under the composer; read out as well. */
export function setStatus(text) {
  const status = document.querySelector('#status');
  if (status && status.textContent !== text) status.textContent = text;
}

/** Read out, not shown. */
export function announce(text) {
  const log = document.querySelector('#announcements');
  const line = document.createElement('p');
  line.textContent = text;
  log.append(line);
  while (log.childElementCount > 20) log.firstElementChild.remove();
}

/** The first element of some markup that the server made. */
export function parse(markup) {
  const template = document.createElement('template');
  template.innerHTML = markup;
  return template.content.firstElementChild;
}

const time = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const whole = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeStyle: 'long' });

/** Writes the times within `root` in the reader's time zone; a message of another day shows its day too. */
export function localizeTimes(root) {
  for (const element of root.querySelectorAll('time[datetime]')) {
    const at = new Date(element.dateTime);
    const isToday = at.toDateString() === new Date().toDateString();
    const { form } = element.dataset;
    const withDay = form === 'datetime' || (form === 'message' && !isToday);
    element.textContent = withDay ? `${day.format(at)}, ${time.format(at)}` : time.format(at);
    element.title = whole.format(at);
  }
}

/** Puts other markup into an element, and keeps what was open and had the focus. */
export function refill(element, markup) {
  if (element.dataset.markup === markup) return;
  element.dataset.markup = markup;
  const focused = focusKey(element, document.activeElement);
  const opened = [...element.querySelectorAll('details[open]')].map(({ className }) => className);
  element.innerHTML = markup;
  for (const name of opened) element.querySelector(`details.${CSS.escape(name)}`)?.setAttribute('open', '');
  localizeTimes(element);
  if (focused !== undefined) focusAgain(element, focused);
}

/** Names the element that has the focus, so that its successor in new markup can be found. */
export function focusKey(root, element) {
  return root.contains(element) && element !== root ? keyOf(element) : undefined;
}

export function focusAgain(root, key) {
  const next = [...root.querySelectorAll('a, button, summary, [tabindex]')].find((element) => keyOf(element) === key);
  next?.focus({ preventScroll: true });
  return next !== undefined;
}

/** The same for the same button, link or fold of an older and a newer version of a message. */
export function keyOf(element) {
  const form = element.closest('form.act');
  if (form) return `act ${form.elements.action.value} ${form.elements.value.value}`;
  if (element.matches('a')) return `a ${element.getAttribute('href')}`;
  return `${element.localName} ${element.value || element.textContent}`;
}
