import { describe, expect, test } from 'vitest';
import { renderCard } from '../../adapters/slack/cards.ts';
import { consentCard } from '../../bot/cards/consent-card.ts';
import type { Deciders } from '../../bot/cards/consent-parts.ts';
import { readConsentValue, readTogetherValue, togetherValue } from '../../bot/cards/consent-values.ts';
import { reminderCard } from '../../bot/cards/reminder-card.ts';
import { togetherCard } from '../../bot/cards/together-card.ts';
import type { Lack } from '../../core/consent/policy.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { RESTORED } from '../../core/operations/restored.ts';
import type { Card } from '../../core/ports/chat.ts';
import type { Service } from '../../core/services/service.ts';
import { shopify } from '../../core/services/shopify/index.ts';
import { stripe } from '../../core/services/stripe/index.ts';
import { permissionsIn } from '../../core/services/ways.ts';
import { woocommerce } from '../../core/services/woocommerce/index.ts';
import { wordpress } from '../../core/services/wordpress/index.ts';
import { admin, approver, buttonsOf, labels, nobodyYet, said, saidBy } from '../support/cards.ts';
import { granted, memberNamed, NOW, OLD, operationAbout, operationWith } from '../support/operation.ts';
import { problemsOfBlocks } from '../support/slack/blocks.ts';

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

  test('claims nothing of one that ended because the database was restored', () => {
    const card = consentCard(operationWith({ state: 'failed', errorCode: RESTORED }), nobodyYet);
    expect(card.summary).toMatch(/: ended$/);
    expect(said(card)).toContain('Ended: see its result below.');
    expect(said(card)).not.toMatch(/Cancelled|Nothing was done/);
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

  test.each(['broken', 'expired'] as const)('says of one that is %s that nothing uses it any more', (cause) => {
    const asked = operationAbout('credential_rotation');
    const words = said(consentCard({ ...asked, plan: { ...asked.plan, repair: { cause } } }, nobodyYet));
    expect(words).toContain('does not work any more, and stays in the vault until the new key');
    expect(words).not.toMatch(/stays in use|still uses it/);
  });
});
