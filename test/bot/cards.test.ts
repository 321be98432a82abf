import { describe, expect, test } from 'vitest';
import { renderCard } from '../../adapters/slack/cards.ts';
import { auditCard, type Trail } from '../../bot/cards/audit-card.ts';
import { consentCard } from '../../bot/cards/consent-card.ts';
import { guideCard } from '../../bot/cards/guide-card.ts';
import { digestCard } from '../../bot/cards/notice-card.ts';
import { progressCard } from '../../bot/cards/progress-card.ts';
import { questionCard, questionReminderCard, readQuestionValue } from '../../bot/cards/question-card.ts';
import { resultCard } from '../../bot/cards/result-card.ts';
import { names, place, seconds } from '../../bot/cards/text.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Question } from '../../core/operations/questions.ts';
import { services } from '../../core/services/index.ts';
import { admin, approver, buttonsOf, labels, nobodyYet, said } from '../support/cards.ts';
import { granted, memberNamed, NOW, OLD, OPERATION_ID, operationAbout, operationWith } from '../support/operation.ts';
import { problemsOfBlocks } from '../support/slack/blocks.ts';

const record = { entries: 12, seq: 412n, hash: `5be0aa${'0'.repeat(58)}`, isIntact: true };

describe('progress card', () => {
  test('shows where it is and offers Stop while it runs', () => {
    const base = operationWith();
    const steps = base.steps.map((step, at) => ({
      ...step,
      state: at < 2 ? 'done' : at === 2 ? 'running' : 'waiting',
      durationMs: at < 2 ? 1_100 : null,
    }));
    const card = progressCard(operationWith({ state: 'in_progress', currentStep: 3, steps, startedAt: NOW }), []);
    expect(card.summary).toBe('Working on it · step 3 of 10');
    expect(said(card)).toMatch(/^.*\nWooCommerce at shop\.example\.com\ndone Open the sign-in page\ndone .*\nrunning /);
    expect(labels(card)).toEqual(['Pause', 'Stop']);
  });

  test('counts machine time to the last finished step, and no wait for a person', () => {
    const base = operationWith();
    const finishedAt = new Date(NOW.getTime() + 600_000);
    const steps = base.steps.map((step, at) => (at === 0 ? { ...step, state: 'done', finishedAt } : step));
    const runningSince = new Date(finishedAt.getTime() - 5_000).toISOString();
    const execution = { machineMs: 9_000, runningSince, left: 0, peopleMs: 0, waitingSince: null };
    const operation = operationWith({ state: 'in_progress', currentStep: 2, steps, startedAt: NOW, execution });
    expect(progressCard(operation, []).summary).toBe('Working on it · step 2 of 10 · 14 s');
  });

  test.each([
    { what: 'looks for the key of an interrupted attempt', attempt: 1n, isSaid: true },
    { what: 'makes a key itself', attempt: 2n, isSaid: false },
  ])('says so exactly while it $what', ({ attempt, isSaid }) => {
    const intent = { label: 'Countersign op-7k3f9q2m', state: 'started', attempt };
    const shown = (changes: object) => said(progressCard(operationWith({ fence: 2n, intent, ...changes }), []));
    const words = 'interrupted while “Countersign op-7k3f9q2m” was being made. I look for it';
    expect(shown({ state: 'in_progress' }).includes(words)).toBe(isSaid);
    expect(shown({ state: 'failed' })).not.toContain(words);
    expect(shown({ state: 'in_progress', intent: { ...intent, state: 'absent' } })).not.toContain(words);
  });

  test('never says running once the operation is over', () => {
    const base = operationWith();
    const steps = base.steps.map((step, at) => ({ ...step, state: at === 0 ? 'running' : 'waiting' }));
    const card = progressCard(operationWith({ state: 'cancelled', currentStep: 1, steps }), []);
    expect(said(card)).not.toContain('running');
    expect(labels(card)).toEqual([]);
  });
});

