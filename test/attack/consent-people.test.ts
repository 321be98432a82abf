import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Decision } from '../../core/consent/consent.ts';
import type { Member } from '../../core/customers/customers.ts';
import { CountersignError } from '../../core/errors.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import {
  type Core,
  click,
  grant,
  installShop,
  look,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  somebody,
  sql,
  type TestPlatform,
  trail,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
const EVERYBODY: TestPlatform = () => ({ kind: 'member', isInGroup: false });
/** What the chat platform says when somebody is about to decide. */
let platform = EVERYBODY;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase, { platform: (person, group) => platform(person, group) });
});

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const inside = <T>(own: Shop, work: Parameters<typeof core.database.withCustomer<T>>[1]) =>
  core.database.withCustomer(own.customerId, work);

interface Rules {
  readonly approvers?: readonly Member[];
  readonly required?: number;
  readonly mayWorkAlone?: boolean;
  readonly adminsApprove?: boolean;
  readonly group?: string;
}

/** A customer of its own, with these rules. */
async function shopWith(rules: Rules = {}): Promise<Shop> {
  shop = await installShop(core);
  platform = EVERYBODY;
  await setRules(shop, rules);
  return shop;
}

const setRules = (own: Shop, rules: Rules) =>
  inside(own, async (tx) => {
    const people = (rules.approvers ?? [own.approver, own.secondApprover]).map(({ person }) => person);
    await core.customers.setApprovers(tx, own.customerId, people, rules.mayWorkAlone ?? false);
    const { required = 1, adminsApprove = false, group = null } = rules;
    await core.customers.setRules(tx, own.customerId, {
      ...{ approvalsRequired: required, adminsApprove, approverGroup: group },
    });
  });

const link = (own: Shop, ...accounts: Member[]) =>
  inside(own, (tx) => core.customers.link(tx, own.customerId, accounts));

const grantsOf = (operation: Operation) =>
  sql(testDatabase.adminUrl, 'SELECT * FROM autonomous_consent WHERE operation_id = $1', [operation.id]);

const eventsOf = async (operation: Operation) =>
  (
    await sql<{ kind: string; reason: string | null }>(
      testDatabase.adminUrl,
      `SELECT e.kind, e.reason FROM consent_events e JOIN consent_requests r ON r.id = e.request_id
       WHERE e.operation_id = $1 ORDER BY r.asked_at, e.n`,
      [operation.id],
    )
  ).map(({ kind, reason }) => (reason ? `${kind}: ${reason}` : kind));

const outcome = (decision: Decision) => (decision.kind === 'refused' ? decision.why : decision.kind);

const choose = (own: Shop, operation: Operation, permissions: readonly string[], by: Member) =>
  inside(own, (tx) => core.operations.choosePermissions(tx, operation, permissions, by));

describe('31 nobody approves for themselves', () => {
  test('by the account that asked, nor by another account of the same person', async () => {
    const own = await shopWith();
    await link(own, own.merchant, own.approver);
    const operation = await requestOperation(core, own);
    expect(outcome(await grant(core, operation, own.approver))).toBe('own_request');
    expect(outcome(await core.consents.deny(own.customerId, click(operation, own.approver), 'x'))).toBe('own_request');
    const other = await requestOperation(core, own, { requester: own.approver });
    expect(outcome(await grant(core, other, own.approver))).toBe('own_request');
    expect([await grantsOf(operation), await grantsOf(other)]).toEqual([[], []]);
    expect(await eventsOf(other)).toEqual(['requested', 'refused: own_request']);
    expect(outcome(await grant(core, operation, own.secondApprover))).toBe('granted');
  });

  test('linked while the card was open: what is true at the click counts', async () => {
    const own = await shopWith();
    const operation = await requestOperation(core, own);
    await link(own, own.merchant, own.approver, own.secondApprover);
    expect(outcome(await grant(core, operation, own.approver))).toBe('own_request');
    await link(own, own.secondApprover);
    expect(outcome(await grant(core, operation, own.secondApprover))).toBe('granted');
  });

  test('two accounts of one person are one approval', async () => {
    const own = await shopWith({ required: 2 });
    await link(own, own.approver, own.secondApprover);
    const operation = await requestOperation(core, own);
    expect(outcome(await grant(core, operation, own.approver))).toBe('approved');
    expect(outcome(await grant(core, operation, own.secondApprover))).toBe('already_approved');
    expect(await grantsOf(operation)).toEqual([]);
    await setRules(own, { approvers: [own.approver, own.secondApprover, own.admin], required: 2 });
    expect(outcome(await grant(core, operation, own.admin))).toBe('granted');
  });

  test('linked between two approvals: they are one from then on', async () => {
    const own = await shopWith({ required: 2 });
    const operation = await requestOperation(core, own);
    expect(outcome(await grant(core, operation, own.approver))).toBe('approved');
    await link(own, own.approver, own.secondApprover);
    expect(outcome(await grant(core, operation, own.secondApprover))).toBe('already_approved');
    expect((await look(core, operation)).state).toBe('awaiting_consent');
  });

  test('whoever widens a plan does not approve it, by any account; whoever narrows it may', async () => {
    const own = await shopWith();
    const asked = await requestOperation(core, own);
    const { permissions } = asked.plan;
    await choose(own, asked, [...permissions, 'write_shop'], own.approver);
    const widened = await look(core, asked);
    expect(widened.widened).toMatchObject([{ permission: 'write_shop', by: { id: own.approver.id } }]);
    expect(outcome(await grant(core, widened, own.approver))).toBe('own_widening');
    await link(own, own.approver, own.secondApprover);
    expect(outcome(await grant(core, widened, own.secondApprover))).toBe('own_widening');
    await link(own, own.approver);
    // Choosing the same again doesn't make the wish another person's.
    await choose(own, widened, [...permissions, 'write_shop'], own.secondApprover);
    const again = await look(core, asked);
    expect(outcome(await grant(core, again, own.approver))).toBe('own_widening');
    await choose(own, again, permissions, own.approver);
    const narrowed = await look(core, asked);
    expect(narrowed.widened).toEqual([]);
    expect(outcome(await grant(core, narrowed, own.approver))).toBe('granted');
  });

  test('a widened plan is approved by somebody else, or by who works alone; what the requester adds is asked for', async () => {
    const own = await shopWith();
    const widen = async (by: Member) => {
      const asked = await requestOperation(core, own);
      await choose(own, asked, [...asked.plan.permissions, 'write_shop'], by);
      return look(core, asked);
    };
    expect(outcome(await grant(core, await widen(own.approver), own.secondApprover))).toBe('granted');
    expect(outcome(await grant(core, await widen(own.merchant), own.approver))).toBe('granted');
    await setRules(own, { mayWorkAlone: true });
    expect(outcome(await grant(core, await widen(own.approver), own.approver))).toBe('granted');
  });
});

