import { describe, expect, test } from 'vitest';
import { runStep } from '../../../core/agent/engine.ts';
import type { BrowserSession } from '../../../core/ports/browser.ts';
import { IS_WHOLE } from '../../support/whole.ts';
import { recordingRun } from './recording-run.ts';
import {
  asked,
  base,
  clickStep,
  held,
  on,
  openHeld,
  pages,
  SHOWS_DONE,
  sees,
  servePages,
  session,
  step,
  visible,
} from './step-page.ts';

servePages();

/** The session, whose page is freed only when somebody waits for its element. */
const freedByWaiting = (free: () => void): BrowserSession => ({
  ...session,
  ready: (element, action, timeoutMs) => {
    free();
    return session.ready(element, action, timeoutMs);
  },
});

const FREE = "document.querySelector('#cover')?.remove(); it.disabled = false; document.body.dataset.free = ''";

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