describe('question card', () => {
  const question: Question = {
    ...{ id: '5a6c2f0e-0000-4000-8000-0000000000dd', operationId: OPERATION_ID, step: 4, kind: 'code' },
    ...{ words: 'The site asks for a one-time code.', screenshotId: null, askedAt: NOW, remindedAt: NOW },
    ...{ expiresAt: new Date(NOW.getTime() + 30 * 60_000), closed: null, closedAt: null, answeredBy: null },
  };
  const picture = { url: '/p', alt: 'Step 4', width: 1280, height: 800 };
  const shown = (state: Operation['state'], changes: Partial<Question> = {}) => {
    const answeredBy = changes.answeredBy ? approver : undefined;
    const operation = operationWith({ state, currentStep: 4 });
    return { operation, question: { ...question, ...changes }, answeredBy, mayAnswer: [approver, admin], picture };
  };
  const answered = { closed: 'answered', closedAt: NOW, answeredBy: approver.id } as const;
  const takenUp = { ...answered, closedAt: question.expiresAt } as const;
  const lapsed = { closed: 'lapsed', closedAt: NOW } as const;
  const withdrawn = { closed: 'withdrawn', closedAt: NOW } as const;

  test.each([
    ['waiting_for_human', {}, 'Merchant: get the code', ['Enter the code', 'How to do it by hand', 'Stop']],
    ['waiting_for_human', { kind: 'help' }, 'look at the picture', ['I did it, go on', 'How to do it by hand', 'Stop']],
    // The operation as it was read a moment before the question: whoever is called by the first showing reads what is so.
    ['in_progress', {}, 'Merchant: get the code', ['Enter the code', 'How to do it by hand', 'Stop']],
    ['paused', lapsed, 'Nobody answered in time at', ['Go on', 'How to do it by hand', 'Stop']],
    ['queued', answered, `Code entered by Approver at ${NOW.toISOString()}`, []],
    ['in_progress', { ...answered, kind: 'help' }, 'Answered by Approver', []],
    ['queued', takenUp, 'Nobody answered in time; taken up again by Approver at', []],
    ['queued', { ...takenUp, kind: 'help' }, 'Nobody answered in time; taken up again by Approver at', []],
    ['queued', { ...answered, closed: 'lapsed' }, 'Nobody answered in time', []],
    ['cancelled', withdrawn, 'Not needed any more', []],
    ['cancelled', lapsed, 'Nobody answered in time', []],
  ] as const)(
    'of an operation that is %s, with %j, says “%s” and has the buttons %j',
    (state, changes, says, buttons) => {
      const asked = shown(state, changes);
      const card = questionCard(asked);
      expect(said(card)).toContain('The site asks for a one-time code.');
      expect(said(card)).toContain(says);
      expect(labels(card)).toEqual(buttons);
      expect(card.blocks.some(({ kind }) => kind === 'pictures')).toBe(buttons.length > 0);
      const [first] = buttonsOf(card);
      if (!first) return;
      expect(readQuestionValue(first.value)).toEqual({ operationId: OPERATION_ID, questionId: question.id });
      expect(first.for?.map(({ name }) => name)).toEqual(['Approver', 'Admin']);
      expect(card.status?.tone).toBe('waiting');
    },
  );

  test('is called to mind by a reminder that settles with it', () => {
    expect(said(questionReminderCard(shown('waiting_for_human')))).toContain('still waits for a one-time code');
    expect(said(questionReminderCard(shown('queued', answered)))).toContain('is settled');
  });

  test.each([
    ['waiting_for_human', question, 'Waiting for you: a one-time code · step 4 of 10', 'Waiting for you'],
    [
      'waiting_for_human',
      { ...question, kind: 'help' },
      'Waiting for you: a look at the page · step 4 of 10',
      'Waiting for you',
    ],
    ['paused', { ...question, ...lapsed }, 'Paused: nobody answered · step 4 of 10', 'Paused'],
    ['queued', { ...question, ...answered }, 'Answered. Going on…', 'Running'],
  ] as const)('has the progress of an operation that is %s say so', (state, asked, title, words) => {
    const steps = operationWith().steps.map((step) => ({ ...step, state: step.number === 4 ? 'failed' : 'waiting' }));
    const card = progressCard(operationWith({ state, currentStep: 4, steps }), [], { asked });
    expect(card).toMatchObject({ summary: title, status: { words } });
    expect(said(card)).toContain('unsure Sign in');
    expect(labels(card)).toEqual(state === 'queued' ? ['Pause', 'Stop'] : ['Stop']);
  });

  test('has the result of a CAPTCHA offer the way by hand', () => {
    const card = resultCard(
      operationWith({ state: 'failed', errorCode: 'captcha', errorMessage: 'It shows one.' }),
      record,
    );
    expect(labels(card)).toEqual(['How to do it by hand', 'Audit trail']);
    expect(said(card)).toContain('make the key by hand');
    const captcha = { state: 'failed', errorCode: 'captcha', errorMessage: 'It shows one.' } as const;
    for (const [type, words] of [
      ['credential_rotation', 'Next: replace the key by hand: “How to do it by hand” lists the steps.'],
      ['credential_revocation', 'Next: end the key by hand: “How to do it by hand” lists the steps.'],
    ] as const)
      expect(said(resultCard({ ...operationAbout(type), ...captcha }, record))).toContain(words);
  });
});

