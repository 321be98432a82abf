import { describe, expect, test } from 'vitest';
import { runStep } from '../../../core/agent/engine.ts';
import type { Step } from '../../../core/workflow/steps/index.ts';
import { IS_WHOLE } from '../../support/whole.ts';
import { recordingRun } from './recording-run.ts';
import {
  asked,
  base,
  clickStep,
  on,
  pages,
  SHOWS_DONE,
  sees,
  servePages,
  session,
  step,
  tools,
  visible,
} from './step-page.ts';

servePages();

const SHOWS_WRONG = `onclick="document.body.insertAdjacentHTML('beforeend', '<p id=wrong>Wrong</p>')"`;

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