describe('32 an approver who was removed', () => {
  test('between two approvals does not count any more', async () => {
    const own = await shopWith({ required: 2 });
    const operation = await requestOperation(core, own);
    expect(outcome(await grant(core, operation, own.approver))).toBe('approved');
    await setRules(own, { approvers: [own.secondApprover, own.admin], required: 2 });
    expect(outcome(await grant(core, operation, own.secondApprover))).toBe('approved');
    expect((await look(core, operation)).approvals.map(({ by }) => by.id)).toEqual([own.secondApprover.id]);
    expect(outcome(await grant(core, operation, own.admin))).toBe('granted');
  });

  test('between click and run has countersigned nothing that runs, be it as approver, admin or one of a group', async () => {
    for (const [before, after] of [
      [{ required: 2 }, { required: 3 }],
      [{ approvers: [], adminsApprove: true }, { approvers: [] }],
      [
        { approvers: [], group: 'S1' },
        { approvers: [], group: 'S2' },
      ],
    ] as const) {
      const own = await shopWith(before);
      platform = () => ({ kind: 'member', isInGroup: true });
      const operation = await requestOperation(core, own);
      const clicks = [own.admin, own.secondApprover];
      for (const by of clicks) await grant(core, operation, by);
      if ('required' in before) await grant(core, operation, own.approver);
      expect((await look(core, operation)).state).toBe('awaiting_credentials');
      await setRules(own, after);
      const job = { customerId: own.customerId, operationId: operation.id };
      await expect(takeLease(core, job, new AbortController().signal)).rejects.toMatchObject({
        message: 'Consent required: Whoever countersigned may no longer approve',
      });
    }
  });
});

describe('38 a guest, or somebody of another workspace in a shared channel,', () => {
  test('decides nothing, whatever role they were given', async () => {
    const own = await shopWith();
    const operation = await requestOperation(core, own);
    platform = ({ userId }) =>
      userId === own.approver.person.userId ? { kind: 'guest' } : { kind: 'member', isInGroup: true };
    expect(outcome(await grant(core, operation, own.approver))).toBe('not_an_approver');
    expect(outcome(await core.consents.deny(own.customerId, click(operation, own.approver), 'x'))).toBe(
      'not_an_approver',
    );
    const outsider = await inside(own, async (tx) => {
      const person = { ...own.approver.person, workspaceId: 'W-other' };
      await core.customers.setApprovers(tx, own.customerId, [person, own.secondApprover.person], false);
      return core.customers.member(tx, own.customerId, person);
    });
    expect(outsider.roles).toContain('approver');
    expect(outcome(await grant(core, operation, outsider))).toBe('not_an_approver');
    expect(await grantsOf(operation)).toEqual([]);
    expect(outcome(await grant(core, operation, own.secondApprover))).toBe('granted');
  });

  test('who asks is decided on by this workspace, never by their own', async () => {
    const own = await shopWith();
    const { asker, theirs } = await inside(own, async (tx) => {
      const boss = somebody('W-other', 'Boss');
      await core.customers.setApprovers(tx, own.customerId, [boss, own.approver.person], false);
      return {
        asker: await core.customers.member(tx, own.customerId, somebody('W-other', 'Olga')),
        theirs: await core.customers.member(tx, own.customerId, boss),
      };
    });
    const operation = await requestOperation(core, own, { requester: asker });
    expect(outcome(await grant(core, operation, theirs))).toBe('not_an_approver');
    expect(outcome(await grant(core, operation, own.approver))).toBe('granted');
  });
});