describe('the cards of what is paused', () => {
  const mona = memberNamed('Mona', '9');
  const pause = { since: NOW, reason: 'moving to a new server', isEverybodys: true };
  const open = operationWith();
  const running = { state: 'in_progress', currentStep: 3, grant: granted(open), startedAt: NOW } as const;
  const card = (changes: object, beside = {}) => progressCard(operationWith({ ...running, ...changes }), [], beside);

  test('say who paused it, until when its approval holds, and offer to go on or to end it', () => {
    expect(labels(card({}))).toEqual(['Pause', 'Stop']);
    const paused = card({ state: 'paused', hold: 'person', heldBy: mona });
    expect(paused.summary).toBe('Paused by Mona · step 3 of 10');
    expect(said(paused)).toContain('The approval holds until');
    expect(labels(paused)).toEqual(['Resume', 'Cancel']);
    expect(card({ state: 'paused', hold: 'person', heldBy: mona, currentStep: 0 }).summary).toBe(
      'Paused by Mona before its first step',
    );
  });

  test('tell a pause from a question that nobody answered, and from one that waits for what is being made', () => {
    const asked = { kind: 'help', closed: 'lapsed' } as const;
    expect(card({ state: 'paused' }, { asked }).summary).toBe('Paused: nobody answered · step 3 of 10');
    expect(labels(card({ state: 'paused' }, { asked }))).toEqual(['Stop']);
    const pausing = card({ hold: 'person', heldBy: mona });
    expect(pausing.summary).toBe('Pausing as soon as the new key is stored · step 3 of 10');
    expect(labels(pausing)).toEqual(['Stop']);
  });

  test('say the operator’s pause with its reason, which nobody in the thread can end', () => {
    const held = card({ state: 'paused', hold: 'operator' }, { pause });
    expect(held.summary).toBe('Paused by the operator · step 3 of 10');
    expect(said(held)).toContain(
      'Countersign is paused by its operator: “moving to a new server”. It goes on by itself when that ends.',
    );
    expect(labels(held)).toEqual(['Cancel']);
    expect(card({ state: 'queued' }, { pause }).summary).toBe('Countersigned. It starts when the pause ends');
    const asks = consentCard(open, { ...nobodyYet, pause });
    expect(said(asks)).toContain('What is approved now is kept, and starts when that ends.');
    expect(said(consentCard(open, nobodyYet))).not.toContain('paused');
  });
});

