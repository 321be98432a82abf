import { describe, expect, test } from 'vitest';
import { renderCard } from '../../adapters/slack/cards.ts';
import { auditCard, type Trail } from '../../bot/cards/audit-card.ts';
import { consentCard } from '../../bot/cards/consent-card.ts';
import { digestCard } from '../../bot/cards/notice-card.ts';
import { progressCard } from '../../bot/cards/progress-card.ts';
import { questionCard, questionReminderCard, readQuestionValue } from '../../bot/cards/question-card.ts';
import { resultCard } from '../../bot/cards/result-card.ts';
import { names, place, seconds } from '../../bot/cards/text.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Question } from '../../core/operations/questions.ts';
import { services } from '../../core/services/index.ts';
import { admin, approver, buttonsOf, labels, nobodyYet, record, said } from '../support/cards.ts';
import { granted, memberNamed, NOW, OPERATION_ID, operationAbout, operationWith } from '../support/operation.ts';
import { problemsOfBlocks } from '../support/slack/blocks.ts';

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
