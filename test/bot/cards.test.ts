import { describe, expect, test } from 'vitest';
import { renderCard } from '../../adapters/slack/cards.ts';
import { auditCard, type Trail } from '../../bot/cards/audit-card.ts';
import { consentCard } from '../../bot/cards/consent-card.ts';
import type { Deciders } from '../../bot/cards/consent-parts.ts';
import { readConsentValue, readTogetherValue, togetherValue } from '../../bot/cards/consent-values.ts';
import { guideCard } from '../../bot/cards/guide-card.ts';
import { digestCard } from '../../bot/cards/notice-card.ts';
import { progressCard } from '../../bot/cards/progress-card.ts';
import { questionCard, questionReminderCard, readQuestionValue } from '../../bot/cards/question-card.ts';
import { reminderCard } from '../../bot/cards/reminder-card.ts';
import { resultCard } from '../../bot/cards/result-card.ts';
import { names, place, seconds } from '../../bot/cards/text.ts';
import { togetherCard } from '../../bot/cards/together-card.ts';
import type { Lack } from '../../core/consent/policy.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Question } from '../../core/operations/questions.ts';
import type { Block, Card, RichText } from '../../core/ports/chat.ts';
import { services } from '../../core/services/index.ts';
import type { Service } from '../../core/services/service.ts';
import { shopify } from '../../core/services/shopify/index.ts';
import { stripe } from '../../core/services/stripe/index.ts';
import { permissionsIn } from '../../core/services/ways.ts';
import { woocommerce } from '../../core/services/woocommerce/index.ts';
import { wordpress } from '../../core/services/wordpress/index.ts';
import { granted, memberNamed, NOW, OLD, OPERATION_ID, operationAbout, operationWith } from '../support/operation.ts';
import { problemsOfBlocks } from '../support/slack/blocks.ts';

const approver = memberNamed('Approver', '3', ['merchant', 'approver']);
const admin = memberNamed('Admin', '4', ['merchant', 'admin']);
const nobodyYet = {
  ...{ approvers: [approver], admins: [admin], lack: undefined },
  rules: { approvalsRequired: 1, approverGroup: null },
};
const record = { entries: 12, seq: 412n, hash: `5be0aa${'0'.repeat(58)}`, isIntact: true };

function words(text: RichText): string {
  return text
    .map((span) =>
      span.kind === 'time' ? span.at.toISOString() : span.kind === 'person' ? span.person.name : span.text,
    )
    .join('');
}

/** Everything that a card says, folded parts included. */
function saidBy(blocks: readonly Block[]): string {
  return blocks
    .map((block) => {
      switch (block.kind) {
        case 'heading':
        case 'text':
        case 'signature':
          return words(block.text);
        case 'list':
          return block.items.map((item) => `${words(item.text)} ${item.detail ?? ''}`).join('\n');
        case 'facts':
          return block.rows.map((row) => `${row.label} ${words(row.value)}`).join('\n');
        case 'steps':
          return block.items.map((item) => `${item.state} ${item.text}`).join('\n');
        case 'details':
          return `${block.summary}\n${saidBy(block.blocks)}`;
        default:
          return '';
      }
    })
    .join('\n');
}

const said = (card: Card) => saidBy(card.blocks);
const buttonsOf = (card: Card) => card.blocks.flatMap((block) => (block.kind === 'actions' ? block.buttons : []));
const labels = (card: Card) => buttonsOf(card).map((button) => button.label);
/** The other way that WooCommerce has at an address where its own can't be taken. */
const BY_HAND = 'I make the key myself';