describe('result card', () => {
  const data = {
    credentialId: 'c',
    label: 'Countersign op-7k3f9q2m',
    lastFour: '47a9',
    checked: 'shop.example.com answered 200, 5 products',
    method: 'GET',
    steps: 10,
    durationMs: 14_000,
  };

  test.each([
    ['credential_rotation', 'denied', 'Connected, rotation denied'],
    ['credential_revocation', 'expired', 'Connected, revocation expired'],
    ['credential_rotation', 'cancelled', 'Connected, rotation stopped'],
  ] as const)(
    'of a %s that was %s says in the list of threads that the key is as good as before',
    (type, state, words) => {
      const about = operationAbout(type);
      const ended = { ...about, state, decidedBy: approver };
      expect(resultCard(ended, record).status).toEqual({ tone: 'done', words });
      // Once somebody has countersigned it, what was begun may have changed something.
      expect(resultCard({ ...ended, grant: granted(about) }, record).status?.tone).toBe('failed');
      expect(resultCard(operationWith({ state, decidedBy: approver }), record).status?.tone).toBe('failed');
    },
  );

  test('says what was made, its last four characters, how it was checked, and where it is on record', () => {
    const open = operationWith();
    const card = resultCard(
      operationWith({ state: 'completed', isKeyStored: true, grant: granted(open), result: { success: true, data } }),
      record,
    );
    expect(card.summary).toContain('Done in 14 s. WooCommerce is connected.');
    expect(said(card)).toContain('…47a9, read only, in the vault');
    expect(said(card)).toContain('shop.example.com answered 200, 5 products');
    expect(said(card)).toContain('12 entries, chain #412 · 5be0aa0000000000 verified');
    expect(labels(card)).toEqual(['Audit trail', 'Reveal', 'Rotate', 'Revoke']);
  });

  test('says that its key was replaced, and which key it replaced', () => {
    const state = 'completed';
    const by = resultCard(
      operationWith({ state, result: { success: true, data: { ...data, replacedBy: 'op-22222222' } } }),
      record,
    );
    expect(said(by)).toContain('replaced by the key of op-22222222');
    expect(labels(by)).toEqual(['Audit trail']);
    const of = resultCard(
      operationWith({
        ...{ state, isKeyStored: true },
        result: { success: true, data: { ...data, replaced: 'Countersign op-1' } },
      }),
      record,
    );
    expect(said(of)).toContain('In place of “Countersign op-1”, which the shop still knows');
  });

  test('of a rotation names the new key, and the old one with what became of it', () => {
    const old = { ...data, label: 'Countersign op-7k3f9q2m', replaced: OLD.label };
    const ended = 'The shop no longer takes it: 401';
    const open = operationAbout('credential_rotation');
    const done = { ...open, state: 'completed', isKeyStored: true, grant: granted(open) } as const;
    const card = resultCard({ ...done, result: { success: true, data: { ...old, ended } } }, record);
    expect(card.summary).toContain('The WooCommerce key is rotated.');
    expect(said(card)).toContain('New key …47a9, read only, in the vault');
    expect(said(card)).toContain(`Old key “${OLD.label}”, ended: ${ended}`);
    const byHand = said(resultCard({ ...done, result: { success: true, data: old } }, record));
    expect(byHand).toContain(`The shop still knows the old key, “${OLD.label}”. To end it there:`);
    expect(byHand).toContain(`Find “${OLD.label}” in the column Description`);
  });

  test('of a rotation that did not come to its end says which key is the stored one', () => {
    const open = operationAbout('credential_rotation');
    const failed = {
      ...open,
      state: 'failed',
      grant: granted(open),
      errorCode: 'verification_failed',
      errorMessage: 'No.',
    } as const;
    const intent = { label: 'Countersign op-7k3f9q2m', state: 'done', attempt: 1n };
    const early = said(resultCard(failed, record));
    expect(early).toContain('The WooCommerce key for shop.example.com was not rotated.');
    expect(early).toContain(`The old key, “${OLD.label}”, was left as it was. No new one was stored.`);
    const unproven = said(resultCard({ ...failed, intent }, record));
    expect(unproven).toContain('The new one, “Countersign op-7k3f9q2m”, was not proven to work, so it was not kept');
    const late = resultCard({ ...failed, intent, isKeyStored: true }, record);
    expect(said(late)).toContain(
      'The WooCommerce key for shop.example.com was rotated, but its old one was not seen to have ended.',
    );
    expect(said(late)).toContain('The new key “Countersign op-7k3f9q2m” works and is the stored one.');
    expect(said(late)).toContain(`The shop may still know the old key, “${OLD.label}”. To end it there:`);
    expect(said(late)).toContain('Next: end the old key by hand, as above.');
    expect(labels(late)).not.toContain('Try again');
  });

  test('of a revocation says what showed that the key has ended, and offers nothing more to do with it', () => {
    const open = operationAbout('credential_revocation');
    const checked = 'The shop no longer takes it: 401';
    const result = { success: true, data: { ...data, label: OLD.label, lastFour: OLD.lastFour, checked } };
    const card = resultCard({ ...open, state: 'completed', grant: granted(open), result }, record);
    expect(card.summary).toContain('The WooCommerce key is revoked.');
    expect(said(card)).toContain(`Key …${OLD.lastFour}, ended in the shop, deleted from the vault`);
    expect(said(card)).toContain(`Checked ${checked}`);
    expect(labels(card)).toEqual(['Audit trail']);
  });

  test('offers no second revocation', () => {
    const revoked = { ...data, revokedAt: NOW.toISOString() };
    const card = resultCard(operationWith({ state: 'completed', result: { success: true, data: revoked } }), record);
    expect(labels(card)).toEqual(['Audit trail']);
    expect(said(card)).toContain('deleted from the vault');
  });

  test('says whose words a denial’s reason is', () => {
    const denied = { state: 'denied', errorMessage: 'Not before the sale is over.' } as const;
    expect(said(resultCard(operationWith({ ...denied, decidedBy: approver }), record))).toContain(
      'Approver wrote: “Not before the sale is over.”',
    );
    const failed = operationWith({ state: 'failed', errorMessage: 'The shop is down.' });
    expect(said(resultCard(failed, record))).toMatch(/^The shop is down\.$/m);
  });

  test('for doing it by hand has links to follow', () => {
    const { blocks } = guideCard(operationWith({ state: 'awaiting_consent' }));
    const links = blocks.flatMap((block) => (block.kind === 'list' ? block.items.flatMap((item) => item.text) : []));
    expect(links.filter(({ kind }) => kind === 'link')).toMatchObject([
      { url: expect.stringMatching(/\/wp-login\.php$/) },
      { url: expect.stringMatching(/section=keys$/) },
    ]);
  });

  const made = (state: string) => ({ label: 'Countersign op-7k3f9q2m', state, attempt: 0n });

  test.each([
    { state: 'denied', errorCode: null, intent: null, kept: 'Nothing was done.', next: 'to ask again' },
    {
      state: 'failed',
      errorCode: 'sign_in_refused',
      intent: null,
      kept: 'No key was stored.',
      next: 'check the user name and password',
    },
    {
      state: 'failed',
      errorCode: 'effect_unsure',
      intent: made('uncertain'),
      kept: 'No key was stored.',
      next: "look at the shop's list of keys first",
    },
    {
      state: 'cancelled',
      errorCode: null,
      intent: made('started'),
      kept: 'may have been made in the shop',
      next: "look at the shop's list of keys first",
    },
    {
      state: 'failed',
      errorCode: 'verification_failed',
      intent: made('done'),
      kept: 'not proven to work',
      next: 'press “Try again” for a new plan that somebody approves',
    },
  ] as const)(
    'says what was not done and what to do next: $state $errorCode',
    ({ state, errorCode, intent, kept, next }) => {
      const open = operationWith();
      const grant = state === 'denied' ? null : granted(open);
      const card = resultCard(
        operationWith({
          ...{ state, errorCode, errorMessage: 'It went wrong.', grant, intent },
          isKeyStored: kept === 'not proven to work',
        }),
        record,
      );
      expect(said(card)).toContain(kept);
      expect(said(card)).toContain(next);
      expect(said(card)).toContain('op-7k3f9q2m');
    },
  );

  test('lets people revoke a key that was stored and not proven, once', () => {
    const open = operationWith();
    const stored = { state: 'failed', grant: granted(open), intent: made('done') } as const;
    expect(labels(resultCard(operationWith({ ...stored, isKeyStored: true }), record))).toEqual([
      'Try again',
      'Audit trail',
      'Revoke',
    ]);
    const result = { success: false, data: { ...data, revokedAt: NOW.toISOString() } };
    const after = resultCard(operationWith({ ...stored, result }), record);
    expect(labels(after)).toEqual(['Try again', 'Audit trail']);
    expect(said(after)).toContain('has been deleted from the vault since');
  });

  test('offers to try again what ended without a key and without a No, until that was done', () => {
    const offered = (changes: object) => labels(resultCard(operationWith(changes), record)).includes('Try again');
    for (const state of ['failed', 'expired', 'cancelled']) expect(offered({ state }), state).toBe(true);
    for (const state of ['denied', 'completed']) expect(offered({ state }), state).toBe(false);
    expect(offered({ state: 'failed', errorCode: 'captcha' })).toBe(false);
    expect(offered({ state: 'failed', errorCode: 'effect_unsure', intent: made('uncertain') })).toBe(false);
    expect(offered({ state: 'cancelled', intent: made('started') })).toBe(false);
    const retried = operationWith({ state: 'failed', retriedAs: 'op-22222222' as never }); // an id
    expect(labels(resultCard(retried, record))).toEqual(['Audit trail']);
    expect(said(resultCard(retried, record))).toContain('It is tried again as op-22222222');
    expect(said(consentCard(operationWith({ retryOf: 'op-33333333' as never }), nobodyYet))).toContain(
      'tries op-33333333 again',
    );
  });

  test('of a test that was denied names the command that tries the key, and who may write it', () => {
    const denied = said(resultCard({ ...operationAbout('integration_test'), state: 'denied' }, record));
    expect(denied).toContain('Next: have an approver or an admin write “/countersign test woocommerce”');
  });

  test('does not call a broken chain verified', () => {
    expect(said(resultCard(operationWith({ state: 'denied' }), { ...record, isIntact: false }))).toContain(
      'NOT intact',
    );
  });
});