describe('39 where it is not sure who somebody is, nothing is decided', () => {
  const DOUBTS: readonly [string, TestPlatform][] = [
    ['knows nobody like that', () => ({ kind: 'unknown' })],
    [
      'is away',
      () => {
        throw new CountersignError('chat_unavailable', 'away', { isRetryable: true });
      },
    ],
    ['breaks', () => Promise.reject(new TypeError('not a function'))],
  ];
  test.each(DOUBTS)('the platform %s', async (_, says) => {
    const own = await shopWith();
    const operation = await requestOperation(core, own);
    platform = says;
    expect(outcome(await grant(core, operation, own.approver))).toBe('not_verified');
    expect(outcome(await core.consents.deny(own.customerId, click(operation, own.approver), 'x'))).toBe('not_verified');
    expect(await eventsOf(operation)).toEqual(['requested', 'refused: not_verified']);
    expect((await trail(core, operation)).at(-1)).toMatchObject({ kind: 'consent.refused', actor: own.approver.id });
    expect((await look(core, operation)).state).toBe('awaiting_consent');
    platform = EVERYBODY;
    expect(outcome(await grant(core, operation, own.approver))).toBe('granted');
  });

  test('an id with the person of another one, or a person with the id of another one', async () => {
    const own = await shopWith();
    const operation = await requestOperation(core, own);
    const { approver, merchant } = own;
    for (const person of [
      merchant.person,
      { ...approver.person, userId: 'U-abel' },
      { ...approver.person, platform: 'slack' as const },
      { ...approver.person, workspaceId: `${own.workspaceId} ` },
    ])
      expect(outcome(await grant(core, operation, { ...approver, person }))).toBe('not_verified');
    expect(outcome(await grant(core, operation, { ...approver, id: merchant.id }))).toBe('not_verified');
    expect(await grantsOf(operation)).toEqual([]);
  });

  test('somebody who goes by an approver’s name', async () => {
    const own = await shopWith();
    const operation = await requestOperation(core, own);
    const namesake = await inside(own, (tx) =>
      core.customers.member(tx, own.customerId, { ...own.approver.person, userId: 'U-2' }),
    );
    expect(outcome(await grant(core, operation, namesake))).toBe('not_an_approver');
  });

  test('a group counts for those whom the platform has in it at the click, and for the group that is named then', async () => {
    const own = await shopWith({ approvers: [], group: 'S1' });
    const operation = await requestOperation(core, own);
    platform = (person, group) => ({ kind: 'member', isInGroup: group === 'S1' && person.name === 'Anna' });
    expect(outcome(await grant(core, operation, own.approver))).toBe('not_an_approver');
    platform = async (_, group) => {
      await setRules(own, { approvers: [], group: 'S2' }); // while the platform is being asked about S1
      return { kind: 'member', isInGroup: group === 'S1' };
    };
    expect(outcome(await grant(core, operation, own.secondApprover))).toBe('not_an_approver');
    platform = (_, group) => ({ kind: 'member', isInGroup: group === 'S2' });
    expect(outcome(await grant(core, operation, own.secondApprover))).toBe('granted');
  });
});

describe('33 a denial wins', () => {
  test('at any time before the last approval, and none comes after it', async () => {
    const own = await shopWith({ required: 2 });
    const operation = await requestOperation(core, own);
    expect(outcome(await grant(core, operation, own.approver))).toBe('approved');
    expect(outcome(await core.consents.deny(own.customerId, click(operation, own.secondApprover), 'no'))).toBe(
      'denied',
    );
    expect(outcome(await grant(core, operation, own.secondApprover))).toBe('stale');
    expect((await look(core, operation)).state).toBe('denied');
    expect(await eventsOf(operation)).toEqual(['requested', 'approved', 'denied']);
  });
});

test('34 executing without consent rejects with “Consent required”, as the reference’s own test has it', async () => {
  const own = await shopWith();
  const job = async (operation: Operation) => ({ customerId: own.customerId, operationId: operation.id });
  const noConsent = await requestOperation(core, own);
  const never = new AbortController().signal;
  await expect(takeLease(core, await job(noConsent), never)).rejects.toThrow('Consent required');
  const revoked = await queuedOperation(core, own);
  await inside(own, (tx) => core.consents.revoke(tx, revoked, own.merchant));
  await expect(takeLease(core, await job(revoked), never)).rejects.toThrow('Consent required: Consent was revoked');
});