describe('a consent card about several', () => {
  const [woo, press, pay] = [woocommerce, wordpress, stripe].map((service, index) =>
    operationWith({}, { service, id: `op-${String(index).repeat(8)}` as never }),
  ) as [Operation, Operation, Operation];
  const people = { ...nobodyYet, approvers: [approver] };
  const card = (operations: readonly Operation[], changes: Partial<Deciders> = {}) =>
    togetherCard(
      operations.map((operation) => ({ operation, people: { ...people, ...changes } })),
      false,
    );

  test('keeps everything that the card of each one says', () => {
    const together = said(card([woo, pay]));
    for (const operation of [woo, pay]) {
      const alone = consentCard(operation, people).blocks.filter(({ kind }) => kind === 'list' || kind === 'details');
      for (const line of saidBy(alone).split('\n')) expect(together).toContain(line);
      expect(together).toContain(operation.id);
    }
    expect(together).toContain('Approver may approve. Nothing happens before that.');
  });

  /** The services with the longest plans, in their longest way, with everything to be said of each. */
  const known: readonly Service[] = [woocommerce, wordpress, stripe, shopify];
  const longest = (count: number, permissions: 'usual' | 'all', base: string) =>
    known
      .map((service, index) => {
        const type = service.operationTypes.api_key_generation;
        const [way] = type?.ways.toSorted((one, other) => other.typicalSeconds - one.typicalSeconds) ?? [];
        const all = type && way ? permissionsIn(type, way) : [];
        const chosen = all.filter(({ isDefault, isRequired }) => permissions === 'all' || isDefault || isRequired);
        const about = { service, id: `op-${String(index).repeat(8)}` as never, base: service.home ?? base };
        return operationWith({}, { ...about, ...(way && { way }), permissions: chosen.map(({ id }) => id) });
      })
      .map((operation) => ({
        ...operation,
        plan: { ...operation.plan, replaces: 'x'.repeat(40), asksModel: true as const, isFirstHere: true as const },
      }))
      .toSorted((one, other) => other.plan.steps.length - one.plan.steps.length)
      .slice(0, count);
  const LONG = `https://${'shop-with-a-long-name.'.repeat(2)}example.com/shop`;
  const HUGE = `https://${'shop-with-a-long-name.'.repeat(10)}example.com`;

  test.each([
    [2, 'usual', LONG, 'Approve both'],
    [3, 'usual', LONG, 'Approve all 3'],
    [2, 'all', LONG, 'Approve both'],
    [3, 'all', HUGE, undefined],
  ] as const)(
    'about %i services with %s permissions is in a Slack message in full, or can not be approved',
    (count, permissions, base, approve) => {
      const rules = { approvalsRequired: 3, approverGroup: null };
      const shown = card(longest(count, permissions, base), { rules });
      const words = said(shown);
      expect(words.includes('too long for one message')).toBe(approve === undefined);
      expect(labels(shown).filter((label) => label.startsWith('Approve'))).toEqual(approve ? [approve] : []);
      for (const level of ['full', 'plain'] as const) {
        const { blocks } = renderCard(shown, 'C1:1.1', level);
        expect(problemsOfBlocks(blocks)).toEqual([]);
        expect(blocks.length).toBeLessThanOrEqual(50);
        if (!approve) continue;
        expect(JSON.stringify(blocks)).not.toContain('longer than Slack takes');
        expect(buttonsOf(shown)[0]?.confirm?.text.length).toBeLessThanOrEqual(300); // Slack's limit, of a confirmation
      }
    },
  );

  test.each([
    ['both wait', {}, {}, ['Approve both', 'Deny both', 'One at a time', 'Withdraw both']],
    [
      'one is denied',
      { state: 'denied', decidedBy: approver },
      {},
      ['Approve', 'Deny', 'Choose permissions', 'Do it for me', 'How to do it by hand', 'Withdraw'],
    ],
    [
      'one runs and the other one waits for its key',
      { state: 'in_progress', grant: granted(woo) },
      { state: 'awaiting_credentials', grant: granted(pay) },
      ['Enter the Stripe key', 'Withdraw'],
    ],
    ['both are over', { state: 'expired' }, { state: 'cancelled' }, []],
  ] as const)('has the buttons that are of use when %s', (_, one, other, buttons) => {
    const shown = card([
      { ...woo, ...one },
      { ...pay, ...other },
    ] as readonly Operation[]);
    expect(labels(shown)).toEqual(buttons);
    expect(problemsOfBlocks(renderCard(shown, 'C1:1.1').blocks)).toEqual([]);
  });

  test('is called to mind once, for those that still wait', () => {
    const remind = (...operations: readonly Operation[]) =>
      said(reminderCard(operations.map((operation) => ({ operation, people }))));
    expect(remind(woo, pay)).toMatch(
      /^Approver: “Create a WooCommerce API key for shop\.example\.com” and “Create a Stripe restricted key for dashboard\.stripe\.com” still wait for approval\. They lapse at/,
    );
    expect(remind({ ...woo, state: 'cancelled' }, pay)).toMatch(
      /: “Create a Stripe [^“]* still waits for approval\. It lapses/,
    );
    expect(remind({ ...woo, state: 'denied' }, { ...pay, state: 'expired' })).toBe(
      `The reminder about ${woo.id} and ${pay.id} is settled: see their card above.`,
    );
  });

  test('asks for approvers where nobody may approve, and shows each one’s approvals where several have to', () => {
    expect(labels(card([woo, pay], { approvers: [], lack: 'nobody' }))).toEqual([
      'Choose approvers',
      'One at a time',
      'Withdraw both',
    ]);
    const some = [{ ...woo, approvals: [{ by: approver, at: NOW }] }, pay];
    expect(said(card(some, { rules: { approvalsRequired: 2, approverGroup: null } }))).toMatch(
      /1 of 2 approvals: Approver[\s\S]*0 of 2 approvals/,
    );
  });

  test('reads nothing from a button but what it wrote', () => {
    const all = [woo, press, pay];
    expect(readTogetherValue(togetherValue(all))).toEqual(
      all.map(({ id: operationId, planHash }) => ({ operationId, planHash })),
    );
    const one = togetherValue([woo]);
    for (const value of ['', one, `${one} ${one}`, `${one} ${pay.id}`, `${togetherValue(all)} op-9 x`, `${one}  `])
      expect(readTogetherValue(value)).toBeUndefined();
  });
});