describe('audit card', () => {
  const intact = {
    isIntact: true,
    entries: 412,
    seq: 412n,
    hash: record.hash,
    erased: 0,
    locked: 0,
    unexplained: 0,
    droppedUpTo: 0n,
  } as const;
  const trail = (changes: Partial<Trail> = {}): Trail => ({
    ...{ operation: operationWith(), entries: [], verdict: intact, nameOf: () => 'somebody' },
    exportUrls: { json: 'https://x/j', csv: 'https://x/c', jsonl: 'https://x/l' },
    ...changes,
  });

  test('counts a step that waited for a code as none that failed', () => {
    const ended = (success: boolean, payload: object) => ({
      kind: 'step.finished',
      success,
      payload,
      durationMs: 500,
      at: NOW,
      hash: record.hash,
      seq: 1n,
    });
    const entries = [
      ended(false, { intent: 'Sign in', failure: 'code_wanted' }),
      ended(true, { intent: 'Sign in' }),
      ended(false, { intent: 'Open the list', failure: 'timeout' }),
    ] as unknown as Trail['entries']; // as far as the card reads them
    const card = auditCard(trail({ entries }));
    expect(said(card)).toContain('1 of 2 steps, 50 %, 1.5 s in all');
    expect(JSON.stringify(card)).toContain('a code was needed'); // in the table
  });

  test('says that the chain is verified, and how far a checkpoint vouches for it', () => {
    const card = auditCard(trail({ checkpoint: { seq: 400n, at: NOW } }));
    expect(said(card)).toContain('chain verified, #412 · 5be0aa00');
    expect(said(card)).toContain(`signed up to #400 at ${NOW.toISOString()}`);
    expect(labels(card)).toEqual(['Export JSON', 'Export CSV', 'Export lines (JSONL)', 'Share in the thread']);
    expect(said(auditCard(trail()))).toContain('no checkpoint is signed yet');
    const problems = ['Checkpoint 2 (entry #300) bears no good signature of a known key.'];
    expect(said(auditCard(trail({ problems, checkpoint: { seq: 400n, at: NOW } })))).toContain(problems[0]);
  });

  test('shows long trails page by page, none of which is more than Slack takes', () => {
    const entries = Array.from({ length: 95 }, (_, n) => ({
      ...{ seq: BigInt(n + 1), at: NOW, kind: 'step.finished', hash: 'a'.repeat(64), stepNumber: n, success: true },
      payload: { intent: 'x'.repeat(200) },
    })) as unknown as Trail['entries']; // what the card reads of an entry
    const folded = (page: number) => {
      const card = auditCard(trail({ entries, page }));
      expect(problemsOfBlocks(renderCard(card, 'C1:1.1').blocks)).toEqual([]);
      expect(JSON.stringify(renderCard(card, 'C1:1.1').blocks)).toContain('Export JSON');
      const [details] = card.blocks.flatMap((block) => (block.kind === 'details' ? [block.summary] : []));
      return [details, ...labels(card).slice(3)];
    };
    expect(folded(1)).toEqual(['Entries 1 to 40 of 95', 'Later entries', 'Share in the thread']);
    expect(folded(2)).toEqual(['Entries 41 to 80 of 95', 'Earlier entries', 'Later entries', 'Share in the thread']);
    expect(folded(3)).toEqual(['Entries 81 to 95 of 95', 'Earlier entries', 'Share in the thread']);
    expect(folded(9999)).toEqual(folded(3));
  });

  test.each([
    ['modified', 'Entry #5 was modified'],
    ['gap', 'entry #5 is missing'],
    ['truncated', 'entry #5 and whatever followed it are missing'],
    ['reordered', '#5 stands in another place'],
    ['duplicated', 'Entry #5 is there twice'],
    ['forked', 'entry #5 is another one than was signed; the last one that agrees with its checkpoint is #3'],
  ] as const)('says of a chain that is %s where it begins', (fault, words) => {
    const card = auditCard(trail({ verdict: { isIntact: false, seq: 5n, fault, fits: 3n } }));
    expect(said(card)).toContain('chain broken. ');
    expect(said(card)).toContain(words);
  });
});

