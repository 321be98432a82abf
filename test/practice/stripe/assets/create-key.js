// The form for a restricted key. Like pages made with React, it draws its nodes anew a moment after every change.
const { mode, wording, asksPurpose, offersTemplates, asksAgain, name, raks } = JSON.parse(
  document.querySelector('#data').textContent,
);
const ROOT = mode === 'test' ? '/test' : '';
const CATEGORIES = [
  [
    'All core resources',
    [
      ['Balance', 'balance'],
      ['Charges', 'charge'],
      ['Customers', 'customer'],
      ['Disputes', 'dispute'],
      ['Files', 'file'],
      ['PaymentIntents', 'payment_intent'],
      ['Payouts', 'payout'],
      ['Products', 'product'],
      ['Refunds', 'refund'],
      ['Transfers', 'transfer'],
    ],
  ],
  [
    'All billing resources',
    [
      ['Coupons', 'coupon'],
      ['Invoices', 'invoice'],
      ['Prices', 'plan'],
      ['Subscriptions', 'subscription'],
    ],
  ],
  ['All webhook resources', [['Webhook Endpoints', 'webhook']]],
];
const WORDS = {
  A: {
    question: 'How will you use this API key?',
    own: 'Building your own integration',
    other: ['Providing this key to another website'],
  },
  B: {
    question: 'How will you be using this key?',
    own: 'Powering an integration you built',
    other: ['Providing this key to a third-party application', 'Authorizing an AI agent'],
  },
}[wording];
const LEVELS = ['None', 'Read', 'Write'];

const state = {
  page: asksPurpose ? 'question' : offersTemplates ? 'templates' : 'form',
  purpose: '',
  name,
  levels: Object.fromEntries(
    raks.map((rak) => [rak.replace(/^rak_|_(read|write)$/g, ''), rak.endsWith('_write') ? 'Write' : 'Read']),
  ),
  connect: {},
  key: '',
  toast: '',
  asksCode: false,
  isWrong: false,
};
const app = document.querySelector('#app');
const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** @param {string} kind `levels` or `connect` */
function choice(label, kind, key, level) {
  const radios = LEVELS.map(
    (words) =>
      `<label style="display:inline"><input type="radio" name="${kind}-${key}" data-kind="${kind}" data-key="${key}" value="${words}" ${level === words ? 'checked' : ''}> ${words}</label>`,
  );
  return `<div role="radiogroup" aria-label="${label}">${radios.join(' ')}</div>`;
}

function form() {
  const rows = CATEGORIES.map(([category, resources]) => {
    const whole = resources.map(([, key]) => key).join(' ');
    const head = `<tr class="category"><th scope="row">${category}</th><td>${choice(category, 'levels', whole, '')}</td><td></td></tr>`;
    return (
      head +
      resources
        .map(
          ([row, key]) =>
            `<tr><th scope="row">${row}</th><td>${choice(row, 'levels', key, state.levels[key] ?? 'None')}</td><td>${choice(`${row}, Connect permissions`, 'connect', key, state.connect[key] ?? 'None')}</td></tr>`,
        )
        .join('')
    );
  });
  return `<label for="name">Key name</label><input id="name" type="text" value="${escaped(state.name)}">
    <input type="search" aria-label="Search permissions" placeholder="Search"><button data-does="all">Select all permissions</button>
    <table><thead><tr><th>Resource</th><th>Permissions</th><th>Connect permissions</th></tr></thead><tbody>${rows.join('')}</tbody></table>
    <button data-does="create">Create key</button>`;
}

function page() {
  if (state.page === 'question')
    return `<h2>${WORDS.question}</h2>${[WORDS.own, ...WORDS.other].map((words) => `<label><input type="radio" name="purpose" value="${words}" ${state.purpose === words ? 'checked' : ''}> ${words}</label>`).join('')}<button data-does="continue" ${state.purpose ? '' : 'disabled'}>Continue</button>`;
  if (state.page === 'templates')
    return '<h2>Choose permissions</h2><ul><li><button>One-time payments</button></li><li><button>Recurring subscriptions and billing</button></li></ul><button data-does="own">Choose your own</button>';
  return form();
}

function dialog() {
  if (state.asksCode)
    return `<div role="dialog" aria-label="Enter the code"><p>We sent you a code.</p>${state.isWrong ? '<p role="alert">That code isn’t right.</p>' : ''}<label for="again">Code</label><input id="again" autocomplete="one-time-code">${asksAgain === 'button' ? '<button data-does="code">Continue</button>' : ''}</div>`;
  if (!state.key) return '';
  return `<div role="dialog" aria-label="Your restricted key"><p>${mode === 'live' ? 'You won’t see it again.' : ''} Click to copy.</p><code>${state.key}</code><label for="note">Add a note</label><input id="note"><button data-does="done">Done</button></div>`;
}

function draw() {
  app.innerHTML = page() + dialog() + (state.toast ? `<p role="status">${state.toast}</p>` : '');
}

const drawSoon = () => setTimeout(draw, 40);

async function create(code) {
  if (asksAgain && code === undefined) {
    state.asksCode = true;
    return drawSoon();
  }
  const rights = Object.entries(state.levels)
    .filter(([, level]) => level !== 'None')
    .map(([key, level]) => `rak_${key}_${level.toLowerCase()}`);
  const connect = Object.entries(state.connect)
    .filter(([, level]) => level !== 'None')
    .map(([key]) => `connect_${key}`);
  const answer = await fetch(`${ROOT}/apikeys/keys`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: state.name, raks: [...rights, ...connect], code }),
  });
  if (answer.status === 403) {
    state.isWrong = true;
    return drawSoon();
  }
  const { value = '' } = await answer.json().catch(() => ({}));
  Object.assign(state, { asksCode: false, key: value, toast: value ? 'Key created' : 'That did not work' });
  drawSoon();
}

app.addEventListener('input', ({ target }) => {
  if (target.id === 'name') state.name = target.value;
  if (target.id === 'again' && asksAgain === 'by itself' && target.value.length === 6) void create(target.value);
});
app.addEventListener('change', ({ target }) => {
  if (target.name === 'purpose') state.purpose = target.value;
  const { kind, key } = target.dataset;
  if (kind) for (const one of key.split(' ')) state[kind][one] = target.value; // a category sets all of its rows
  if (target.name === 'purpose' || kind) drawSoon();
});
app.addEventListener('click', ({ target }) => {
  const { does } = target.dataset;
  if (does === 'continue') state.page = offersTemplates ? 'templates' : 'form';
  if (does === 'own') state.page = 'form';
  if (does === 'all')
    for (const [, resources] of CATEGORIES) for (const [, key] of resources) state.levels[key] = 'Write';
  if (does === 'done') location.href = `${ROOT}/apikeys`;
  if (does === 'create') void create();
  if (does === 'code') void create(document.querySelector('#again').value);
  if (does === 'continue' || does === 'own' || does === 'all') drawSoon();
});
draw();