describe('consent card', () => {
  const rules = { approvalsRequired: 1, approverGroup: null };
  const card = (operation: Operation, approvers = [approver], lack: Lack | undefined = undefined) =>
    consentCard(operation, { approvers, admins: [admin], rules, lack });
  const open = operationWith();
  const countersigned = { grant: granted(open) };

  test.each([
    {
      title: 'waiting for approval',
      operation: open,
      buttons: ['Approve', 'Deny', 'Choose permissions', BY_HAND, 'How to do it by hand', 'Withdraw'],
    },
    {
      title: 'waiting for the sign-in',
      operation: operationWith({ state: 'awaiting_credentials', grant: granted(open) }),
      buttons: ['Enter the sign-in', 'Withdraw'],
    },
    { title: 'running', operation: operationWith({ state: 'in_progress', grant: granted(open) }), buttons: [] },
    { title: 'denied', operation: operationWith({ state: 'denied', decidedBy: approver }), buttons: [] },
    { title: 'expired', operation: operationWith({ state: 'expired' }), buttons: [] },
  ])('has the buttons of an operation that is $title', ({ operation, buttons }) => {
    expect(labels(card(operation))).toEqual(buttons);
  });

  test.each([
    ['http://shop.example.com', true],
    ['http://192.168.1.20:8080', true],
    ['http://127.0.0.1.example.com', true],
    ['https://shop.example.com', false],
    ['http://localhost:4001', false],
    ['http://127.0.0.1:4001', false],
    ['http://[::1]:4001', false],
  ])('warns before anybody approves that a password for %s travels unencrypted: %s', (origin, isWarned) => {
    const operation = operationWith({ plan: { ...open.plan, origin, base: origin } });
    const warnings = card(operation).blocks.filter((block) => block.kind === 'text' && block.tone === 'warning');
    expect(saidBy(warnings).includes('the password and the new key would travel unencrypted')).toBe(isWarned);
  });

  test('says what will be done, why, what is stored, who may approve and until when', () => {
    const text = said(card(open));
    for (const permission of open.type.permissions.filter((p) => open.plan.permissions.includes(p.id))) {
      expect(text).toContain(permission.words);
      expect(text).toContain(permission.reason);
    }
    for (const step of open.plan.steps) expect(text).toContain(step.intent);
    expect(text).toContain(open.plan.stores);
    expect(text).toContain('Approver may approve');
    expect(text).toContain('2026-03-04T10:17:00.000Z');
    expect(text).toContain('Asked by Merchant');
  });

  test('says of an earlier request for the same that is not over', () => {
    const earlier = 'op-earlier1' as never;
    expect(said(card(operationWith({ twin: earlier })))).toContain(
      'The same was asked for before: op-earlier1 for shop.example.com is not over yet. Approve this one as well only if both are wanted.',
    );
    expect(said(card(open))).not.toContain('asked for before');
  });

  test('leaves out what is not asked for', () => {
    expect(said(card(open))).not.toContain('may change');
  });

  test('offers no approval while nobody may approve', () => {
    expect(labels(card(open, [], 'nobody'))).toEqual([
      ...['Choose approvers', BY_HAND, 'How to do it by hand', 'Withdraw'],
    ]);
    expect(said(card(open, [], 'nobody'))).toContain('Nobody may approve this yet. Admin can choose who does.');
  });

  test('says who it takes when nobody else may approve than who asked', () => {
    expect(labels(card(open, [], 'own'))).toEqual([
      ...['Choose approvers', BY_HAND, 'How to do it by hand', 'Withdraw'],
    ]);
    expect(said(card(open, [], 'own'))).toContain(
      'Nobody can approve this as things stand: Merchant, who asked for it, is the only one who may, and nobody approves their own request. Admin can choose somebody else, with /countersign settings.',
    );
  });

  test('says whom each button is for', () => {
    const anna = memberNamed('Anna', '6', ['merchant', 'approver']);
    const audiences = (shown: Card) =>
      Object.fromEntries(buttonsOf(shown).map((b) => [b.label, b.for?.map(({ name }) => name) ?? 'everybody']));
    const guide = { 'How to do it by hand': 'everybody', Withdraw: ['Merchant'] };
    const byHand = { [BY_HAND]: ['Merchant', 'Approver'] };
    expect(audiences(card(open))).toEqual({
      ...byHand,
      ...{ Approve: ['Approver'], Deny: ['Approver'], 'Choose permissions': ['Merchant', 'Approver'], ...guide },
    });
    expect(audiences(card(open, [], 'nobody'))).toEqual({
      ...{ 'Choose approvers': ['Admin'], [BY_HAND]: ['Merchant'], ...guide },
    });
    const approvedOnce = operationWith({ approvals: [{ by: approver, at: NOW }] });
    expect(audiences(card(approvedOnce, [approver, anna]))).toMatchObject({
      ...{ Approve: ['Anna'], Deny: ['Approver', 'Anna'] },
    });
    const widened = operationWith({ widened: [{ permission: 'write_shop', by: approver }] });
    expect(audiences(card(widened, [anna]))).toEqual({
      ...{ Approve: ['Anna'], Deny: ['Anna', 'Approver'], 'Choose permissions': ['Merchant', 'Anna', 'Approver'] },
      [BY_HAND]: ['Merchant', 'Anna', 'Approver'],
      ...guide,
    });
    const ofGroup = consentCard(open, {
      approvers: [],
      admins: [admin],
      lack: undefined,
      rules: { ...rules, approverGroup: 'S1' },
    });
    expect(audiences(ofGroup)).toMatchObject({ Approve: 'everybody', Deny: 'everybody' });
    const signIn = operationWith({ state: 'awaiting_credentials', grant: granted(open) });
    expect(audiences(card(signIn))).toEqual({ 'Enter the sign-in': ['Merchant'], Withdraw: ['Merchant'] });
  });

  test('says how many approvals it takes, and who has given one', () => {
    const second = memberNamed('Anna', '6', ['merchant', 'approver']);
    const asking = operationWith({ approvals: [{ by: approver, at: NOW }] });
    const shown = (approvers: (typeof approver)[], approverGroup: string | null = null) =>
      said(
        consentCard(asking, {
          ...{ approvers, admins: [admin], rules: { approvalsRequired: 2, approverGroup } },
          lack: approvers.length < 2 && approverGroup === null ? 'too_few' : undefined,
        }),
      );
    expect(shown([approver, second])).toContain(`1 of 2 approvals: Approver at ${NOW.toISOString()}`);
    expect(shown([approver, second])).toContain('Approver or Anna may approve; 2 of them have to.');
    expect(shown([approver])).toContain(
      'There are fewer people who may approve this than it takes. Admin can change that',
    );
    expect(shown([approver], 'S1')).toContain('Approver or anybody in the group S1 may approve; 2 of them have to.');
    const both = [approver, second].map((by) => ({ by, at: NOW }));
    const done = operationWith({ ...countersigned, state: 'queued', grant: granted(asking, second), approvals: both });
    expect(said(card(done))).toContain('Countersigned by Approver and Anna at');
  });

  test('says whose wish it is when the plan holds more than was asked for, and lets them take it away again', () => {
    const widened = operationWith({ widened: [{ permission: 'write_shop', by: approver }] });
    expect(said(card(widened, [], 'own'))).toMatch(
      /Approver added “[^”]+”, which Merchant did not ask for\. So somebody other than Approver has to approve\./,
    );
    expect(labels(card(widened, [], 'own'))).toEqual([
      ...['Choose approvers', 'Choose permissions', BY_HAND, 'How to do it by hand', 'Withdraw'],
    ]);
  });

  test('is remembered by naming those who may approve, and once it is decided by nobody', () => {
    expect(said(reminderCard([{ operation: open, people: nobodyYet }]))).toMatch(
      /^Approver: “Create a WooCommerce API key for .*” still waits/,
    );
    expect(said(reminderCard([{ operation: operationWith({ state: 'denied' }), people: nobodyYet }]))).toBe(
      'The reminder about op-7k3f9q2m is settled: see its card above.',
    );
  });

  test('binds its buttons to the plan that it shows', () => {
    const approve = buttonsOf(card(open)).find((button) => button.action === 'approve');
    expect(readConsentValue(approve?.value ?? '')).toEqual({ operationId: open.id, planHash: open.planHash });
    expect(readConsentValue('op-7k3f9q2m')).toBeUndefined();
  });

  test('says who countersigned and that it was revoked', () => {
    const grant = { ...granted(open), revokedAt: NOW };
    expect(said(card(operationWith({ ...countersigned, state: 'cancelled', grant })))).toMatch(
      /Countersigned by Approver at .* · read only · revoked/,
    );
  });
});

describe('the consent card of what is done with a stored key', () => {
  test.each([
    ['credential_rotation', 'Rotate the WooCommerce API key for shop.example.com', 'stays in use until the new key'],
    [
      'credential_revocation',
      'Revoke the WooCommerce API key for shop.example.com',
      'is ended in the shop and deleted',
    ],
  ] as const)('%s names the key, its last characters, and what becomes of it', (type, title, words) => {
    const open = operationAbout(type);
    const card = consentCard(open, nobodyYet);
    expect(card.summary).toContain(title);
    expect(said(card)).toContain(`“${OLD.label}” (…${OLD.lastFour}) ${words}`);
    expect(said(card)).toMatch(/Revoke “Countersign op-22222222”/);
    expect(open.plan.permissions.some((id) => id.startsWith('end_'))).toBe(true);
  });
});

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