test.each([
  [40, '<0.1 s'],
  [220, '0.2 s'],
  [14_200, '14 s'],
  [125_000, '2 min 5 s'],
])('%i ms reads %s', (ms, words) => {
  expect(seconds(ms)).toBe(words);
});

test('names and places read as people say them', () => {
  expect(names([approver, admin])).toBe('Approver or Admin');
  expect(names([])).toBe('nobody');
  expect(place('http://localhost:4001/shop')).toBe('localhost:4001/shop');
});

test('the audit card says in one line whose request it was and who countersigned it', () => {
  const open = operationWith();
  const verdict = {
    isIntact: true,
    entries: 3,
    seq: 3n,
    hash: '5be0aa',
    erased: 0,
    locked: 0,
    unexplained: 0,
    droppedUpTo: 0n,
  } as const;
  const summary = (operation: Operation) => auditCard({ operation, entries: [], verdict, nameOf: () => '' }).summary;
  expect(summary(open)).toBe(
    `Audit trail of ${open.id}, asked by Merchant, not countersigned: chain verified, 3 entries`,
  );
  expect(summary(operationWith({ state: 'in_progress', grant: granted(open) }))).toContain(
    'asked by Merchant, countersigned by Approver:',
  );
});

test('the summary of a week names a key that is the account’s by its service alone', () => {
  const [from, to] = [new Date(0), new Date(7 * 86_400_000)];
  const numbers = { completed: 0, failed: 0, keysMade: 0, keysRotated: 0, modelUsd: 0, expiring: [], lapsing: [] };
  const unhealthy = [{ service: 'stripe', target: '', state: 'expired' }];
  const words = JSON.stringify(digestCard({ from, to, ...numbers, unhealthy }, services));
  expect(words).toContain('"text":"Stripe"');
  expect(words).toContain('"detail":"has expired"');
});
