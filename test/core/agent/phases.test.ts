import { createServer, type Server } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { runStep } from '../../../core/agent/engine.ts';
import type { BrowserSession, Condition } from '../../../core/ports/browser.ts';
import { type Step, stepSchema } from '../../../core/workflow/steps/index.ts';
import { openTestBrowser, type TestBrowser } from '../../support/browser.ts';
import { IS_WHOLE } from '../../support/whole.ts';
import { type RecordingRunOptions, recordingRun } from './recording-run.ts';

const pages = new Map<string, string>();
const asked: string[] = [];
const held: (() => void)[] = [];
let server: Server;
let base = '';
let tools: TestBrowser;
let session: BrowserSession;
/** Takes the answer to a page that waits for a word to change itself. */
let answerWord: (answer: () => void) => void = () => {};

beforeAll(async () => {
  server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    if (path === '/never') return;
    if (path === '/held') return void held.push(() => response.end());
    if (path === '/word') return answerWord(() => void response.end('now'));
    response.setHeader('content-type', 'text/html');
    response.end(`<!DOCTYPE html><title>A page</title>${pages.get(path) ?? '<p>Nothing here</p>'}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  base = `http://127.0.0.1:${address.port}`;
  tools = openTestBrowser({ privateTargets: [`127.0.0.1:${address.port}`] });
  session = await tools.browser.open({ origins: [base] });
});

afterEach(() => {
  pages.clear();
  asked.length = 0;
  held.length = 0;
});

afterAll(async () => {
  await tools.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const visible = (selector: string): Condition => ({ kind: 'visible', locator: { by: 'css', selector } });

/** A step of the given kind, on elements with the id `it`. */
function step(own: Record<string, unknown>): Step {
  return stepSchema.parse({
    order: 3,
    intent: 'Do it',
    expectedResult: 'It is done',
    alternatives: [],
    permission: 'create_api_key',
    risk: 'reads',
    isMutating: false,
    timeoutMs: 20_000,
    failsWhen: [],
    ...own,
  });
}

const clickStep = (own: Record<string, unknown> = {}) =>
  step({
    kind: 'click',
    action: 'click',
    locators: [
      { by: 'css', selector: '#it' },
      { by: 'role', role: 'button', name: 'Save', exact: true },
    ],
    identities: [{ tag: 'button', role: 'button', name: 'Save' }],
    postcondition: visible('#done'),
    ...own,
  });

const SHOWS_DONE = `onclick="document.body.insertAdjacentHTML('beforeend', '<p id=done>Done</p>')"`;
const SHOWS_WRONG = `onclick="document.body.insertAdjacentHTML('beforeend', '<p id=wrong>Wrong</p>')"`;

async function on(html: string, wanted: Step, options: Partial<RecordingRunOptions> = {}) {
  pages.set('/page', html);
  await session.navigate(`${base}/page`, 5_000);
  if (html.includes('/held')) await expect.poll(() => held.length).toBe(1);
  const recording = recordingRun({ session, base, ...options });
  return { ...recording, result: await runStep(wanted, recording.run) };
}

/** Opens a page that does this in its script once `free` was called. */
async function openHeld(html: string, script: string): Promise<{ free(): void }> {
  const word = Promise.withResolvers<void>();
  answerWord = (answer) => void word.promise.then(answer);
  pages.set('/page', `${html}<script>fetch('/word').then(() => { ${script} })</script>`);
  await session.navigate(`${base}/page`, 5_000);
  return { free: word.resolve };
}

/** The session, whose page is freed only when somebody waits for its element. */
const freedByWaiting = (free: () => void): BrowserSession => ({
  ...session,
  ready: (element, action, timeoutMs) => {
    free();
    return session.ready(element, action, timeoutMs);
  },
});

const FREE = "document.querySelector('#cover')?.remove(); it.disabled = false; document.body.dataset.free = ''";

const sees = (selector: string) => session.waitFor([visible(selector)], 0);

/** Draws its form anew, once, when the answer to `/held` comes. */
const redrawn = (form: string) => `<div id="form">${form}</div><script>
  fetch('/held').then(() => { document.getElementById('form').innerHTML = ${JSON.stringify(`${form}<p id="anew">anew</p>`)} })</script>`;

/** The session of a page that redraws once: right after its element was found, or at the last moment before it is used. */
function redrawing(when: 'find' | 'ready' = 'ready'): BrowserSession {
  const redraw = async () => {
    const answer = held.shift();
    answer?.();
    if (answer) await session.waitFor([visible('#anew')], 5_000);
  };
  return {
    ...session,
    async find(locators, options) {
      const found = await session.find(locators, options);
      if (found.kind === 'found' && when === 'find') await redraw();
      return found;
    },
    async ready(element, action, timeoutMs) {
      await session.ready(element, action, timeoutMs);
      if (when === 'ready') await redraw();
    },
  };
}

describe('a page that draws its form anew while its element is about to be used', () => {
  const COUNTS = `onclick="document.title += '!'; document.body.insertAdjacentHTML('beforeend', '<p id=done>Done</p>')"`;

  test('gets a secret typed into the new field: opened once, guarded twice', async () => {
    const field = { locators: [{ by: 'css', selector: '#it' }], identities: [{ tag: 'input', type: 'password' }] };
    const value = { kind: 'value', locator: { by: 'css', selector: '#it' }, equals: 'correct horse' };
    const fill = { kind: 'fill', action: 'fill', value: '{secret:admin_password}', postcondition: value };
    const { result, calls } = await on(redrawn('<input id="it" type="password">'), step({ ...fill, ...field }), {
      session: redrawing(),
      secrets: { admin_password: 'correct horse' },
    });
    expect(result).toMatchObject({ kind: 'done', rung: 'replayed' });
    const done = calls.filter((call) => !call.startsWith('picture'));
    expect(done).toEqual(['guard', 'secret admin_password', 'guard', 'fill', 'guard', 'fill']);
  });

  test('gets its new button clicked, once', async () => {
    const { result, calls } = await on(redrawn(`<button id="it" ${COUNTS}>Save</button>`), clickStep(), {
      session: redrawing(),
    });
    expect(result).toMatchObject({ kind: 'done' });
    expect(calls.filter((call) => !call.startsWith('picture'))).toEqual(['guard', 'click', 'guard', 'click']);
    expect((await session.state()).title).toBe('A page!');
  });

  test('gets the click of an effect on its new button, once, when nothing was sent to the old one', async () => {
    const effect = clickStep({ isMutating: true, risk: 'creates' });
    const { result, calls } = await on(redrawn(`<button id="it" ${COUNTS}>Save</button>`), effect, {
      session: redrawing('find'),
    });
    expect(result).toMatchObject({ kind: 'done' });
    expect(calls.filter((call) => !call.startsWith('picture'))).toEqual(['guard', 'click']);
    expect((await session.state()).title).toBe('A page!');
  });

  test('is not acted on when the guard refuses meanwhile', async () => {
    const guard = (calls: readonly string[]) => {
      if (calls.includes('click')) throw new Error('revoked');
    };
    const trying = on(redrawn(`<button id="it" ${COUNTS}>Save</button>`), clickStep(), { session: redrawing(), guard });
    await expect(trying).rejects.toThrow('revoked');
    expect(await sees('#done')).toBeUndefined();
  });

  if (IS_WHOLE)
    test('never gets a second try of a click that leaves something at the vendor', async () => {
      const effect = clickStep({ isMutating: true, risk: 'creates' });
      const { result, calls } = await on(redrawn(`<button id="it" ${COUNTS}>Save</button>`), effect, {
        session: redrawing(),
      });
      expect(result).toMatchObject({ kind: 'failed', failure: 'timeout', hasActed: true });
      expect(calls.filter((call) => call === 'click')).toHaveLength(1);
      expect(await sees('#done')).toBeUndefined();
    });
});

describe('locating', () => {
  test('passes over a decoy that the first locator finds, and clicks the recorded control', async () => {
    const { result } = await on(
      `<button id="it" ${SHOWS_WRONG}>Delete everything</button><button id="other" ${SHOWS_DONE}>Save</button>`,
      clickStep(),
    );
    expect(result).toMatchObject({ kind: 'done', rung: 'replayed' });
    expect(await sees('#wrong')).toBeUndefined();
  });

  test.each([
    { what: 'another name', html: `<button id="it" ${SHOWS_WRONG}>Delete everything</button>` },
    { what: 'another role', html: `<button role="link" id="it" ${SHOWS_WRONG}>Save</button>` },
    { what: 'another tag', html: `<a href="#" id="it" role="button" ${SHOWS_WRONG}>Save</a>` },
  ])('clicks nothing when all that is found has $what', async ({ html }) => {
    const { result, calls } = await on(html, clickStep());
    expect(result).toMatchObject({ kind: 'failed', failure: 'identity_mismatch', hasActed: false });
    expect(result.kind === 'failed' && result.words).toContain('Nothing was clicked or typed');
    expect(calls).not.toContain('click');
    expect(await sees('#wrong')).toBeUndefined();
  });

  test('refuses a password for a field that is no password field', async () => {
    const { result, calls } = await on(
      '<label>Password <input id="it" type="text"></label>',
      step({
        kind: 'fill',
        action: 'fill',
        value: '{secret:admin_password}',
        locators: [{ by: 'css', selector: '#it' }],
        identities: [{ tag: 'input', type: 'password', name: 'Password' }],
        postcondition: { kind: 'value', locator: { by: 'css', selector: '#it' }, matches: '.+' },
      }),
      { secrets: { admin_password: 'correct horse' } },
    );
    expect(result).toMatchObject({ kind: 'failed', failure: 'identity_mismatch' });
    expect(calls).not.toContain('secret admin_password');
  });

  test('tells one control too many from none', async () => {
    const locators = [{ by: 'role', role: 'button', name: 'Save' }];
    const two = await on('<button>Save</button><button>Save</button>', clickStep({ locators, timeoutMs: 500 }));
    expect(two.result).toMatchObject({ kind: 'failed', failure: 'element_ambiguous' });
    const none = await on('<p>Empty</p>', clickStep({ locators, timeoutMs: 500 }));
    expect(none.result).toMatchObject({ kind: 'failed', failure: 'element_missing', pageUrl: `${base}/page` });
    expect((await none.result.picture?.drawn)?.kind).toBe('taken');
  });

  test('waits for a control that is drawn late', async () => {
    const { result } = await on(
      `<script>setTimeout(() => { document.body.innerHTML = \`<button id="it" ${SHOWS_DONE}>Save</button>\` }, 400)</script>`,
      clickStep(),
    );
    expect(result).toMatchObject({ kind: 'done' });
  });
});

describe('acting', () => {
  const own = { locators: [{ by: 'css', selector: '#it' }], postcondition: visible('#it:not(:disabled)') };
  const field = '<label>Name <input id="it" disabled></label>';

  test.each([
    { what: 'clicked', html: `<button id="it" disabled ${SHOWS_DONE}>Save</button>`, wanted: clickStep() },
    {
      what: 'filled',
      html: field,
      wanted: step({ ...own, kind: 'fill', action: 'fill', value: 'x', identities: [{ tag: 'input', name: 'Name' }] }),
    },
    {
      what: 'pressed on',
      html: field,
      wanted: step({
        ...own,
        kind: 'press',
        action: 'press',
        value: 'A',
        identities: [{ tag: 'input', name: 'Name' }],
      }),
    },
    {
      what: 'ticked',
      html: '<label><input id="it" type="checkbox" disabled> Yes</label>',
      wanted: step({
        ...own,
        kind: 'check',
        action: 'check',
        isChecked: true,
        identities: [{ tag: 'input', type: 'checkbox', name: 'Yes' }],
      }),
    },
    {
      what: 'chosen from',
      html: '<label>Pick <select id="it" disabled><option>A<option>B</select></label>',
      wanted: step({
        ...own,
        kind: 'select',
        action: 'selectOption',
        value: 'B',
        identities: [{ tag: 'select', name: 'Pick' }],
      }),
    },
  ])('asks the guard only when what is $what would take it', async ({ html, wanted }) => {
    const { free } = await openHeld(html, FREE);
    const { run } = recordingRun({ session: freedByWaiting(free), base });
    const isFree: boolean[] = [];
    const guard = async () => void isFree.push((await sees('body[data-free]')) === 0);
    const result = await runStep(wanted, { ...run, guard });
    expect(result, JSON.stringify({ ...result, picture: undefined })).toMatchObject({ kind: 'done' });
    expect(isFree).toEqual([true]);
  });
});

describe('checking', () => {
  test('does not take a click for success', async () => {
    const { result } = await on('<button id="it">Save</button>', clickStep({ timeoutMs: 4_000 }));
    expect(result).toMatchObject({ kind: 'failed', failure: 'postcondition_failed', hasActed: true });
  });

  test('tells at once what settles a failure, also before the element is there', async () => {
    const failsWhen = [
      {
        condition: { kind: 'visible', locator: { by: 'text', text: 'Sorry, you are not allowed to access this page' } },
        failure: 'no_access',
        words: 'This account may not open the page of {label}.',
      },
    ];
    const { result } = await on(
      '<div class="wp-die-message">Sorry, you are not allowed to access this page.</div>',
      clickStep({ failsWhen, timeoutMs: 60_000 }),
    );
    expect(result).toMatchObject({
      kind: 'failed',
      failure: 'no_access',
      words: 'This account may not open the page of Countersign op-7k3f9q2m.',
    });
    expect(result.durationMs).toBeLessThan(30_000);
  });

  test('passes an obstacle by opening its own address again, once', async () => {
    pages.set(
      '/wanted',
      `<script>if (!sessionStorage.seen) { sessionStorage.seen = 1; location.replace('/wizard') }</script><p id="done">Keys</p>`,
    );
    pages.set('/wizard', '<h1>Welcome</h1>');
    const wanted = step({
      kind: 'navigate',
      action: 'navigate',
      target: '{base}/wanted',
      postcondition: { kind: 'all', of: [{ kind: 'url', path: '/wanted' }, visible('#done')] },
    });
    const wizard = {
      id: 'wizard',
      when: { kind: 'url', path: '/wizard' } as const,
      intent: 'Open the page again',
      steps: [{ kind: 'reopen' as const }],
    };
    const recording = recordingRun({ session, base, obstacles: [wizard] });
    const result = await runStep(wanted, recording.run);
    expect(result).toMatchObject({ kind: 'done', rung: 'none', obstacles: ['wizard'] });
    expect(recording.calls.filter((call) => call === 'guard')).toHaveLength(2);
  });

  test('gives up on an obstacle that comes back', async () => {
    pages.set('/far', `<script>location.replace('/wizard')</script>`);
    const wanted = step({
      kind: 'navigate',
      action: 'navigate',
      target: '{base}/far',
      postcondition: visible('#done'),
      timeoutMs: 4_000,
    });
    const wizard = {
      id: 'wizard',
      when: { kind: 'url', path: '/wizard' } as const,
      intent: 'Open the page again',
      steps: [{ kind: 'reopen' as const }],
    };
    const result = await runStep(wanted, recordingRun({ session, base, obstacles: [wizard] }).run);
    expect(result).toMatchObject({ kind: 'failed', failure: 'wrong_page', obstacles: ['wizard'] });
    expect(asked.filter((path) => path === '/far')).toHaveLength(2);
  });
});

describe('a page that asks for a one-time code', () => {
  const css = (selector: string) => ({ by: 'css', selector }) as const;
  const obstacle = {
    id: 'two_factor',
    when: visible('#code'),
    intent: 'The site asked for a one-time code',
    steps: [{ kind: 'code' as const, field: [css('#code')], submit: [css('#send')], refused: visible('#wrong') }],
  };
  const form = (button: string) =>
    `<form onsubmit="return false"><label>Code <input id="code"></label>${button}</form>${NEXT}`;
  /** What the page says to the code: the form is gone, and what the step needs is there. */
  const TAKES = 'onclick="this.form.hidden = true; it.hidden = false"';
  const NEXT = `<button id="it" hidden ${SHOWS_DONE}>Save</button>`;

  test('gets it typed once, and the step goes on', async () => {
    const { result, calls } = await on(form(`<button id="send" ${TAKES}>Verify</button>`), clickStep(), {
      obstacles: [obstacle],
      code: '314159',
    });
    expect(result).toMatchObject({ kind: 'done', obstacles: ['two_factor'] });
    expect(calls.filter((call) => call === 'fill')).toHaveLength(1);
  });

  if (IS_WHOLE)
    test('is asked again, by a question for another code, when it does nothing with this one', async () => {
      const { result } = await on(form('<button id="send">Verify</button>'), clickStep(), {
        obstacles: [obstacle],
        code: 'letters',
      });
      expect(result).toMatchObject({ kind: 'failed', failure: 'code_wanted' });
      expect(result.kind === 'failed' && result.words).toContain('did not go on with the code within 15 s');
    });

  test('gets nothing pressed that deletes, pays or hands over', async () => {
    const { result, calls } = await on(form(`<button id="send" ${TAKES}>Delete the shop</button>`), clickStep(), {
      obstacles: [obstacle],
      code: '314159',
    });
    expect(result).toMatchObject({ kind: 'failed', failure: 'wrong_page' });
    expect(result.kind === 'failed' && result.words).toContain('The step itself was not begun.'); // the code was typed
    expect(calls).not.toContain('click');
  });

  test('gets nothing once what the guard saw is too old', async () => {
    pages.set('/page', form(`<button id="send" ${TAKES}>Verify</button>`));
    await session.navigate(`${base}/page`, 5_000);
    const { run, calls } = recordingRun({ session, base, obstacles: [obstacle], code: '314159' });
    const requireSight = () => {
      throw new Error('too old');
    };
    const blind = { ...run, requireSight };
    await expect(runStep(clickStep(), blind)).rejects.toThrow('too old');
    expect(calls).not.toContain('fill');
  });
});

describe('other kinds of step', () => {
  const own = { locators: [{ by: 'css', selector: '#it' }], postcondition: visible('#done') };

  test('ticks a box and checks by code that it is ticked', async () => {
    const identities = [{ tag: 'input', type: 'checkbox', role: 'checkbox', name: 'I agree' }];
    const { result } = await on(
      '<label><input id="it" type="checkbox"> I agree</label>',
      step({
        ...own,
        kind: 'check',
        action: 'check',
        isChecked: true,
        identities,
        postcondition: visible('#it:checked'),
      }),
    );
    expect(result).toMatchObject({ kind: 'done', rung: 'replayed' });
  });

  test('presses a key in a field', async () => {
    const identities = [{ tag: 'input', type: 'text', name: 'Search' }];
    const html = `<form onsubmit="event.preventDefault(); document.body.insertAdjacentHTML('beforeend', '<p id=done>Done</p>')"><label>Search <input id="it" type="text"></label></form>`;
    const { result, calls } = await on(
      html,
      step({ ...own, kind: 'press', action: 'press', value: 'Enter', identities }),
    );
    expect(result).toMatchObject({ kind: 'done' });
    expect(calls).toEqual(['picture 3 10:04:09 · replayed', 'guard', 'press']);
  });

  test('waits for a sight and does nothing', async () => {
    const { result, calls } = await on(
      '<p id="done">Done</p>',
      step({ kind: 'expect', action: 'wait', postcondition: visible('#done') }),
    );
    expect(result).toMatchObject({ kind: 'done', rung: 'none' });
    expect(calls).toEqual(['picture 3 10:04:09']);
  });

  test('tries a verification again when that may help, and tells why it failed', async () => {
    const verifyStep = step({ kind: 'verify', action: 'verify', timeoutMs: 5_000 });
    const answers = [
      { kind: 'fails', reason: 'Busy', isRetryable: true } as const,
      { kind: 'works', checked: 'answered 200', method: 'GET' } as const,
    ];
    const retried = await on('', verifyStep, {
      verify: async () => answers.shift() ?? { kind: 'fails', reason: 'asked too often', isRetryable: false },
    });
    expect(retried.result).toMatchObject({ kind: 'done', verified: { checked: 'answered 200' } });
    const refused = await on('', verifyStep, {
      verify: async () => ({ kind: 'fails', reason: 'The shop knows no such key.', isRetryable: false }),
    });
    expect(refused.result).toMatchObject({
      kind: 'failed',
      failure: 'verification_failed',
      words: 'The shop knows no such key. The key stays in the vault.',
    });
    expect(refused.calls).toEqual(['guard', 'verify']);
  });
});

describe('extracting', () => {
  const GOOD_KEY = `ck_${'a1'.repeat(20)}`;
  const GOOD_SECRET = `cs_${'b2'.repeat(20)}`;
  const field = (selector: string, matches: string) => ({ locators: [{ by: 'css', selector }], matches });
  const extractStep = step({
    kind: 'extract',
    action: 'copy',
    risk: 'creates',
    isMutating: true,
    locators: [{ by: 'css', selector: '#it' }],
    identities: [{ tag: 'button', role: 'button', name: 'Generate' }],
    extract: {
      ready: { kind: 'all', of: [visible('#key'), visible('#secret')] },
      fields: {
        consumer_key: field('#key', '^ck_[0-9a-f]{40}$'),
        consumer_secret: field('#secret', '^cs_[0-9a-f]{40}$'),
      },
    },
  });
  const page = (key: string, secret: string) =>
    `<button id="it" onclick="document.body.insertAdjacentHTML('beforeend', '<input id=key readonly value=${key}><input id=secret readonly value=${secret}>')">Generate</button>`;

  test('keeps both halves between the click and the picture', async () => {
    const { calls, kept } = await on(page(GOOD_KEY, GOOD_SECRET), extractStep);
    expect(calls).toEqual(['guard', 'intend', 'click', 'keep', 'picture 3 10:04:09 · replayed revealing']);
    expect([kept.consumer_key?.reveal(), kept.consumer_secret?.reveal()]).toEqual([GOOD_KEY, GOOD_SECRET]);
  });

  test.each([
    { what: 'one half is cut', key: GOOD_KEY, secret: GOOD_SECRET.slice(0, -1) },
    { what: 'the halves are swapped', key: GOOD_SECRET, secret: GOOD_KEY },
    { what: 'something hangs on', key: `${GOOD_KEY}0`, secret: GOOD_SECRET },
  ])('keeps nothing and shows nothing when $what', async ({ key, secret }) => {
    const { result, calls, kept } = await on(page(key, secret), extractStep);
    expect(result).toMatchObject({ kind: 'failed', failure: 'format_mismatch', hasActed: true });
    expect(result.picture).toBeUndefined();
    expect(JSON.stringify(result)).not.toMatch(/c[ks]_[0-9a-f]{8}/);
    expect(calls).not.toContain('keep');
    expect(kept).toEqual({});
  });

  const heldPage = (state: 'disabled' | 'covered') =>
    state === 'disabled'
      ? page(GOOD_KEY, GOOD_SECRET).replace('<button', '<button disabled')
      : `${page(GOOD_KEY, GOOD_SECRET)}<div id="cover" style="position:fixed;inset:0"></div>`;

  test.each(['disabled', 'covered'] as const)(
    'asks the guard and writes the intent only when a %s button can be clicked',
    async (state) => {
      const { free } = await openHeld(heldPage(state), FREE);
      const isFree: boolean[] = [];
      const { run, calls } = recordingRun({ session: freedByWaiting(free), base });
      const look = async () => void isFree.push((await sees('body[data-free]')) === 0);
      const result = await runStep(extractStep, {
        ...run,
        guard: () => run.guard().then(look),
        intend: () => run.intend().then(look),
      });
      expect(result).toMatchObject({ kind: 'done' });
      expect(isFree).toEqual([true, true]);
      expect(calls.slice(0, 3)).toEqual(['guard', 'intend', 'click']);
    },
  );

  test('asks nobody and clicks nothing when the button can not be clicked in time', async () => {
    const { result, calls } = await on(heldPage('disabled'), { ...extractStep, timeoutMs: 1_000 });
    expect(result).toMatchObject({ kind: 'failed', failure: 'timeout', hasActed: false });
    expect(calls).toEqual(['picture 3 10:04:09 · needs a person']);
  });

  test('says on its picture that it failed where nobody can put it right', async () => {
    const { calls } = await on(heldPage('disabled'), { ...extractStep, order: 1, timeoutMs: 1_000 });
    expect(calls).toEqual(['picture 1 10:04:09 · failed']);
  });

  test('lets nothing of a click through before the guard, also where the page listens first', async () => {
    const listens = `<script>for (const kind of ['mousedown', 'pointerdown', 'mouseup', 'click'])
      addEventListener(kind, () => { document.body.insertAdjacentHTML('beforeend', '<p class=pressed>Pressed</p>') }, true)</script>`;
    const refusal = new Error('refused');
    pages.set('/page', `${listens}${page(GOOD_KEY, GOOD_SECRET)}`);
    await session.navigate(`${base}/page`, 5_000);
    const { run } = recordingRun({ session, base });
    await expect(runStep(extractStep, { ...run, guard: () => Promise.reject(refusal) })).rejects.toBe(refusal);
    expect(await sees('.pressed')).toBeUndefined();
  });

  test('gives a button that is greyed after the intent two seconds, and is not there when it is enabled again', async () => {
    const clicks = `<script>it.addEventListener('click', () => fetch('/clicked'))</script>`;
    const greys = `it.disabled = true; document.body.dataset.greyed = ''; setTimeout(() => { it.disabled = false; document.body.dataset.greyed = 'no' }, 4000)`;
    const { free } = await openHeld(`<button id="it">Generate</button>${clicks}`, greys);
    const recording = recordingRun({
      session,
      base,
      async intend() {
        free();
        await session.waitFor([visible('body[data-greyed=""]')], 5_000);
      },
    });
    const result = await runStep({ ...extractStep, timeoutMs: 8_000 }, recording.run);
    expect(result).toMatchObject({ kind: 'failed', failure: 'postcondition_failed', hasActed: true });
    expect(await sees('body[data-greyed="no"]')).toBe(0);
    expect(asked).not.toContain('/clicked');
    expect(recording.calls).toEqual(['guard', 'intend', 'click']);
  });

  test('finds the key also when the click was answered too late', async () => {
    const { result, kept } = await on(
      `<script>const busy = () => { const end = Date.now() + 2500; while (Date.now() < end); }</script>${page(GOOD_KEY, GOOD_SECRET).replace('<button id="it"', '<button id="it" onmousedown="busy()"')}`,
      extractStep,
    );
    expect(result).toMatchObject({ kind: 'done' });
    expect(kept.consumer_key?.reveal()).toBe(GOOD_KEY);
  });

  test('does not act on what was seen too long ago', async () => {
    pages.set('/page', page(GOOD_KEY, GOOD_SECRET));
    await session.navigate(`${base}/page`, 5_000);
    const recording = recordingRun({ session, base });
    const blind = new Error('out of sight');
    const requireSight = () => {
      throw blind;
    };
    await expect(runStep(extractStep, { ...recording.run, requireSight })).rejects.toBe(blind);
    expect(recording.calls).toEqual(['guard', 'intend']);
    expect(await sees('#key')).toBeUndefined();
  });

  test('does not click when the intent could not be written', async () => {
    pages.set('/page', page(GOOD_KEY, GOOD_SECRET));
    await session.navigate(`${base}/page`, 5_000);
    const recording = recordingRun({ session, base });
    const outage = new Error('database away');
    await expect(runStep(extractStep, { ...recording.run, intend: () => Promise.reject(outage) })).rejects.toBe(outage);
    expect(recording.calls).toEqual(['guard']);
    expect(await sees('#key')).toBeUndefined();
  });
});

describe('stopping', () => {
  async function abortedAfter(wanted: Step, isUnderWay: (calls: readonly string[]) => boolean): Promise<number> {
    const controller = new AbortController();
    const reason = new Error('cancelled');
    const { run, calls } = recordingRun({ session, base, signal: controller.signal });
    const ended = runStep(wanted, run).catch((error: unknown) => error);
    await expect.poll(() => isUnderWay(calls), { timeout: 30_000 }).toBe(true);
    const abortedAt = performance.now();
    controller.abort(reason);
    expect(await ended).toBe(reason);
    return performance.now() - abortedAt;
  }

  test('feels an abort within 2 s while it looks for an element', async () => {
    await session.navigate(`${base}/page`, 5_000);
    expect(await abortedAfter(clickStep({ timeoutMs: 60_000 }), () => true)).toBeLessThan(2_000);
  });

  test('feels an abort within 2 s while it waits for a postcondition', async () => {
    pages.set('/page', '<button id="it">Save</button>');
    await session.navigate(`${base}/page`, 5_000);
    const isClicked = (calls: readonly string[]) => calls.includes('click');
    expect(await abortedAfter(clickStep({ timeoutMs: 60_000 }), isClicked)).toBeLessThan(2_000);
  });

  test('does nothing at all after an abort', async () => {
    const { run, calls } = recordingRun({ session, base, signal: AbortSignal.abort(new Error('cancelled')) });
    await expect(runStep(clickStep(), run)).rejects.toThrow('cancelled');
    expect(calls).toEqual([]);
  });

  test('feels an abort within 2 s while a page never answers', async () => {
    const slow = step({
      kind: 'navigate',
      action: 'navigate',
      target: '{base}/never',
      postcondition: visible('#done'),
      timeoutMs: 60_000,
    });
    expect(await abortedAfter(slow, () => asked.includes('/never'))).toBeLessThan(2_000);
  });
});

describe('outages', () => {
  test('says that a page did not come in time', async () => {
    const slow = step({
      kind: 'navigate',
      action: 'navigate',
      target: '{base}/never',
      postcondition: visible('#done'),
      timeoutMs: 1_000,
    });
    const result = await runStep(slow, recordingRun({ session, base }).run);
    expect(result).toMatchObject({ kind: 'failed', failure: 'network' });
  });

  test('goes on without a picture, and says so', async () => {
    pages.set('/page', `<button id="it" ${SHOWS_DONE}>Save</button>`);
    await session.navigate(`${base}/page`, 5_000);
    const { run } = recordingRun({
      session: { ...session, shoot: () => Promise.reject(new Error('no room')) },
      base,
    });
    const result = await runStep(clickStep(), run);
    expect(result).toMatchObject({ kind: 'done' });
    expect(await result.picture?.drawn).toMatchObject({ kind: 'withheld' });
  });

  test('tells a crash of the browser from a fault of the page', async () => {
    const other = await tools.browser.open({ origins: [base] });
    await other.close();
    const result = await runStep(clickStep(), recordingRun({ session: other, base }).run);
    expect(result).toMatchObject({ kind: 'failed', failure: 'browser_crashed', pageUrl: '', hasActed: false });
  });
});
